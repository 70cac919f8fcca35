"""Labels out of a database and into an empty one: nothing is lost, and what does not fit is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.label_export import labels_of
from app.label_files import read_labels, write_labels
from app.label_import import ImportReport, Wishes, import_labels
from app.label_steps import step_data
from db.annotation_views import Change, NewItem, NewProject
from db.annotations import adjudicate, close_project, create_project, record, release
from db.queries_annotations import annotators, history, item_rows, labels, list_projects, slots_of
from db.queries_runs import list_runs
from db.queries_texts import Database
from evaluators.label_rubric import LabelRubric, load_label_rubric
from steper_core.errors import UserError
from steper_core.rundir import RunDir

from .labelled_runs import KEYS, label, open_labels, project_of, store_run

RUBRIC = load_label_rubric("steps")
CRIES = "=1+1 'quoted'\n<script>\u202e"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two stored runs."""
    store_run(tmp_path, "one", right=("q1",))
    store_run(tmp_path, "two", right=(), steps=3)
    return tmp_path


def decide(engine: Database, key: str, count: int, fields: list[tuple[str, Any]]) -> None:
    """Let Zoe decide on the first step of a question."""
    project = project_of(engine, "first")
    item = next(row.id for row in item_rows(engine, project.id, limit=50) if row.question_key == key)
    adjudicate(engine, project.id, "Zoe", item)
    changes = [Change(f"zoe-{count}-{field}", item, 1, field, value) for field, value in fields]
    submit = Change(f"zoe-{count}-end", item, 0, "submit", None, 1.0)
    assert not record(engine, project.id, "Zoe", [*changes, submit], role="adjudicate").refused


def labelled(runs: Path) -> Database:
    """A project over both runs with people in every state: submitted, adjudicated, skipped, held, given back."""
    engine = open_labels(runs)
    uids = [run.uid for run in sorted(list_runs(engine), key=lambda run: run.name)]
    items = [NewItem(uids[0], number) for number in (1, 2, 3)] + [NewItem(uids[1], 1)]
    items[2] = NewItem(uids[0], 3, control=True, reference={"1/rating": -1.0})
    rubric = RUBRIC.model_dump(mode="json")
    create_project(engine, NewProject("first", rubric, False, 2, 7, {"sample": "random"}, tuple(items)))
    project = project_of(engine, "first")
    steps: dict[str, list[tuple[int, str, Any]]] = {
        "q2": [(1, "rating", 1.0), (1, "rating", -1.0), (1, "tags", ("wrong_entity",)), (2, "rating", 1.0)],
        "q3": [(1, "rating", -1.0), (1, "comment", CRIES), (0, "verdict", 0.5)],
    }
    label(engine, "first", "Ann", steps)
    label(engine, "first", "=Bob", {"q2": [(1, "rating", 1.0), (2, "rating", 1.0)]}, seconds=2.5)
    by_key = {(row.run_uid, row.question_key): row.id for row in item_rows(engine, project.id)}
    first, second = by_key[uids[0], "q1"], by_key[uids[0], "q2"]
    record(engine, project.id, "=Bob", [Change("draft", first, 2, "rating", 0.0)])
    record(engine, project.id, "Ann", [Change("skipped", by_key[uids[1], "q1"], 0, "skip", None)])
    adjudicate(engine, project.id, "Carol", second)
    decided = [Change("d1", second, 1, "rating", -1.0), Change("d2", second, 0, "submit", None)]
    record(engine, project.id, "Carol", decided, role="adjudicate")
    record(engine, project.id, "Ann", [Change("left", first, 1, "rating", 1.0)])
    release(engine, project.id, "Ann")
    close_project(engine, project.id, True)
    return engine


def everything(engine: Database) -> dict[str, Any]:
    """All that must come back: but for ids, which are the database's own."""
    project = project_of(engine, "first")
    keys = {row.id: (row.run_uid, row.question_key) for row in item_rows(engine, project.id, limit=50)}
    events = [
        (
            each.uid,
            keys[each.item_id],
            each.number,
            each.field,
            each.value,
            each.annotator,
            each.role,
            each.at,
            each.seconds,
        )
        for each in history(engine, project.id)
    ]
    return {
        "settings": (project.rubric, project.blind, project.overlap, project.seed, project.sample, project.closed),
        "counts": (project.items, project.controls, project.submitted, project.people, project.disputed),
        "items": [
            (row.run_uid, row.question_key, row.control, row.reference, row.held, row.submitted)
            for row in item_rows(engine, project.id, limit=50)
        ],
        "history": sorted(events),
        "labels": [
            (keys[each.item_id], each.number, each.field, each.value, each.annotator, each.role, each.state, each.at)
            for each in labels(engine, project.id, submitted=False)
        ],
        "slots": {
            (person, role): [(keys[slot.item_id], slot.state) for slot in slots_of(engine, project.id, person, role)]
            for person in annotators(engine, project.id)
            for role in ("label", "adjudicate")
        },
    }


def emptied(runs: Path, engine: Database) -> Database:
    """The database wiped and the runs read into it again."""
    engine.dispose()
    for file in runs.glob("steper.db*"):
        file.unlink()
    return open_labels(runs)


def moved(
    engine: Database, suffix: str, runs: Path, rubric: LabelRubric | None = None
) -> tuple[Database, bytes, ImportReport]:
    """Export, wipe, import."""
    data = write_labels(labels_of(engine, project_of(engine, "first")), suffix)
    fresh = emptied(runs, engine)
    assert list_projects(fresh) == ()
    return fresh, data, import_labels(fresh, read_labels(data, suffix), Wishes(rubric=rubric))


def test_json_lines_bring_everything_back(runs: Path) -> None:
    engine = labelled(runs)
    before = everything(engine)
    assert {state for slots in before["slots"].values() for _, state in slots} == {"held", "submitted", "skipped"}
    fresh, data, report = moved(engine, ".jsonl", runs)
    assert report.problems == () and report.created == ("first",)
    assert report.changes == len(before["history"])
    assert everything(fresh) == before
    # Written again, it is the same file.
    assert write_labels(labels_of(fresh, project_of(fresh, "first")), ".jsonl") == data


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_tables_bring_labels_history_and_slots_back(runs: Path, suffix: str) -> None:
    engine = labelled(runs)
    before = everything(engine)
    fresh, _, report = moved(engine, suffix, runs, RUBRIC)
    assert report.problems == ()
    after = everything(fresh)
    assert after["history"] == before["history"]
    assert after["labels"] == before["labels"]
    # A slot without any change leaves no row.
    touched = {(whom, item) for _, item, _, _, _, whom, _, _, _ in before["history"]}
    for (person, role), slots in before["slots"].items():
        kept = [slot for slot in slots if (person, slot[0]) in touched]
        assert sorted(after["slots"].get((person, role), [])) == sorted(kept)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_importing_twice_changes_nothing(runs: Path, suffix: str) -> None:
    fresh, data, first = moved(labelled(runs), suffix, runs, RUBRIC)
    before = everything(fresh)
    again = import_labels(fresh, read_labels(data, suffix))
    assert (again.changes, again.known, again.items, again.created) == (0, first.changes, 0, ())
    assert everything(fresh) == before


def test_an_older_file_takes_no_newer_label_and_no_submission_back(runs: Path) -> None:
    engine = labelled(runs)
    before = everything(engine)

    def yesterday(row: dict[str, Any]) -> None:
        row["steper"]["state"] = "held"
        for change in row["steper"]["history"]:
            change["uid"] += "-before"
            change["at"] = f"2026-01-01{change['at'][10:]}"
            if change["field"] == "rating":
                change["value"] = 0.0

    report = import_labels(engine, read_labels(edited(engine, yesterday), ".jsonl"))
    assert (report.changes, report.problems) == (len(before["history"]), ())
    after = everything(engine)
    for name in ("labels", "slots", "counts"):
        assert after[name] == before[name]
    # Files and what is trained on tell the same labels, though the older changes were stored after them.
    written = {
        (share.item.chain, number, field, change.value, share.annotator, share.role)
        for share in labels_of(engine, project_of(engine, "first")).shares
        for (number, field), change in share.current.items()
    }
    assert written == {row[:6] for row in before["labels"]}


def test_labels_come_into_a_project_of_another_name_too(runs: Path) -> None:
    engine = labelled(runs)
    data = write_labels(labels_of(engine, project_of(engine, "first")), ".jsonl")
    report = import_labels(engine, read_labels(data, ".jsonl"), Wishes(project="second"))
    assert report.created == ("second",) and report.known == 0
    assert len(history(engine, project_of(engine, "second").id)) == report.changes


def test_a_table_without_rubric_needs_one(runs: Path) -> None:
    with pytest.raises(UserError, match="--rubric"):
        moved(labelled(runs), ".csv", runs)


def edited(engine: Database, change: Any) -> bytes:
    """The export with each line put through `change`."""
    lines = write_labels(labels_of(engine, project_of(engine, "first")), ".jsonl").decode().splitlines()
    rows = [json.loads(line) for line in lines]
    for row in rows:
        change(row)
    return "\n".join(json.dumps(row) for row in rows).encode()


def _other_text(row: dict[str, Any]) -> None:
    if row["steper"]["item"]["question"] == "q2":
        row["label"]["steps"][1]["completions"][0]["text"] = "Something else."


def _unknown_run(row: dict[str, Any]) -> None:
    if row["steper"]["item"]["run"] == "two":
        row["steper"]["item"]["run_uid"] = "nowhere"


def _unknown_question(row: dict[str, Any]) -> None:
    if row["steper"]["item"]["question"] == "q3":
        row["steper"]["item"]["question"] = "q99"


def _long_name(row: dict[str, Any]) -> None:
    if row["labeler"] == "=Bob":
        row["labeler"] = "b" * 61


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_other_text, "the text of step 2 differs"),
        (_unknown_run, "unknown run 'two' (uid nowhere)"),
        (_unknown_question, "unknown question 'q99' of run 'one'"),
        (_long_name, "name has 1 to 60 characters"),
    ],
)
def test_a_share_that_does_not_fit_costs_only_itself(runs: Path, change: Any, said: str) -> None:
    engine = labelled(runs)
    data = edited(engine, change)
    whole = len(history(engine, project_of(engine, "first").id))
    fresh = emptied(runs, engine)
    report = import_labels(fresh, read_labels(data, ".jsonl"))
    assert report.problems and all(said in problem.reason for problem in report.problems)
    lost = {json.loads(line)["labeler"]: 0 for line in data.decode().splitlines()}
    assert lost and 0 < report.changes < whole


@pytest.mark.parametrize(
    ("number", "field", "value", "said"),
    [
        (1, "mood", 1.0, "unknown field 'mood' of a step"),
        (0, "rating", 1.0, "unknown field 'rating' of the whole chain"),
        (1, "rating", 5.0, "unknown value 5.0 of rating; there are -1, 0, 1"),
        (1, "rating", "good", "unknown value 'good'"),
        (1, "tags", ("nonsense",), "unknown tag 'nonsense'"),
        (1, "tags", "premature", "tags are a list"),
        (1, "comment", 1.0, "a comment is a text"),
        (1, "comment", "x" * 20_001, "20,001 characters"),
        (3, "rating", 1.0, "step 3 of a chain of 2"),
        (1, "submit", None, "of the whole item"),
    ],
)
def test_a_change_that_does_not_fit_is_told_and_the_others_come_in(
    runs: Path, number: int, field: str, value: Any, said: str
) -> None:
    engine = labelled(runs)

    def spoil(row: dict[str, Any]) -> None:
        for change in row["steper"]["history"]:
            if change["uid"] == "Ann-q2-0":
                change.update(number=number, field=field, value=value)

    data = edited(engine, spoil)
    whole = len(history(engine, project_of(engine, "first").id))
    fresh = emptied(runs, engine)
    report = import_labels(fresh, read_labels(data, ".jsonl"))
    (problem,) = report.problems
    assert said in problem.reason
    assert report.changes == whole - 1


def test_labels_whose_runs_are_not_stored_make_no_project(runs: Path) -> None:
    engine = labelled(runs)
    data = write_labels(labels_of(engine, project_of(engine, "first")), ".jsonl")
    elsewhere = open_labels(runs / "elsewhere")
    with pytest.raises(UserError, match=r"nothing in it can be imported; .* line 1: unknown run 'one'"):
        import_labels(elsewhere, read_labels(data, ".jsonl"))
    assert list_projects(elsewhere) == ()


def foreign(runs: Path, key: str, *, ratings: tuple[int | None, ...] = (1, -1), reason: str = "found_error") -> bytes:
    run = RunDir(runs / "one")
    question = next(each for each in run.questions() if each.id == key)
    chain = next(each for each in run.chains() if each.question_id == key)
    row = {
        "labeler": "340d",
        "timestamp": "2023-01-22T04:34:27.052924",
        "question": {"problem": question.text, "pre_generated_steps": list(chain.rationales)},
        "label": {
            "steps": [
                {"completions": [{"text": text, "rating": rating}], "chosen_completion": 0}
                for text, rating in zip(chain.rationales, ratings, strict=False)
            ],
            "total_time": 3000,
            "finish_reason": reason,
        },
    }
    return json.dumps(row).encode()


def test_lines_of_another_tool_find_their_chain_by_its_words(runs: Path) -> None:
    engine = open_labels(runs)
    ids = tuple(run.id for run in list_runs(engine) if run.name == "one")
    wishes = Wishes(project="other", rubric=RUBRIC, run_ids=ids)
    read = read_labels(foreign(runs, "q4"), ".jsonl")
    report = import_labels(engine, read, wishes)
    assert report.problems == () and report.changes == 3
    project = project_of(engine, "other")
    assert [(each.question_key, each.number, each.value) for each in labels(engine, project.id)] == [
        ("q4", 1, 1.0),
        ("q4", 2, -1.0),
    ]
    assert import_labels(engine, read, wishes).changes == 0
    skipped = import_labels(engine, read_labels(foreign(runs, "q5", reason="give_up"), ".jsonl"), wishes)
    assert skipped.items == 1
    assert {slot.state for slot in slots_of(engine, project.id, "340d")} == {"submitted", "skipped"}


def test_lines_of_another_tool_that_fit_no_chain_or_several_are_told(runs: Path) -> None:
    store_run(runs, "one again", right=())
    engine = open_labels(runs)
    ids = {run.name: run.id for run in list_runs(engine)}
    (one, again, two) = (ids[name] for name in ("one", "one again", "two"))
    read = read_labels(foreign(runs, "q4"), ".jsonl")
    for run_ids, said in (
        ((one, again), "2 stored chains"),
        ((two,), "no stored chain of this question has these steps"),
        ((), "no stored chain answers"),
    ):
        with pytest.raises(UserError, match="--project"):
            import_labels(engine, read)
        with pytest.raises(UserError, match=said):
            import_labels(engine, read, Wishes("p", RUBRIC, run_ids))
    assert list_projects(engine) == ()


def test_step_data_holds_what_people_agree_on(runs: Path) -> None:
    engine = labelled(runs)
    data = step_data(labels_of(engine, project_of(engine, "first")))
    found = {(each.question_id, each.step): each for each in data.labels}
    # q2: Ann rejects step 1 and Bob does not; Carol decides. Both keep step 2. q3: Ann alone rejects step 1.
    assert {place: (each.kept, each.by, each.people) for place, each in found.items()} == {
        ("q2", 1): (False, "adjudicated", 3),
        ("q2", 2): (True, "majority", 2),
        ("q3", 1): (False, "single", 1),
    }
    assert data.undecided == 0
    assert (found["q2", 1].dataset, found["q2", 1].rationale) == ("worlds", "rationale 1")
    assert found["q2", 1].verdicts == {"rating": -1.0}


def test_steps_on_which_people_differ_are_left_out_and_counted(runs: Path) -> None:
    engine = open_labels(runs)
    uid = next(run.uid for run in list_runs(engine) if run.name == "one")
    rubric = RUBRIC.model_dump(mode="json")
    items = tuple(NewItem(uid, number) for number in range(1, len(KEYS) + 1))
    create_project(engine, NewProject("first", rubric, True, 3, 0, {}, items))
    for person, rating, tags in (("A", -1.0, ("premature",)), ("B", -1.0, ("premature", "repetition")), ("C", 1.0, ())):
        label(engine, "first", person, {"q1": [(1, "rating", rating), (1, "tags", tags)]})
    label(engine, "first", "D", {})
    data = step_data(labels_of(engine, project_of(engine, "first")))
    ((step),) = data.labels
    assert (step.kept, step.by, step.people, step.tags) == (False, "majority", 3, ("premature",))
    # Whoever decides the rating starts from a blank card: nothing is said on tags by that, and something by giving one.
    for count, (fields, tags) in enumerate(
        [([("rating", 1.0)], ("premature",)), ([("tags", ("wrong_entity",))], ("wrong_entity",))]
    ):
        decide(engine, "q1", count, fields)
        ((step),) = step_data(labels_of(engine, project_of(engine, "first"))).labels
        assert (step.kept, step.by, step.tags) == (True, "adjudicated", tags)
    label(engine, "first", "A", {"q2": [(1, "rating", 1.0)]})
    label(engine, "first", "B", {"q2": [(1, "rating", 0.0)]})
    data = step_data(labels_of(engine, project_of(engine, "first")))
    assert (len(data.labels), data.undecided) == (1, 1)
