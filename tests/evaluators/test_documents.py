import json
from pathlib import Path
from typing import Any

import pytest

from evaluators.documents import read_rows
from steper_core.errors import UserError
from steper_core.readers import RowError

ROWS = [{"a": 1}, {"b": [2]}]


def rows(path: Path, text: str) -> list[tuple[int, Any]]:
    path.write_text(text, "utf-8")
    return [(number, str(row) if isinstance(row, RowError) else row) for number, row in read_rows(path)]


@pytest.mark.parametrize("indent", [None, 1])
def test_an_array(tmp_path: Path, indent: int | None) -> None:
    assert rows(tmp_path / "x", "\ufeff\n " + json.dumps(ROWS, indent=indent)) == list(enumerate(ROWS, start=1))


def test_lines_are_numbered_as_in_the_file(tmp_path: Path) -> None:
    text = '\n{"a": 1}\n\n{"b": "\u2028"}\n'
    assert rows(tmp_path / "x", text) == [(2, {"a": 1}), (4, {"b": "\u2028"})]


@pytest.mark.parametrize("indent", [None, 1])
def test_an_object_that_is_the_whole_file(tmp_path: Path, indent: int | None) -> None:
    table = {"answer": {"q": "x"}, "sp": {"q": [["Ona", 0], ["x", 1]], "r": []}}
    assert rows(tmp_path / "x", json.dumps(table, indent=indent)) == [(1, table)]


def test_a_line_at_fault_costs_only_itself(tmp_path: Path) -> None:
    read = rows(tmp_path / "x", '{"a": \n{"a": 1}\n[1]\n' + "[" * 100_000 + "\n")
    assert read[1] == (2, {"a": 1})
    assert "column" in read[0][1] and read[2][1] == "a row must be a JSON object"
    assert [number for number, _ in read] == [1, 2, 3, 4]


def test_a_value_in_an_array_that_is_no_object(tmp_path: Path) -> None:
    assert rows(tmp_path / "x", '[{"a": 1}, 2]') == [(1, {"a": 1}), (2, "a row must be a JSON object")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" \n", "is empty"),
        ('[{"a": 1},', "line 1, column 11.*get it again"),
        ('{\n "answer": {\n  "q": "x"', "line 3.*get it again"),
        ("id,answer\n1,x", "line 1"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_a_file_at_fault(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=f"x.*{message}"):
        rows(tmp_path / "x", text)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere cannot be read: No such file"):
        read_rows(tmp_path / "nowhere")
    (tmp_path / "archive").write_bytes(b"\x1f\x8b\xff")
    with pytest.raises(UserError, match="archive is not UTF-8"):
        read_rows(tmp_path / "archive")
