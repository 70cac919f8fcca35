"""Labelling in the database: slots that two never hold, changes that are never lost or doubled, and their history."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from db.annotation_slots import adjudicate, hand_out
from db.annotation_views import Change, NewItem
from db.annotations import add_items, close_project, delete_project, record
from db.ingest import ingest
from db.manage import delete_run
from db.queries_annotations import (
    annotators,
    chain_labels,
    get_project,
    history,
    item_row,
    item_rows,
    labels,
    labels_revision,
    list_projects,
)
from db.queries_progress import pace_of, progress
from db.queries_questions import list_questions
from db.queries_runs import list_runs, revision
from db.views import QuestionFilter
from steper_core.errors import UserError

from .labelling import NOW, Order, change, finish
from .samples import RunMaker, contents, make_score


def test_a_project_is_found_by_its_name_with_what_it_holds(engine: sa.Engine, order: Order) -> None:
    order(count=2, controls=1, name="  a   project ", overlap=2)
    project = get_project(engine, "a project")
    assert project is not None
    assert (project.items, project.controls, project.submitted, project.people, project.disputed) == (2, 1, 0, 0, 0)
    assert (project.blind, project.overlap, project.seed, project.closed) == (True, 2, 7, False)
    assert (project.rubric, project.sample) == ({"name": "steps"}, {"sample": "random"})
    assert list_projects(engine) == (project,)
    assert get_project(engine, "another") is None
    assert get_project(engine, "a  project\n") == project


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": " "}, "name of 1 to 80"),
        ({"name": "x" * 81}, "name of 1 to 80"),
        ({"count": 0}, "no items"),
        ({"overlap": 0}, "1 or more"),
        ({"overlap": 2**31}, "2147483647 is the most"),
        ({"seed": 2**63}, "a seed of 9223372036854775808 cannot be stored"),
        ({"name": "taken"}, "named 'taken' already"),
    ],
)
def test_what_makes_no_project(engine: sa.Engine, order: Order, changes: dict[str, Any], said: str) -> None:
    order(name="taken")
    before = contents(engine)
    with pytest.raises(UserError, match=said):
        order(**changes)
    assert contents(engine) == before


def test_changes_of_many_people_at_once_are_all_kept_and_none_twice(engine: sa.Engine, order: Order) -> None:
    project = order(count=1, overlap=20)
    people = [f"p{number}" for number in range(20)]
    for person in people:
        hand_out(engine, project, person)

    def work(person: str) -> None:
        for turn in range(6):
            # As a browser does that got no answer: it sends again what it sent.
            made = [change(1, float(value), uid=f"{person}-{value}") for value in range(turn + 1)]
            assert record(engine, project, person, made).refused == {}

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(work, people))
    kept = history(engine, project)
    assert Counter(row.annotator for row in kept) == dict.fromkeys(people, 6)
    for person in people:
        assert [row.value for row in kept if row.annotator == person] == [0, 1, 2, 3, 4, 5]
    assert {row.value for row in labels(engine, project, submitted=False)} == {5}


def test_the_latest_change_holds_and_the_history_keeps_all(engine: sa.Engine, order: Order) -> None:
    project = order()
    hand_out(engine, project, "ann")
    made = [
        change(1, 1.0),
        change(1, -1.0),
        change(1, ("wrong_entity", "premature"), "tags"),
        change(1, "no\x00 \ud800 idea", "comment", 0, uid="words"),
        change(1, 0.5, "verdict", 0),
        Change("cleared", 1, 0, "verdict", None),
    ]
    assert record(engine, project, "ann", made, at=NOW).stored == tuple(each.uid for each in made)
    found = {(row.number, row.field): row.value for row in labels(engine, project, submitted=False)}
    assert found == {
        (0, "comment"): "no\ufffd \ufffd idea",
        (1, "rating"): -1.0,
        (1, "tags"): ("wrong_entity", "premature"),
    }
    assert labels(engine, project) == ()
    told = history(engine, project, item_id=1, annotator="ann")
    assert [(row.number, row.field) for row in told] == [(each.number, each.field) for each in made]
    assert {row.at for row in told} == {NOW}
    assert history(engine, project, annotator="bob") == ()


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (change(99), "not handed out to you"),
        (change(3), "not handed out to you"),
        (change(1, number=3), "the chain has 2 steps"),
        (change(1, number=-1), "steps count from 1"),
        (change(1, "x" * 20_001, "comment", uid="long"), "a comment may have 20,000 characters, this one has 20,001"),
        (change(1, uid="x" * 201), "no usable id"),
        (change(1, uid="a\x00"), "no usable id"),
    ],
)
def test_what_is_refused_and_why(engine: sa.Engine, order: Order, made: Change, reason: str) -> None:
    project = order()
    hand_out(engine, project, "ann", ahead=2)
    good = change(2)
    found = record(engine, project, "ann", [made, good])
    assert found.stored == (good.uid,)
    assert reason in found.refused[made.uid]
    assert len(history(engine, project)) == 1


def test_nothing_is_recorded_or_handed_out_while_a_project_is_closed(engine: sa.Engine, order: Order) -> None:
    project = order()
    hand_out(engine, project, "ann", ahead=1)
    close_project(engine, project, True)
    assert record(engine, project, "ann", [change(1, uid="x")]).refused == {"x": "the project is closed"}
    assert hand_out(engine, project, "bob") == ()
    close_project(engine, project, False)
    assert record(engine, project, "ann", [change(1, uid="x")]).stored == ("x",)


def test_progress_counts_labels_time_and_states(engine: sa.Engine, order: Order) -> None:
    project = order(count=3)
    hand_out(engine, project, "ann", ahead=3)
    finish(engine, project, "ann", 1, 1, 0)
    finish(engine, project, "ann", 2, 1, -1)
    (row,) = progress(engine, project)
    assert (row.submitted, row.skipped, row.held, row.labels) == (2, 0, 1, 4)
    assert (row.timed, row.seconds, row.median_seconds) == (2, 30.0, 15.0)
    assert row.last is not None and row.last.tzinfo is not None
    assert pace_of(engine, project, "ann") == (2, 15.0) and pace_of(engine, project, "bob") == (0, None)
    # Of what was brought in no time may be known: it tells nothing of a pace.
    untimed = [change(3, 1.0, uid="u1"), change(3, 1.0, number=2, uid="u2"), Change("u3", 3, 0, "submit", None)]
    assert record(engine, project, "ann", untimed).refused == {}
    (row,) = progress(engine, project)
    assert (row.submitted, row.timed, row.seconds, row.median_seconds) == (3, 2, 30.0, 15.0)


def test_labels_stay_when_their_run_is_forgotten_and_show_again_when_it_comes_back(
    engine: sa.Engine, order: Order, make_run: RunMaker
) -> None:
    project = order()
    hand_out(engine, project, "ann")
    finish(engine, project, "ann", 1, 1, 0)
    (run,) = list_runs(engine)
    shown = chain_labels(engine, 1, (run.id,))
    assert [(label.project, label.annotator, label.number, label.value) for label in shown[run.id]] == [
        ("first", "ann", 1, 1.0),
        ("first", "ann", 2, 0.0),
    ]
    before = labels(engine, project)
    delete_run(engine, run.id)
    row = item_row(engine, 1)
    assert row is not None and row.run_id is None
    assert labels(engine, project) == before
    ingest(engine, make_run().path)
    (again,) = list_runs(engine)
    assert chain_labels(engine, 1, (again.id,))[again.id] == shown[run.id]


def test_labels_have_a_revision_of_their_own(engine: sa.Engine, order: Order) -> None:
    runs, own = revision(engine), labels_revision(engine)
    project = order()
    hand_out(engine, project, "ann")
    before = labels_revision(engine)
    record(engine, project, "ann", [change(1)])
    assert labels_revision(engine) == before + 1 > own
    hand_out(engine, project, "ann")
    assert labels_revision(engine) == before + 1
    assert revision(engine) == runs


def test_a_project_goes_with_all_its_labels_and_leaves_the_others(engine: sa.Engine, order: Order) -> None:
    kept = order(name="kept")
    hand_out(engine, kept, "ann")
    before = contents(engine)
    gone = order(name="gone")
    hand_out(engine, gone, "ann")
    record(engine, gone, "ann", [change(4)])
    delete_project(engine, gone)
    after = contents(engine)
    assert {name: rows for name, rows in after.items() if name != "revision"} == {
        name: rows for name, rows in before.items() if name != "revision"
    }


def test_items_are_added_once(engine: sa.Engine, order: Order) -> None:
    project = order(count=2)
    (run,) = list_runs(engine)
    assert add_items(engine, project, [NewItem(run.uid, 2), NewItem(run.uid, 5)]) == 1
    assert [row.question_id for row in item_rows(engine, project)] == [1, 2, 5]


def test_questions_are_found_by_what_people_said_and_by_their_path(
    engine: sa.Engine, order: Order, make_run: RunMaker
) -> None:
    project = order(count=3, overlap=2)
    (run,) = list_runs(engine)
    for person, value in (("ann", 1.0), ("bob", -1.0)):
        hand_out(engine, project, person)
        finish(engine, project, person, 1, 1, 1)
        finish(engine, project, person, 2, 1, value)

    def found(**where: Any) -> list[str]:
        return [row.key for row in list_questions(engine, (run.id,), QuestionFilter(**where)).rows]

    assert found(marks=("annotated",)) == ["q00", "q01"]
    assert found(marks=("annotated", "disagreed")) == found(marks=("disagreed",)) == ["q01"]
    assert found(marks=("annotated",), text="q00") == ["q00"]
    adjudicate(engine, project, "eve", 2)
    record(engine, project, "eve", [Change("d", 2, 0, "submit", None)], role="adjudicate")
    assert found(marks=("disagreed",)) == []
    assert found(marks=("wrong-path",)) == []
    # A score that comes after its chain.
    late = make_run(
        scores=[make_score("q03", 1.0, "right_by_wrong_path"), make_score("q04", 0.0, "right_by_wrong_path")]
    )
    ingest(engine, late.path)
    assert found(marks=("wrong-path",)) == ["q03"]
    with pytest.raises(ValueError, match="no such mark"):
        found(marks=("nice",))


def test_a_name_is_the_same_person_however_it_is_spaced(engine: sa.Engine, order: Order) -> None:
    project = order()
    hand_out(engine, project, " ann   lee ")
    assert record(engine, project, "ann  lee", [change(1)]).refused == {}
    assert annotators(engine, project) == ("ann lee",)
