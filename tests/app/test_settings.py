"""Where the database stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.settings import database_url
from db import open_database


@pytest.mark.parametrize("name", ["runs", "what? 100%41 ü#1"])
def test_the_database_stands_in_the_folder_of_the_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("STEPER_DATABASE_URL", raising=False)
    folder = tmp_path / name
    folder.mkdir()
    open_database(database_url(folder)).dispose()
    assert (folder / "steper.db").is_file()
    assert list(tmp_path.iterdir()) == [folder]
