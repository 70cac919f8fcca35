"""How far people are with a labelling project."""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine

from db.annotation_models import Annotation, Annotator, Item, SlotRow
from db.annotation_views import HELD, LABEL, RELEASED, SKIPPED, SUBMITTED, ProgressRow
from db.session import reading


def submitted_count(engine: Engine, project_id: int) -> int:
    """How many slots of a project's items (controls not counted) were submitted."""
    chosen = (
        sa.select(sa.func.count())
        .select_from(SlotRow)
        .join(Item, Item.id == SlotRow.item_id)
        .where(SlotRow.project_id == project_id, SlotRow.role == LABEL, SlotRow.state == SUBMITTED, ~Item.control)
    )
    with reading(engine) as connection:
        return connection.execute(chosen).scalar_one()


def pace_of(engine: Engine, project_id: int, annotator: str) -> tuple[int, float | None]:
    """How many items a person submitted as a labeller, and the median of the seconds these took; None if none is known.

    What `progress` tells of everybody, at the cost of one person: it is asked for with every label.
    """
    chosen = (
        sa.select(SlotRow.seconds)
        .join(Annotator, Annotator.id == SlotRow.annotator_id)
        .where(
            SlotRow.project_id == project_id,
            SlotRow.role == LABEL,
            SlotRow.state == SUBMITTED,
            Annotator.name == annotator,
        )
    )
    with reading(engine) as connection:
        found = list(connection.scalars(chosen))
    return len(found), _median([seconds for seconds in found if seconds is not None])


def progress(engine: Engine, project_id: int) -> tuple[ProgressRow, ...]:
    """How far each person is with labelling (not deciding), by name."""
    slots = (
        sa.select(Annotator.name, SlotRow.state, SlotRow.seconds, SlotRow.touched)
        .join(SlotRow, SlotRow.annotator_id == Annotator.id)
        .where(SlotRow.project_id == project_id, SlotRow.role == LABEL)
    )
    given = (
        sa.select(Annotator.name, sa.func.count().label("labels"))
        .join(Annotation, Annotation.annotator_id == Annotator.id)
        .join(Item, Item.id == Annotation.item_id)
        .where(Item.project_id == project_id, Annotation.role == LABEL)
        .group_by(Annotator.name)
    )
    with reading(engine) as connection:
        rows = connection.execute(slots).all()
        counts = {row.name: row.labels for row in connection.execute(given)}
    by_name: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        by_name[row.name].append(row)
    return tuple(_progress(name, own, counts.get(name, 0)) for name, own in sorted(by_name.items()))


def _progress(name: str, slots: list[Any], given: int) -> ProgressRow:
    seconds = [slot.seconds for slot in slots if slot.state == SUBMITTED and slot.seconds is not None]
    count = {state: sum(slot.state == state for slot in slots) for state in (SUBMITTED, SKIPPED, HELD, RELEASED)}
    return ProgressRow(
        annotator=name,
        submitted=count[SUBMITTED],
        skipped=count[SKIPPED],
        held=count[HELD],
        labels=given,
        timed=len(seconds),
        seconds=sum(seconds),
        median_seconds=_median(seconds),
        last=max(slot.touched for slot in slots),
    )


def _median(seconds: list[float]) -> float | None:
    return statistics.median(seconds) if seconds else None
