"""Labels as JSON lines, CSV and Parquet: what is written is read back, and what is at fault is told with its line."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.label_files import FORMATS, read_labels, write_labels
from app.label_jsonl import read_jsonl
from app.label_records import ReadLabels
from steper_core.errors import UserError

from .hand_labelled import ANN, BOB, CAROL, FIRST, LABELS, change


def round_trip(suffix: str) -> ReadLabels:
    return read_labels(write_labels(LABELS, suffix), suffix)


def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in write_labels(LABELS, ".jsonl").decode().splitlines()]


@pytest.mark.parametrize("suffix", FORMATS)
def test_authors_times_uids_states_and_values_come_back(suffix: str) -> None:
    read = round_trip(suffix)
    assert read.problems == ()
    given = {
        (
            each.project,
            each.share.item.chain,
            each.share.annotator,
            each.share.role,
            each.share.state,
        ): each.share.changes
        for each in read.shares
    }
    assert given == {
        ("first", share.item.chain, share.annotator, "label", share.state): share.changes for share in (ANN, BOB, CAROL)
    }


def test_json_lines_bring_project_and_all_items_back() -> None:
    read = round_trip(".jsonl")
    assert read.projects == {"first": LABELS.project}
    assert tuple(item for _, item in read.items["first"]) == LABELS.items
    assert [each.texts for each in read.shares] == [("It is here.", "So: Bob")] * 2 + [("Yes.", "So: no")]


def test_a_line_has_the_shape_of_prm800k() -> None:
    ann, bob, carol = lines()
    assert ann["labeler"] == "Ann"
    assert ann["timestamp"] == "2026-03-01T12:00:07+00:00"
    assert ann["question"] == {
        "problem": "Who?",
        "ground_truth_answer": "Ann",
        "pre_generated_steps": ["It is here.", "So: Bob"],
        "pre_generated_answer": "Bob",
        "pre_generated_verifier_score": None,
    }
    assert ann["label"] == {
        "steps": [
            {
                "completions": [{"text": text, "rating": rating, "flagged": None}],
                "human_completion": None,
                "chosen_completion": 0,
            }
            for text, rating in (("It is here.", -1), ("So: Bob", 0))
        ],
        "total_time": 12500,
        "finish_reason": "found_error",
    }
    assert (bob["label"]["finish_reason"], carol["label"]["finish_reason"]) == (None, "give_up")
    assert (ann["is_quality_control_question"], carol["is_quality_control_question"]) == (False, True)
    assert ann["steper"]["chain"] == {"aggregation": 0.0}
    assert ann["steper"]["steps"]["1"] == {"rating": -1.0, "tags": ["wrong_entity"]}


def test_a_submitted_item_without_a_bad_step_is_a_solution() -> None:
    good = replace(ANN, changes=(change("a1", 1, "rating", 1.0), change("a2", 0, "submit")))
    (line,) = write_labels(replace(LABELS, shares=(good,)), ".jsonl").decode().splitlines()
    assert json.loads(line)["label"]["finish_reason"] == "solution"


def test_a_row_of_the_table_is_one_change() -> None:
    rows = list(csv.DictReader(io.StringIO(write_labels(LABELS, ".csv").decode(), newline="")))
    assert len(rows) == 10
    first, changed, tagged, _, commented, of_chain, submitted, *_ = rows
    assert (first["value"], first["current"], first["ability"]) == ("1.0", "false", "initialization")
    assert (changed["value"], changed["current"], changed["at"]) == ("-1.0", "true", "2026-03-01T12:00:02+00:00")
    assert tagged["value"] == '["wrong_entity"]'
    assert json.loads(commented["value"]) == ANN.changes[4].value
    assert (of_chain["number"], of_chain["ability"]) == ("0", "aggregation")
    assert (submitted["seconds"], submitted["current"]) == ("12.5", "false")


def test_no_cell_is_one_that_a_spreadsheet_evaluates() -> None:
    rows = list(csv.reader(io.StringIO(write_labels(LABELS, ".csv").decode(), newline="")))
    cells = {cell for row in rows for cell in row}
    assert "'=Bob" in cells and "''Carol" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@")) or (cell.startswith("-") and cell != "-1.0")]


def test_rows_in_another_order_are_put_back_by_time() -> None:
    header, *rows = csv.reader(io.StringIO(write_labels(LABELS, ".csv").decode(), newline=""))
    out = io.StringIO(newline="")
    csv.writer(out).writerows([header, *reversed(rows)])
    shares = {each.share.annotator: each.share.changes for each in read_labels(out.getvalue().encode(), ".csv").shares}
    assert shares["Ann"] == ANN.changes


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ("{torn", "line 2: Invalid JSON"),
        ('{"labeler": "x"}', "line 2: field 'question'"),
        ('{"labeler": "x", "question": {"problem": "p"}, "label": {"steps": []}}', "line 2: neither a line of ours"),
    ],
)
def test_a_line_at_fault_costs_only_itself(spoilt: str, said: str) -> None:
    first, _, last = write_labels(LABELS, ".jsonl").decode().splitlines()
    read = read_jsonl("\n".join([first, spoilt, last]))
    assert [each.line for each in read.shares] == [1, 3]
    (problem,) = read.problems
    assert str(problem).startswith(said)


@pytest.mark.parametrize("value", ["NaN", "1e999", "true", '{"a": 1}'])
def test_a_value_that_is_no_label_is_a_problem(value: str) -> None:
    line = write_labels(LABELS, ".jsonl").decode().splitlines()[0]
    read = read_jsonl(line.replace('"value": 1.0', f'"value": {value}'))
    assert not read.shares and len(read.problems) == 1


def test_a_cell_at_fault_is_told_with_its_line() -> None:
    # The comment of the fifth change holds a line break, as JSON two characters: each row stays one line.
    text = write_labels(LABELS, ".csv").decode().splitlines(keepends=True)
    text[2] = text[2].replace("2026-03-01T12:00:02+00:00", "yesterday")
    read = read_labels("".join(text).encode(), ".csv")
    assert [(problem.line, problem.reason[:10]) for problem in read.problems] == [(3, "field 'at'")]
    assert sum(len(each.share.changes) for each in read.shares) == 9


def test_a_submission_whose_labels_are_all_at_fault_is_left_out() -> None:
    text = write_labels(LABELS, ".csv").decode().splitlines(keepends=True)
    whole = read_labels("".join(text).encode(), ".csv")
    lost = [line for line in range(1, 7) if "Ann" in text[line]]
    for line in lost:
        text[line] = text[line].replace("2026-03-01T12:00:0", "in March, ")
    read = read_labels("".join(text).encode(), ".csv")
    assert len(read.shares) == len(whole.shares) - 1
    assert read.problems[-1].reason.startswith("none of this person's labels") and read.problems[-1].line == 8
    assert [problem.line for problem in read.problems[:-1]] == [2, 3, 4, 5, 6, 7]


BEYOND = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]


@pytest.mark.parametrize("at", BEYOND)
def test_a_moment_that_utc_does_not_have_costs_its_line(at: str) -> None:
    lines = write_labels(LABELS, ".jsonl").decode().replace("2026-03-01T12:00:02Z", at)
    read = read_labels(lines.encode(), ".jsonl")
    assert [each.line for each in read.shares] == [3] and {problem.line for problem in read.problems} == {1, 2}
    assert all("'steper.history.1.at'" in problem.reason for problem in read.problems)
    (problem,) = read_jsonl(foreign(timestamp=at)).problems
    assert "outside the years 1 to 9999" in problem.reason


@pytest.mark.parametrize("at", BEYOND)
def test_a_moment_that_utc_does_not_have_costs_its_row(at: str) -> None:
    text = write_labels(LABELS, ".csv").decode().replace("2026-03-01T12:00:03+00:00", at)
    read = read_labels(text.encode(), ".csv")
    assert [(problem.line, problem.reason[:10]) for problem in read.problems] == [(4, "field 'at'")]
    assert sum(len(each.share.changes) for each in read.shares) == 9


def test_a_list_where_a_name_should_stand_is_told() -> None:
    table = pq.read_table(io.BytesIO(write_labels(LABELS, ".parquet")))
    names = pa.array([[name] for name in table["annotator"].to_pylist()], pa.list_(pa.string()))
    out = io.BytesIO()
    pq.write_table(table.set_column(table.column_names.index("annotator"), "annotator", names), out)
    with pytest.raises(UserError, match=f"the first of {table.num_rows} faults: line 1: field 'annotator'"):
        read_labels(out.getvalue(), ".parquet")


@pytest.mark.parametrize("unit", ["ms", "us"])
def test_a_moment_of_parquet_that_python_does_not_have_costs_its_row(unit: str) -> None:
    table = pq.read_table(io.BytesIO(write_labels(LABELS, ".parquet")))
    kind = pa.timestamp(unit, tz="UTC")
    moments = table["at"].cast(kind).to_pylist()
    at = pa.chunked_array([pa.array([2**62], kind), pa.array(moments[1:], kind)])
    out = io.BytesIO()
    pq.write_table(table.set_column(table.column_names.index("at"), "at", at), out)
    read = read_labels(out.getvalue(), ".parquet")
    assert [(problem.line, problem.reason[:10]) for problem in read.problems] == [(1, "field 'at'")]
    assert sum(len(each.share.changes) for each in read.shares) == 9


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("project", "seed"), 10**30),
        (("project", "overlap"), 10**30),
        (("project", "overlap"), 2**31),
        (("project", "name"), "x" * 81),
        (("project", "name"), " "),
        (("project", "rubric"), {"name": 5}),
        (("history", 0, "seconds"), 1e308),
    ],
)
def test_a_setting_that_cannot_be_stored_costs_its_line(place: tuple[Any, ...], value: Any) -> None:
    first, *others = lines()
    part = first["steper"]
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    read = read_jsonl("\n".join(json.dumps(line) for line in (first, *others)))
    (problem,) = read.problems
    assert problem.line == 1 and problem.reason.startswith(f"field 'steper.{place[0]}")
    assert len(read.shares) == 2 and read.projects == {"first": LABELS.project}


def test_a_foreign_time_that_nobody_takes_is_a_problem() -> None:
    label = {"steps": [], "total_time": 1e308, "finish_reason": "give_up"}
    (problem,) = read_jsonl(foreign(label=label)).problems
    assert problem.reason.startswith("field 'label.total_time'")


def test_a_long_cell_is_read_like_any_other() -> None:
    # It is left out where the length of a comment is checked, as that of a line of JSON is.
    long = replace(ANN, changes=(change("a1", 1, "comment", "x" * 1_000_000),))
    for suffix in FORMATS:
        (share,) = read_labels(write_labels(replace(LABELS, shares=(long,)), suffix), suffix).shares
        assert share.share.changes == long.changes


@pytest.mark.parametrize(
    ("data", "suffix", "said"),
    [
        (b"", ".jsonl", "it holds no labels"),
        (b"\n\n", ".jsonl", "it holds no labels"),
        (b"null\n[]\n", ".jsonl", "the first of 2 faults: line 1: Input should be an object"),
        (write_labels(LABELS, ".csv").splitlines(keepends=True)[0], ".csv", "it holds no labels"),
        (b"a,b\n1,2\n", ".csv", "columns are missing: annotator"),
        (b"", ".csv", "columns are missing"),
        (b'a,"b\n', ".csv", "no CSV"),
        (b"\xff\xfe", ".jsonl", "UTF-8"),
        (b"PAR1", ".parquet", "no Parquet"),
        (b"", ".xlsx", "no label format .xlsx"),
    ],
)
def test_a_file_that_is_none_is_refused(data: bytes, suffix: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_labels(data, suffix)


def test_a_project_without_labels_is_not_written() -> None:
    with pytest.raises(UserError, match="nobody has labelled"):
        write_labels(replace(LABELS, shares=()), ".jsonl")


def foreign(**changes: Any) -> str:
    row: dict[str, Any] = {
        "labeler": "x",
        "timestamp": "2023-01-22T04:34:27.052924",
        "question": {"problem": "Who?", "pre_generated_steps": ["One.", "Two."]},
        "label": {
            "steps": [{"completions": [{"text": "One.", "rating": -1}], "chosen_completion": 0}],
            "total_time": 1500,
            "finish_reason": "found_error",
        },
    }
    return json.dumps(row | changes)


def test_a_foreign_line_is_read_with_what_it_says() -> None:
    (line,) = read_jsonl(foreign()).foreign
    assert (line.texts, line.ratings, line.state, line.seconds) == (("One.", "Two."), (-1.0,), "submitted", 1.5)
    assert line.at.isoformat() == "2023-01-22T04:34:27.052924+00:00"


def test_a_foreign_step_that_a_person_wrote_is_a_problem() -> None:
    label = {"steps": [{"completions": [], "chosen_completion": None}], "finish_reason": "give_up"}
    (problem,) = read_jsonl(foreign(label=label)).problems
    assert "no chosen completion" in problem.reason


def test_first_item_of_the_hand_made_project_is_found_by_its_chain() -> None:
    assert LABELS.ability_of(FIRST, 2, "rating") == "aggregation"
    assert LABELS.ability_of(FIRST, 0, "aggregation") == "aggregation"
    assert LABELS.ability_of(FIRST, 0, "comment") == ""
