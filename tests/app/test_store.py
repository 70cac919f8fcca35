"""The database as the pages hold it."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.store import open_store
from db import ingest, open_database
from steper_core.run_records import RunKind
from steper_core.rundir import open_run


def test_a_file_that_takes_the_name_of_the_database_is_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "steper.db"
    monkeypatch.setenv("STEPER_DATABASE_URL", f"sqlite:///{file}")
    for name in ("one", "two"):
        with open_run(tmp_path / name, kind=RunKind.EVALUATE, config={}, dataset="d", model="m"):
            pass
    ingest(open_database(f"sqlite:///{file}"), tmp_path / "one")
    assert [run.name for run in open_store().runs()] == ["one"]
    for part in tmp_path.glob("steper.db*"):
        part.rename(tmp_path / f"away-{part.name}")
    assert open_store().runs() == ()
    # The revision counts as far as that of the first one did.
    ingest(open_database(f"sqlite:///{file}"), tmp_path / "two")
    assert [run.name for run in open_store().runs()] == ["two"]
