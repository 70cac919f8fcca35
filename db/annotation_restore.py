"""Bringing labels back from a file: exact authors, times and ids, however often it is done."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from db.annotation_models import AnnotationEvent, SlotRow
from db.annotation_slots import bump_labels, locked_project, now, person_id, put_slot
from db.annotation_views import SUBMIT, Change, HistoryRow, Restored, RestoredSlot
from db.annotations import store_event
from db.bulk import chunks
from db.session import writing

_AT_ONCE = 500
_NEVER = datetime.datetime.min.replace(tzinfo=datetime.UTC)


def restore(engine: Engine, project_id: int, changes: Sequence[HistoryRow], slots: Sequence[RestoredSlot]) -> Restored:
    """Store changes with their authors and times, in the order of time, and bring slots into their states.

    A change that is there already, by its uid, stays as it is. The latest change counts, whichever came first: an older
    one joins the history and leaves the label, and a slot in which something was changed keeps its state unless it was
    last touched before. An import may leave an item with more people than the project's overlap asks for: nobody's work
    is dropped.
    """
    with writing(engine) as connection:
        locked_project(connection, project_id)
        known = _known(connection, project_id, [change.uid for change in changes])
        fresh = {change.uid: change for change in changes if change.uid not in known}
        names = {change.annotator for change in fresh.values()} | {slot.annotator for slot in slots}
        people = {name: person_id(connection, name) for name in sorted(names)}
        in_order = sorted(fresh.values(), key=lambda each: each.at)
        seconds = {
            (change.item_id, change.annotator, change.role): change.seconds
            for change in in_order
            if change.field == SUBMIT and change.seconds is not None
        }
        news = {whose: slot for whose, slot in _latest(slots).items() if _is_news(connection, slot, people)}
        for whose, slot in news.items():
            at = slot.at or now()
            person = people[slot.annotator]
            put_slot(connection, project_id, slot.item_id, person, slot.role, slot.state, at, seconds.get(whose))
        for change in in_order:
            made = Change(change.uid, change.item_id, change.number, change.field, change.value, change.seconds)
            store_event(connection, project_id, people[change.annotator], change.role, made, change.at, late=True)
        if fresh or news:
            bump_labels(connection)
        return Restored(len(fresh), len(news))


def _known(connection: Connection, project_id: int, uids: Sequence[str]) -> set[str]:
    known: set[str] = set()
    for part in chunks(uids, _AT_ONCE):
        chosen = sa.select(AnnotationEvent.uid).where(
            AnnotationEvent.project_id == project_id, AnnotationEvent.uid.in_(part)
        )
        known.update(connection.scalars(chosen))
    return known


def _latest(slots: Iterable[RestoredSlot]) -> dict[tuple[int, str, str], RestoredSlot]:
    """Each slot as it was last: joined exports tell it once each."""
    in_order = sorted(slots, key=lambda slot: slot.at or _NEVER)
    return {(slot.item_id, slot.annotator, slot.role): slot for slot in in_order}


def _is_news(connection: Connection, slot: RestoredSlot, people: Mapping[str, int]) -> bool:
    """Whether a slot is not there, was only handed out, or was touched before the last change that the file tells."""
    person = people[slot.annotator]
    touched = connection.scalar(
        sa.select(SlotRow.touched).where(
            SlotRow.item_id == slot.item_id, SlotRow.annotator_id == person, SlotRow.role == slot.role
        )
    )
    if touched is None or slot.at is None:
        return touched is None
    changed = sa.select(AnnotationEvent.id).where(
        AnnotationEvent.item_id == slot.item_id,
        AnnotationEvent.annotator_id == person,
        AnnotationEvent.role == slot.role,
    )
    return slot.at > touched or connection.execute(changed).first() is None
