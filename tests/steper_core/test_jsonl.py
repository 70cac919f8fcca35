"""JSON lines: what a kill leaves behind is read past and cut off, and a broken whole line is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steper_core import jsonl
from steper_core.errors import UserError
from steper_core.records import Passage

FIRST, SECOND = Passage(id="1", title="a", text="b"), Passage(id="2", title="c", text="d")


def test_a_missing_file_has_no_records(tmp_path: Path) -> None:
    assert list(jsonl.read(tmp_path / "none.jsonl", Passage)) == []
    assert jsonl.repair(tmp_path / "none.jsonl") == 0


def test_records_come_back_in_the_order_they_were_appended(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    jsonl.append(file, [FIRST])
    jsonl.append(file, iter([SECOND, FIRST]))
    assert list(jsonl.read(file, Passage)) == [FIRST, SECOND, FIRST]
    assert file.read_bytes().count(b"\n") == 3


def test_appending_nothing_makes_no_file(tmp_path: Path) -> None:
    jsonl.append(tmp_path / "p.jsonl", [])
    assert not (tmp_path / "p.jsonl").exists()


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_torn_last_line_is_left_out_on_read_and_cut_by_repair(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "p.jsonl"
    jsonl.append(file, [FIRST])
    whole = file.read_bytes()
    jsonl.append(file, [SECOND])
    file.write_bytes(file.read_bytes()[:-cut])
    torn = len(file.read_bytes()) - len(whole)
    assert list(jsonl.read(file, Passage)) == [FIRST]
    assert jsonl.repair(file) == torn
    assert file.read_bytes() == whole
    jsonl.append(file, [SECOND])
    assert list(jsonl.read(file, Passage)) == [FIRST, SECOND]


def test_a_file_of_one_torn_line_is_emptied(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_bytes(b'{"id": "1", "ti')
    assert list(jsonl.read(file, Passage)) == []
    assert jsonl.repair(file) == 15
    assert file.read_bytes() == b""


def test_repair_leaves_a_whole_file_alone(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    jsonl.append(file, [FIRST, SECOND])
    before = file.read_bytes()
    assert jsonl.repair(file) == 0
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (b'{"id": "2", "title": "c"}', "field 'text': Field required"),
        (b'{"id": "2", "title": 7, "text": ""}', "field 'title': Input should be a valid string"),
        (b'{"id": "2", "title": "c", "text": "d", "score": 1}', "field 'score': Extra inputs are not permitted"),
        (b'{"id": "2", "title', "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
    ],
)
def test_a_broken_whole_line_is_named_with_file_line_and_field(tmp_path: Path, line: bytes, named: str) -> None:
    file = tmp_path / "p.jsonl"
    jsonl.append(file, [FIRST])
    with file.open("ab") as opened:
        opened.write(line + b"\n")
    jsonl.append(file, [SECOND])
    records = jsonl.read(file, Passage)
    assert next(records) == FIRST
    with pytest.raises(UserError) as caught:
        next(records)
    message = str(caught.value)
    assert message.startswith(f"{file}, line 2: ") and named in message
    assert len(message.splitlines()) == 1


@given(
    st.lists(
        st.builds(
            Passage,
            id=st.text(),
            title=st.sampled_from(["\r\n", "\u2028\u2029\x85", "\0\x1b[2J", "</script>", '"\\', "{}\n{}"]) | st.text(),
            text=st.text(),
        ),
        max_size=4,
    )
)
def test_hostile_text_round_trips(tmp_path_factory: pytest.TempPathFactory, records: list[Passage]) -> None:
    file = tmp_path_factory.mktemp("jsonl") / "p.jsonl"
    for record in records:
        jsonl.append(file, [record])
    assert list(jsonl.read(file, Passage)) == records
    assert jsonl.repair(file) == 0
