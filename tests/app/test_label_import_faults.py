"""Files of labels at fault: what cannot come in is told, costs only itself, and leaves no half-made project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.label_export import labels_of
from app.label_files import read_labels, write_labels
from app.label_import import Wishes, import_labels
from app.standing import references_of
from db.queries_annotations import history, item_rows, list_projects, slots_of
from steper_core.errors import UserError

from .labelled_runs import project_of, store_run
from .test_label_import import edited, emptied, labelled


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two stored runs."""
    store_run(tmp_path, "one", right=("q1",))
    store_run(tmp_path, "two", right=(), steps=3)
    return tmp_path


def _no_rubric(row: dict[str, Any]) -> None:
    row["steper"]["project"]["rubric"] = {}


def _unknown_labels(row: dict[str, Any]) -> None:
    row["steper"]["history"] = [{**change, "field": "mood"} for change in row["steper"]["history"]] or [
        {"uid": "u", "number": 1, "field": "mood", "at": "2026-05-01T09:00:00Z"}
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [(_no_rubric, "rubric is none: field 'name': Field required"), (_unknown_labels, "unknown field 'mood'")],
)
def test_a_file_of_which_nothing_fits_leaves_nothing_behind(runs: Path, change: Any, said: str) -> None:
    engine = labelled(runs)
    spoilt, good = edited(engine, change), write_labels(labels_of(engine, project_of(engine, "first")), ".jsonl")
    fresh = emptied(runs, engine)
    with pytest.raises(UserError, match=f"nothing in it can be imported.*{said}"):
        import_labels(fresh, read_labels(spoilt, ".jsonl"))
    assert list_projects(fresh) == ()
    assert import_labels(fresh, read_labels(good, ".jsonl")).created == ("first",)


def _unknown_ratings(row: dict[str, Any]) -> None:
    """Bob's labels, which are ratings of q1 (a draft) and q2 (submitted), become none of the rubric's."""
    if row["labeler"] == "=Bob":
        for change in row["steper"]["history"]:
            if change["field"] == "rating":
                change["field"] = "mood"


def _taken_uids(row: dict[str, Any]) -> None:
    """Bob's labels are told of Dan under the same uids; only what submits them has uids of its own."""
    if row["labeler"] == "=Bob":
        row["labeler"] = "Dan"
        for change in row["steper"]["history"]:
            if change["field"] == "submit":
                change["uid"] += " of Dan"


@pytest.mark.parametrize(
    ("change", "person", "said"),
    [(_unknown_ratings, "=Bob", "unknown field 'mood'"), (_taken_uids, "Dan", "another change has the uid")],
)
def test_no_item_is_submitted_of_whose_labels_none_came_in(runs: Path, change: Any, person: str, said: str) -> None:
    engine = labelled(runs)
    data, good = edited(engine, change), write_labels(labels_of(engine, project_of(engine, "first")), ".jsonl")
    fresh = emptied(runs, engine)
    if person == "Dan":
        import_labels(fresh, read_labels(good, ".jsonl"))
    report = import_labels(fresh, read_labels(data, ".jsonl"))
    reasons = [problem.reason for problem in report.problems]
    assert len(reasons) == 5 and sum(said in reason for reason in reasons) == 3
    assert reasons.count("none of this person's labels of the item fits: it is left out") == 2
    project = project_of(fresh, "first").id
    # The two items in which nothing was changed are held as before.
    assert [slot.state for slot in slots_of(fresh, project, person)] == ["held", "held"]
    assert person not in {row.annotator for row in history(fresh, project)}


def test_a_project_of_which_nothing_fits_costs_no_other(runs: Path) -> None:
    engine = labelled(runs)

    def elsewhere(row: dict[str, Any]) -> None:
        row["steper"]["project"]["name"] = "second"
        row["steper"]["item"]["run_uid"] = "nowhere"

    spoilt, good = edited(engine, elsewhere), write_labels(labels_of(engine, project_of(engine, "first")), ".jsonl")
    fresh = emptied(runs, engine)
    report = import_labels(fresh, read_labels(spoilt + b"\n" + good, ".jsonl"))
    assert report.projects == report.created == ("first",)
    assert len(report.problems) == len(spoilt.splitlines())


@pytest.mark.parametrize(("given", "stored"), [("a\nb", "a b"), ("a\0b", "a\ufffdb"), ("  a   b ", "a b")])
def test_a_project_is_found_by_the_name_under_which_it_is_stored(runs: Path, given: str, stored: str) -> None:
    engine = labelled(runs)

    def rename(row: dict[str, Any]) -> None:
        row["steper"]["project"]["name"] = given

    read = read_labels(edited(engine, rename), ".jsonl")
    first = import_labels(engine, read)
    assert (first.created, first.known, first.problems) == ((stored,), 0, ())
    assert len(history(engine, project_of(engine, stored).id)) == first.changes
    again = import_labels(engine, read, Wishes(project=given))
    assert (again.projects, again.created, again.changes, again.known) == ((stored,), (), 0, first.changes)


def test_known_labels_that_fit_no_control_are_told_and_left_out(runs: Path) -> None:
    engine = labelled(runs)
    reference = {
        "1/rating": "x",
        "2/rating": 1,
        "3/rating": 1,
        "q": None,
        "0/rating": 1,
        "1/tags": 1,
        "0/verdict": True,
    }

    def spoil(row: dict[str, Any]) -> None:
        for item in [row["steper"]["item"], *row["steper"].get("items", ())]:
            if item["control"]:
                item["reference"] = reference

    data = edited(engine, spoil)
    fresh = emptied(runs, engine)
    report = import_labels(fresh, read_labels(data, ".jsonl"))
    told = {problem.reason.split("'")[1]: problem.reason for problem in report.problems}
    assert len(report.problems) == 6 and set(told) == set(reference) - {"2/rating"}
    assert told["1/rating"].endswith("unknown value 'x' of rating; there are -1, 0, 1")
    assert told["3/rating"].endswith("step 3 of a chain of 2")
    assert told["q"].endswith('a known label reads "2/rating": -1 (0: the whole chain)')
    assert told["0/rating"].endswith("unknown field 'rating' of the whole chain; there are verdict")
    assert told["0/verdict"].endswith("unknown value True of verdict; there are 0, 0.5, 1")
    items = item_rows(fresh, project_of(fresh, "first").id)
    ((control, known),) = references_of(items).items()
    assert known == {(2, "rating"): 1.0}
    assert next(item.question_key for item in items if item.id == control) == "q3"


def test_changes_that_share_a_uid_are_in_conflict_unless_they_are_the_same(runs: Path) -> None:
    engine = labelled(runs)
    data = write_labels(labels_of(engine, project_of(engine, "first")), ".jsonl")
    whole = len(history(engine, project_of(engine, "first").id))

    def other_value(row: dict[str, Any]) -> None:
        for change in row["steper"]["history"]:
            if change["uid"] == "Ann-q2-0":
                change["value"] = 0.0

    # Against what is stored ...
    report = import_labels(engine, read_labels(edited(engine, other_value), ".jsonl"))
    (problem,) = report.problems
    assert problem.reason == "another change has the uid 'Ann-q2-0' already; each has its own"
    assert (report.changes, report.known) == (0, whole - 1)
    # ... and within the file: the first one counts.
    both = data + b"\n" + edited(engine, other_value)
    fresh = emptied(runs, engine)
    report = import_labels(fresh, read_labels(both, ".jsonl"))
    assert (report.changes, report.known, len(report.problems)) == (whole, whole - 1, 1)
    assert next(each.value for each in history(fresh, project_of(fresh, "first").id) if each.uid == "Ann-q2-0") == 1.0


def test_a_comment_that_had_to_be_cleaned_is_known_again(runs: Path) -> None:
    engine = labelled(runs)

    def comment(row: dict[str, Any]) -> None:
        for change in row["steper"]["history"]:
            if change["field"] == "comment":
                change["value"] = "a\0b"

    read = read_labels(edited(engine, comment), ".jsonl")
    first = import_labels(engine, read, Wishes(project="second"))
    again = import_labels(engine, read, Wishes(project="second"))
    assert (again.known, again.problems) == (first.changes, ())
