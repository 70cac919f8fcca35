"""Labels that come back from a file: their authors, times and order, and what of them counts beside newer work."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from db.annotation_restore import restore
from db.annotation_slots import hand_out
from db.annotation_views import Change, HistoryRow, Restored, RestoredSlot
from db.annotations import delete_project, record
from db.queries_annotations import history, item_rows, labels, labels_revision, slots_of
from db.queries_progress import progress
from db.queries_runs import list_runs

from .labelling import NOW, Order, change, finish
from .samples import contents


def test_what_was_exported_comes_back_with_authors_times_and_order(engine: sa.Engine, order: Order) -> None:
    project = order(count=2, overlap=2)
    for person in ("ann", "bob"):
        hand_out(engine, project, person)
        finish(engine, project, person, 1, 1, 0 if person == "ann" else 1)
    record(engine, project, "bob", [Change("skipped", 2, 0, "skip", None)])
    kept, rows = history(engine, project), labels(engine, project, submitted=False)
    ended = {(row.item_id, row.annotator): row.at for row in kept}
    slots = [
        RestoredSlot(slot.item_id, person, "label", slot.state, ended.get((slot.item_id, person)))
        for person in ("ann", "bob")
        for slot in slots_of(engine, project, person)
    ]
    delete_project(engine, project)
    again = order(count=2, overlap=2)
    shift = item_rows(engine, again)[0].id - 1
    moved = [dataclasses.replace(row, item_id=row.item_id + shift) for row in kept]
    back = [dataclasses.replace(slot, item_id=slot.item_id + shift) for slot in slots]
    assert (restore(engine, again, moved, back).changes, labels_revision(engine)) == (
        len(kept),
        labels_revision(engine),
    )
    assert history(engine, again) == tuple(moved)
    assert [
        dataclasses.replace(row, item_id=row.item_id - shift) for row in labels(engine, again, submitted=False)
    ] == list(rows)
    states = {(slot.item_id - shift, slot.state) for slot in slots_of(engine, again, "bob")}
    assert states == {(1, "submitted"), (2, "skipped")}
    assert progress(engine, again)[0].seconds == 10.0
    before = contents(engine)
    assert restore(engine, again, moved, back) == Restored(0, 0)
    assert contents(engine) == before


def at_hour(hour: int) -> datetime.datetime:
    return NOW.replace(hour=hour)


def told(engine: sa.Engine, value: float, hour: int) -> HistoryRow:
    """Ann's rating of the first item as a file tells it."""
    (run,) = list_runs(engine)
    return HistoryRow(f"told-{hour}", 1, run.uid, 1, "q00", 1, "rating", value, "ann", "label", at_hour(hour), None)


def standing(engine: sa.Engine, project: int) -> list[tuple[Any, str]]:
    """The current ratings with the state of their slot."""
    return [(row.value, row.state) for row in labels(engine, project, submitted=False)]


def test_an_older_change_joins_the_history_and_leaves_the_label_and_the_slot(engine: sa.Engine, order: Order) -> None:
    project = order(count=1)
    hand_out(engine, project, "ann")
    done = [change(1, -1.0), Change("done", 1, 0, "submit", None, 10.0)]
    record(engine, project, "ann", done, at=at_hour(5))
    older = RestoredSlot(1, "ann", "label", "held", at_hour(1))
    assert restore(engine, project, [told(engine, 1.0, 1)], [older]) == Restored(1, 0)
    assert standing(engine, project) == [(-1.0, "submitted")]
    assert [(row.field, row.value, row.at.hour) for row in history(engine, project)] == [
        ("rating", 1.0, 1),
        ("rating", -1.0, 5),
        ("submit", None, 5),
    ]
    newer = RestoredSlot(1, "ann", "label", "held", at_hour(6))
    assert restore(engine, project, [told(engine, 0.0, 6)], [newer]) == Restored(1, 1)
    assert standing(engine, project) == [(0.0, "held")]


def test_a_change_of_the_same_moment_comes_after_the_one_that_is_there(engine: sa.Engine, order: Order) -> None:
    project = order(count=1)
    hand_out(engine, project, "ann")
    record(engine, project, "ann", [change(1, -1.0)], at=at_hour(5))
    restore(engine, project, [told(engine, 1.0, 5)], [])
    assert standing(engine, project) == [(1.0, "held")]


@pytest.mark.parametrize("hours", [(1, 5, None), (5, 1, None), (None, 5, 1)])
def test_of_several_lines_of_a_slot_the_latest_counts(
    engine: sa.Engine, order: Order, hours: tuple[int | None, ...]
) -> None:
    project = order(count=1)
    lines = [
        RestoredSlot(1, "ann", "label", "submitted" if hour == 5 else "held", at_hour(hour) if hour else None)
        for hour in hours
    ]
    assert restore(engine, project, [told(engine, -1.0, 1), told(engine, 1.0, 5)], lines) == Restored(2, 1)
    assert standing(engine, project) == [(1.0, "submitted")]


def test_work_from_before_its_item_was_handed_out_here_too_is_submitted(engine: sa.Engine, order: Order) -> None:
    project = order(count=1)
    hand_out(engine, project, "ann")
    slot = RestoredSlot(1, "ann", "label", "submitted", NOW.replace(year=2020))
    row = dataclasses.replace(told(engine, 1.0, 1), at=NOW.replace(year=2020))
    assert restore(engine, project, [row], [slot]) == Restored(1, 1)
    assert standing(engine, project) == [(1.0, "submitted")]
