"""What people do, written down: projects, slots handed out, labels with their history.

Each function is one transaction. Writers come one after the other (BEGIN IMMEDIATE in SQLite, the locked row of the
project in PostgreSQL), so what is read before something is handed out still holds when it is.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from db.annotation_models import Annotation, AnnotationEvent, Annotator, Item, Project, SlotRow
from db.annotation_slots import (
    LONGEST_PERSON,
    LONGEST_PROJECT,
    TAKEN,
    adjudicate,
    bump_labels,
    fit_name,
    hand_out,
    has_room,
    locked_project,
    now,
    put_slot,
    release,
)
from db.annotation_views import (
    ADJUDICATE,
    COMMENT,
    HELD,
    LABEL,
    LARGEST_OVERLAP,
    LARGEST_SEED,
    RELEASED,
    REOPEN,
    SKIP,
    SKIPPED,
    SUBMIT,
    SUBMITTED,
    Change,
    NewItem,
    NewProject,
    Recorded,
    Role,
)
from db.bulk import insert_missing, upsert
from db.clean import clean, clean_json
from db.models import Run, Step
from db.session import writing
from steper_core.errors import UserError

__all__ = [
    "add_items",
    "adjudicate",
    "close_project",
    "create_project",
    "delete_project",
    "hand_out",
    "record",
    "release",
]

_LONGEST_COMMENT, _LONGEST_UID = 20_000, 200


def create_project(engine: Engine, project: NewProject) -> int:
    """Store a project and return its id.

    Raises:
        UserError: its name is taken or none, it has no items, or an overlap or a seed out of bounds.
    """
    name = fit_name(project.name, "a project", LONGEST_PROJECT)
    if not project.items:
        raise UserError(f"the project {name!r} would have no items")
    if project.overlap < 1:
        raise UserError(f"an overlap of {project.overlap} leaves nobody to label: it is 1 or more")
    if project.overlap > LARGEST_OVERLAP:
        raise UserError(f"an overlap of {project.overlap} cannot be stored: {LARGEST_OVERLAP} is the most")
    if abs(project.seed) > LARGEST_SEED:
        raise UserError(f"a seed of {project.seed} cannot be stored: it is between -{LARGEST_SEED} and {LARGEST_SEED}")
    with writing(engine) as connection:
        if connection.execute(sa.select(Project.id).where(Project.name == name)).first():
            raise UserError(f"there is a project named {name!r} already")
        created = connection.execute(
            sa.insert(Project)
            .values(
                name=name,
                rubric=clean_json(project.rubric),
                blind=project.blind,
                overlap=project.overlap,
                seed=project.seed,
                sample=clean_json(project.sample),
                created=now(),
                closed=False,
            )
            .returning(Project.id)
        ).scalar_one()
        _add_items(connection, created, project.items, 0)
        bump_labels(connection)
        return created


def add_items(engine: Engine, project_id: int, items: Sequence[NewItem]) -> int:
    """Append items to a project; those it has already are left. Returns how many are new."""
    with writing(engine) as connection:
        locked_project(connection, project_id)
        last = connection.scalar(sa.select(sa.func.max(Item.position)).where(Item.project_id == project_id))
        added = _add_items(connection, project_id, items, -1 if last is None else last + 1)
        bump_labels(connection)
        return added


def close_project(engine: Engine, project_id: int, closed: bool) -> None:
    """Close a project, so that nothing more is handed out or recorded, or open it again."""
    with writing(engine) as connection:
        locked_project(connection, project_id)
        connection.execute(sa.update(Project).where(Project.id == project_id).values(closed=closed))
        bump_labels(connection)


def delete_project(engine: Engine, project_id: int) -> None:
    """Delete a project with all its labels and their history."""
    with writing(engine) as connection:
        connection.execute(sa.delete(Project).where(Project.id == project_id))
        bump_labels(connection)


def record(
    engine: Engine,
    project_id: int,
    annotator: str,
    changes: Sequence[Change],
    role: Role = "label",
    at: datetime.datetime | None = None,
) -> Recorded:
    """Store changes in their order; what was stored before under the same uid is not stored twice.

    A change is refused, with the reason, where the person has no slot of the item, the project is closed, or it is none
    that a chain can take. Whether a field and its value belong to the rubric is for the caller to check.

    Raises:
        UserError: there is no such project, or the name is none.
    """
    moment = at or now()
    with writing(engine) as connection:
        project = locked_project(connection, project_id)
        name = fit_name(annotator, "a person", LONGEST_PERSON)
        person = connection.scalar(sa.select(Annotator.id).where(Annotator.name == name))
        uids = [change.uid for change in changes if _is_usable(change.uid)]
        known = set(
            connection.scalars(
                sa.select(AnnotationEvent.uid).where(
                    AnnotationEvent.project_id == project_id, AnnotationEvent.uid.in_(uids)
                )
            )
        )
        stored, refused = [], {}
        for change in changes:
            if change.uid not in known:
                reason = (
                    "the project is closed"
                    if project.closed
                    else _record(connection, project, person, change, role, moment)
                )
                if reason is not None:
                    refused[change.uid] = reason
                    continue
                known.add(change.uid)
            stored.append(change.uid)
        if stored:
            bump_labels(connection)
        return Recorded(tuple(stored), refused)


def _record(
    connection: Connection, project: Any, person: int | None, change: Change, role: Role, at: datetime.datetime
) -> str | None:
    """Store one change; or the reason why not."""
    slot = connection.execute(
        sa.select(SlotRow.state).where(
            SlotRow.item_id == change.item_id,
            SlotRow.annotator_id == person,
            SlotRow.role == role,
            SlotRow.project_id == project.id,
        )
    ).first()
    if slot is None or person is None:
        return "this item was not handed out to you"
    if slot.state == RELEASED:
        return "this item was given back; it may be with somebody else by now"
    if role == LABEL and _decides(connection, change.item_id, person):
        return "you decide this item, and have read what others said of it"
    reason = _why_unfit(connection, change)
    if reason is not None:
        return reason
    target = {SUBMIT: SUBMITTED, SKIP: SKIPPED, REOPEN: HELD}.get(change.field, slot.state)
    if target in TAKEN and slot.state not in TAKEN and not has_room(connection, project, change.item_id, role):
        return "enough people have labelled this item meanwhile"
    seconds = change.seconds if change.field == SUBMIT else None
    put_slot(connection, project.id, change.item_id, person, role, target, at, seconds)
    store_event(connection, project.id, person, role, change, at)
    return None


def _decides(connection: Connection, item_id: int, person: int) -> bool:
    slot = sa.select(SlotRow.item_id).where(
        SlotRow.item_id == item_id, SlotRow.annotator_id == person, SlotRow.role == ADJUDICATE
    )
    return connection.execute(slot).first() is not None


def store_event(
    connection: Connection,
    project_id: int,
    person: int,
    role: str,
    change: Change,
    at: datetime.datetime,
    *,
    late: bool = False,
) -> None:
    """Add a change to the history, and to the labels as they are now where it is one.

    A `late` one, which was made before it came here, leaves a newer label alone.
    """
    # One spelling of a number: whether labels differ is told from the JSON text.
    value = float(change.value) if isinstance(change.value, int) else clean_json(change.value)
    where = {"item_id": change.item_id, "annotator_id": person, "role": role}
    what = {"number": change.number, "field": clean(change.field), "value": value, "at": at}
    event = {"project_id": project_id, "uid": change.uid, "seconds": change.seconds, **where, **what}
    connection.execute(sa.insert(AnnotationEvent), [event])
    if change.field not in (SUBMIT, SKIP, REOPEN):
        statement = upsert(connection, Annotation, ("value", "at"), newest="at" if late else None)
        connection.execute(statement, [{**where, **what}])


def _add_items(connection: Connection, project_id: int, items: Iterable[NewItem], first: int) -> int:
    rows = [
        {
            "project_id": project_id,
            "position": first + place,
            "run_uid": item.run_uid,
            "question_id": item.question_id,
            "control": item.control,
            "reference": clean_json(item.reference),
            "taken": 0,
        }
        for place, item in enumerate(items)
    ]
    count = sa.select(sa.func.count()).where(Item.project_id == project_id)
    before = connection.execute(count).scalar_one()
    if rows:
        connection.execute(insert_missing(connection, Item), rows)
    return connection.execute(count).scalar_one() - before


def _why_unfit(connection: Connection, change: Change) -> str | None:
    if not _is_usable(change.uid):
        return "the change has no usable id"
    if change.field == COMMENT and isinstance(change.value, str) and len(change.value) > _LONGEST_COMMENT:
        return f"a comment may have {_LONGEST_COMMENT:,} characters, this one has {len(change.value):,}"
    if change.number < 0:
        return "steps count from 1"
    steps = connection.scalar(
        sa.select(sa.func.max(Step.number))
        .join(Run, Run.id == Step.run_id)
        .join(Item, sa.and_(Item.run_uid == Run.uid, Item.question_id == Step.question_id))
        .where(Item.id == change.item_id)
    )
    # A run that is not stored cannot contradict.
    return f"the chain has {steps} steps" if steps is not None and change.number > steps else None


def _is_usable(uid: str) -> bool:
    return 0 < len(uid) <= _LONGEST_UID and clean(uid) == uid
