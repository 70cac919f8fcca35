"""Who labels what: slots are handed out, given back, taken over and decided, and never to two people."""

from __future__ import annotations

import datetime
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from db.annotation_models import SlotRow
from db.annotation_slots import adjudicate, hand_out, held_by_others, release
from db.annotation_views import Change
from db.annotations import close_project, record
from db.queries_annotations import (
    annotators,
    get_project,
    history,
    item_row,
    item_rows,
    labels,
    slots_of,
)
from db.queries_progress import progress
from db.session import writing
from steper_core.errors import UserError

from .labelling import Order, change, finish


def test_items_are_handed_out_in_order_and_never_beyond_the_overlap(engine: sa.Engine, order: Order) -> None:
    project = order(count=3, overlap=2)
    assert [slot.item_id for slot in hand_out(engine, project, "ann", ahead=2)] == [1, 2]
    assert [slot.item_id for slot in hand_out(engine, project, "bob", ahead=9)] == [1, 2, 3]
    # One and two are with two people already.
    assert [slot.item_id for slot in hand_out(engine, project, "eve", ahead=9)] == [3]
    assert hand_out(engine, project, "joe") == ()
    # Asked again, everybody gets what they hold.
    assert [slot.item_id for slot in hand_out(engine, project, "ann", ahead=2)] == [1, 2]
    assert [(row.held, row.submitted) for row in item_rows(engine, project)] == [(2, 0), (2, 0), (2, 0)]


def test_controls_are_for_everybody(engine: sa.Engine, order: Order) -> None:
    project = order(count=1, controls=1)
    assert [slot.item_id for slot in hand_out(engine, project, "ann")] == [1, 2]
    assert [slot.item_id for slot in hand_out(engine, project, "bob")] == [2]
    control = item_row(engine, 2)
    assert control is not None and control.control and control.reference == {"1/rating": 1}


def test_nobody_gets_an_item_twice_and_a_skipped_one_goes_to_others(engine: sa.Engine, order: Order) -> None:
    project = order(count=2)
    hand_out(engine, project, "ann")
    finish(engine, project, "ann", 1, 1, 1)
    record(engine, project, "ann", [Change("s", 2, 0, "skip", None)])
    assert hand_out(engine, project, "ann") == ()
    assert [slot.item_id for slot in hand_out(engine, project, "bob")] == [2]
    assert [(slot.item_id, slot.state) for slot in slots_of(engine, project, "ann")] == [
        (1, "submitted"),
        (2, "skipped"),
    ]


def test_twenty_people_at_once_never_hold_the_same_slot(engine: sa.Engine, order: Order) -> None:
    project = order(count=12, overlap=2)
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda number: hand_out(engine, project, f"p{number}", ahead=3), range(20)))
    given = Counter(slot.item_id for slots in found for slot in slots)
    assert given == dict.fromkeys(range(1, 13), 2)
    with engine.connect() as connection:
        places = connection.execute(sa.select(SlotRow.item_id, SlotRow.place)).all()
    assert sorted(map(tuple, places)) == [(item, place) for item in range(1, 13) for place in (1, 2)]


def test_a_released_slot_goes_to_others_and_its_drafts_stay_in_the_history(engine: sa.Engine, order: Order) -> None:
    project = order(count=1)
    hand_out(engine, project, "ann")
    record(engine, project, "ann", [change(1)])
    assert release(engine, project, "bob") == 0
    assert release(engine, project, "ann") == 1
    assert "given back" in record(engine, project, "ann", [change(1, uid="late")]).refused["late"]
    assert [slot.item_id for slot in hand_out(engine, project, "bob")] == [1]
    assert len(history(engine, project)) == 1
    # Given back by bob it may come to ann again, with what she had drafted.
    release(engine, project)
    assert [slot.item_id for slot in hand_out(engine, project, "ann")] == [1]
    assert [row.value for row in labels(engine, project, submitted=False)] == [1.0]


def test_a_slot_that_was_left_for_a_day_is_taken_over_when_nothing_else_is_left(
    engine: sa.Engine, order: Order
) -> None:
    project = order(count=2)
    hand_out(engine, project, "ann", ahead=1)
    with writing(engine) as connection:
        old = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=25)
        connection.execute(sa.update(SlotRow).values(touched=old))
    assert [slot.item_id for slot in hand_out(engine, project, "bob", ahead=1)] == [2]
    assert [slot.item_id for slot in hand_out(engine, project, "bob", ahead=2)] == [1, 2]
    assert "given back" in record(engine, project, "ann", [change(1, uid="late")]).refused["late"]


def test_a_slot_is_not_taken_from_anybody_while_its_item_has_room(engine: sa.Engine, order: Order) -> None:
    project = order(count=2, overlap=2)
    hand_out(engine, project, "ann", ahead=5)
    with writing(engine) as connection:
        old = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=25)
        connection.execute(sa.update(SlotRow).values(touched=old))
    assert [slot.item_id for slot in hand_out(engine, project, "bob", ahead=5)] == [1, 2]
    assert [slot.state for slot in slots_of(engine, project, "ann")] == ["held", "held"]
    assert record(engine, project, "ann", [change(1)]).refused == {}
    # For a third one there is no room: what ann has touched now stays hers, the other item is taken over.
    assert [slot.item_id for slot in hand_out(engine, project, "eve", ahead=5)] == [2]


def test_an_item_may_be_reopened_and_what_was_skipped_needs_room(engine: sa.Engine, order: Order) -> None:
    project = order(count=1)
    hand_out(engine, project, "ann")
    finish(engine, project, "ann", 1, 1, 1)
    record(engine, project, "ann", [Change("again", 1, 0, "reopen", None)])
    assert [slot.state for slot in slots_of(engine, project, "ann")] == ["held"]
    record(engine, project, "ann", [Change("away", 1, 0, "skip", None)])
    hand_out(engine, project, "bob")
    refused = record(engine, project, "ann", [Change("back", 1, 0, "submit", None)]).refused
    assert refused == {"back": "enough people have labelled this item meanwhile"}


def test_one_decides_and_the_dispute_is_over(engine: sa.Engine, order: Order) -> None:
    project = order(count=2, overlap=2)
    for person, value in (("ann", 1.0), ("bob", -1.0)):
        hand_out(engine, project, person)
        finish(engine, project, person, 1, value, 1)
        finish(engine, project, person, 2, 1, 1)
    found = get_project(engine, "first")
    assert found is not None and (found.submitted, found.people, found.disputed) == (4, 2, 1)
    assert adjudicate(engine, project, "eve", 1).state == "held"
    with pytest.raises(UserError, match="eve decides this item"):
        adjudicate(engine, project, "ann", 1)
    assert adjudicate(engine, project, "eve", 1).state == "held"
    record(engine, project, "eve", [change(1, -1.0), Change("d", 1, 0, "submit", None)], role="adjudicate")
    found = get_project(engine, "first")
    assert found is not None and found.disputed == 0
    assert [(row.annotator, row.role, row.value) for row in labels(engine, project, item_id=1) if row.number == 1] == [
        ("ann", "label", 1.0),
        ("bob", "label", -1.0),
        ("eve", "adjudicate", -1.0),
    ]
    # Deciding is no labelling: it neither takes a place nor counts as progress.
    assert [(row.held, row.submitted) for row in item_rows(engine, project)] == [(0, 2), (0, 2)]
    assert [row.annotator for row in progress(engine, project)] == ["ann", "bob"]
    assert annotators(engine, project) == ("ann", "bob", "eve")


def test_who_labels_an_item_does_not_decide_it_and_who_decides_it_labels_it_no_more(
    engine: sa.Engine, order: Order
) -> None:
    project = order(count=2, overlap=3)
    for person, value in (("ann", 1.0), ("bob", -1.0)):
        hand_out(engine, project, person)
        finish(engine, project, person, 1, value, 1)
    hand_out(engine, project, "eve")
    with pytest.raises(UserError, match="you are labelling this item"):
        adjudicate(engine, project, "eve", 1)
    finish(engine, project, "eve", 1, 1, 1)
    assert adjudicate(engine, project, "eve", 1).state == "held"
    late = record(engine, project, "eve", [Change("again", 1, 0, "reopen", None), change(2, uid="other")])
    assert list(late.stored) == ["other"] and "have read what others said" in late.refused["again"]
    # Nor is an item handed out for labelling to somebody who decided it.
    adjudicate(engine, project, "joe", 2)
    assert [slot.item_id for slot in hand_out(engine, project, "joe")] == []
    release(engine, project, "joe")
    assert [slot.item_id for slot in hand_out(engine, project, "joe")] == []


def test_a_decision_that_is_skipped_is_left_to_others(engine: sa.Engine, order: Order) -> None:
    project = order(count=1, overlap=2)
    adjudicate(engine, project, "eve", 1)
    record(engine, project, "eve", [Change("s", 1, 0, "skip", None)], role="adjudicate")
    assert adjudicate(engine, project, "eve", 1).state == "skipped"
    assert adjudicate(engine, project, "joe", 1).state == "held"
    with pytest.raises(UserError, match="joe decides this item"):
        adjudicate(engine, project, "eve", 1)
    close_project(engine, project, True)
    assert adjudicate(engine, project, "joe", 1).state == "held"
    release(engine, project, "joe")
    with pytest.raises(UserError, match="the project is closed"):
        adjudicate(engine, project, "joe", 1)


def test_only_what_others_hold_may_come_free(engine: sa.Engine, order: Order) -> None:
    project = order(count=2, overlap=2)
    hand_out(engine, project, "ann", ahead=2)
    assert held_by_others(engine, project, "bob") and not held_by_others(engine, project, "ann")
    hand_out(engine, project, "bob", ahead=2)
    # Both have all there is for them, whatever the other does.
    assert not held_by_others(engine, project, "bob") and not held_by_others(engine, project, "ann")
    assert held_by_others(engine, project, "cara")
    for person in ("ann", "bob"):
        finish(engine, project, person, 1, 1, 0)
        finish(engine, project, person, 2, 1, 0)
    assert not held_by_others(engine, project, "cara")
