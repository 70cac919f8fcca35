import json
import re
from pathlib import Path
from typing import Any

import pytest

from evaluators.predictions import Predictions, read_predictions
from steper_core.errors import UserError


def read(path: Path, *rows: Any, indent: int | None = None) -> Predictions:
    path.write_text("\n".join(json.dumps(row, indent=indent) for row in rows), "utf-8")
    return read_predictions(path)


@pytest.mark.parametrize("indent", [None, 2])
def test_tables(tmp_path: Path, indent: int | None) -> None:
    tables = {"answer": {"q": "Tiv", "r": ""}, "sp": {"q": [["Ona", 0]]}, "evidence": {"q": [["a", "b", "c"]]}}
    read_file = read(tmp_path / "p", tables, indent=indent)
    assert (read_file.answers, read_file.facts, read_file.evidence) == tuple(tables.values())
    assert (read_file.paragraphs, read_file.problems) == (None, ())


def test_answers_alone(tmp_path: Path) -> None:
    read_file = read(tmp_path / "p", {"answer": {"q": "Tiv"}})
    assert (read_file.answers, read_file.facts, read_file.evidence) == ({"q": "Tiv"}, None, None)


def test_musique(tmp_path: Path) -> None:
    rows = [
        {"id": "q", "predicted_answer": "Tiv", "predicted_support_idxs": [3], "predicted_answerable": True},
        {"id": "r", "predicted_answer": ""},
    ]
    read_file = read(tmp_path / "p", *rows)
    assert (read_file.answers, read_file.paragraphs) == ({"q": "Tiv", "r": ""}, {"q": [3]})


@pytest.mark.parametrize("layout", ["lines", "array", "one line"])
def test_plain(tmp_path: Path, layout: str) -> None:
    rows = [{"id": "q", "prediction": "Tiv", "model": "m"}, {"id": "r", "prediction": ""}]
    expected = {"q": "Tiv", "r": ""}
    if layout == "array":
        read_file = read(tmp_path / "p", rows)
    elif layout == "lines":
        read_file = read(tmp_path / "p", *rows)
    else:
        read_file, expected = read(tmp_path / "p", rows[0]), {"q": "Tiv"}
    assert read_file == Predictions(str(tmp_path / "p"), expected)


def test_rows_at_fault_are_left_out_with_why(tmp_path: Path) -> None:
    faults = [
        ({"id": 3, "prediction": "x"}, "field 'id' must be a text"),
        ({"id": "r", "prediction": None}, "field 'prediction' must be a text"),
        ({"id": "s", "predicted_answer": ["x"]}, "field 'predicted_answer' must be a text"),
        ({"id": "q", "prediction": "other"}, "the id 'q' already stands"),
        ({"id": "t", "answer": "x"}, r"not a prediction \(its keys: 'answer', 'id'\); write one object"),
        ("x", "JSON object"),
    ]
    read_file = read(tmp_path / "p", {"id": "q", "prediction": "Tiv"}, *(row for row, _ in faults))
    assert (read_file.answers, read_file.repeated) == ({"q": "Tiv"}, {"q"})
    for number, (problem, (_, message)) in enumerate(zip(read_file.problems, faults, strict=True), start=2):
        assert re.search(f"p, row {number}: {message}", problem) or "JSON object" in problem, problem


def test_answers_at_fault_in_a_table(tmp_path: Path) -> None:
    read_file = read(tmp_path / "p", {"answer": {"q": "Tiv", "\x1b[31m": None}})
    assert read_file.answers == {"q": "Tiv"}
    assert read_file.problems == (f"{tmp_path / 'p'}, answer of '\\x1b[31m': must be a text",)


def test_a_file_without_a_usable_row(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no usable prediction.*p, row 1.*its keys: 'q'"):
        read(tmp_path / "p", {"q": "Tiv"})
    with pytest.raises(UserError, match=r"no usable prediction.*holds no rows"):
        read(tmp_path / "p", [])
    with pytest.raises(UserError, match=r"field 'sp'.*object"):
        read(tmp_path / "p", {"answer": {}, "sp": []})
