"""Bringing labels back from a file: exact authors, times and ids, however often it is done."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from db.annotation_models import AnnotationEvent, SlotRow
from db.annotation_slots import bump_labels, now, person_id, put_slot
from db.annotation_views import SUBMIT, Change, HistoryRow, Restored, RestoredSlot
from db.annotations import store_event
from db.bulk import chunks
from db.session import writing

_AT_ONCE = 500


def restore(engine: Engine, project_id: int, changes: Sequence[HistoryRow], slots: Sequence[RestoredSlot]) -> Restored:
    """Store changes with their authors and times, in the order of time, and bring slots into their states.

    A change that is there already, by its uid, stays as it is, and so does a slot to which nothing new came. An import
    may leave an item with more people than the project's overlap asks for: nobody's work is dropped.
    """
    with writing(engine) as connection:
        known = _known(connection, project_id, [change.uid for change in changes])
        fresh = {change.uid: change for change in changes if change.uid not in known}
        names = {change.annotator for change in fresh.values()} | {slot.annotator for slot in slots}
        people = {name: person_id(connection, name) for name in sorted(names)}
        ends: dict[tuple[int, str, str], HistoryRow] = {}
        seconds: dict[tuple[int, str, str], float] = {}
        for change in sorted(fresh.values(), key=lambda each: each.at):
            made = Change(change.uid, change.item_id, change.number, change.field, change.value, change.seconds)
            store_event(connection, project_id, people[change.annotator], change.role, made, change.at)
            whose = (change.item_id, change.annotator, change.role)
            ends[whose] = change
            if change.field == SUBMIT and change.seconds is not None:
                seconds[whose] = change.seconds
        brought = 0
        for slot in slots:
            whose = (slot.item_id, slot.annotator, slot.role)
            if whose not in ends and _has_slot(connection, slot, people[slot.annotator]):
                continue
            at = ends[whose].at if whose in ends else now()
            person = people[slot.annotator]
            put_slot(connection, project_id, slot.item_id, person, slot.role, slot.state, at, seconds.get(whose))
            brought += 1
        if fresh or brought:
            bump_labels(connection)
        return Restored(len(fresh), brought)


def _known(connection: Connection, project_id: int, uids: Sequence[str]) -> set[str]:
    known: set[str] = set()
    for part in chunks(uids, _AT_ONCE):
        chosen = sa.select(AnnotationEvent.uid).where(
            AnnotationEvent.project_id == project_id, AnnotationEvent.uid.in_(part)
        )
        known.update(connection.scalars(chosen))
    return known


def _has_slot(connection: Connection, slot: RestoredSlot, person: int) -> bool:
    found = sa.select(SlotRow.state).where(
        SlotRow.item_id == slot.item_id, SlotRow.annotator_id == person, SlotRow.role == slot.role
    )
    return connection.execute(found).first() is not None
