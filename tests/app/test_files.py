"""Files that commands write: whole or not at all, and never into a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.files import write_whole
from steper_core.errors import UserError


def test_a_file_is_replaced_by_the_new_one_and_nothing_else_is_left(tmp_path: Path) -> None:
    file = tmp_path / "out.txt"
    file.write_text("an earlier, longer text")
    write_whole(file, "é")
    assert file.read_bytes() == "é".encode() and list(tmp_path.iterdir()) == [file]


def test_a_link_leads_to_the_file_that_is_written(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "far")
    write_whole(link, b"x")
    assert link.is_symlink() and (tmp_path / "far").read_bytes() == b"x"


def test_a_device_is_written_to_and_stays_one() -> None:
    write_whole(Path("/dev/null"), "x")
    assert not Path("/dev/null").is_file()


def test_a_run_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(UserError, match="run directory"):
        write_whole(tmp_path / "chains.jsonl", "x")
    assert not (tmp_path / "chains.jsonl").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        write_whole(tmp_path / "nowhere" / "out", "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        write_whole(tmp_path / "folder", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
