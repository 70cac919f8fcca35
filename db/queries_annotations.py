"""What the pages and commands ask about labelling: projects, items, labels, history, progress."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from db.annotation_models import Annotation, AnnotationEvent, Annotator, Item, Project, SlotRow
from db.annotation_views import (
    ADJUDICATE,
    COMMENT,
    HELD,
    LABEL,
    SKIPPED,
    SUBMITTED,
    TAGS,
    UNSET,
    ChainLabel,
    HistoryRow,
    ItemRow,
    LabelRow,
    ProjectRow,
    Slot,
    Value,
)
from db.clean import clean_name
from db.models import LABELS_REVISION, Question, RevisionRow, Run
from db.session import reading


def labels_revision(engine: Engine) -> int:
    """A number that grows with every change of labels; runs have one of their own."""
    with reading(engine) as connection:
        ours = sa.select(RevisionRow.number).where(RevisionRow.id == LABELS_REVISION)
        return connection.execute(ours).scalar_one()


def list_projects(engine: Engine) -> tuple[ProjectRow, ...]:
    """All projects, newest first."""
    with reading(engine) as connection:
        return _projects(connection, sa.true())


def get_project(engine: Engine, name: str) -> ProjectRow | None:
    """The project of a name, however it is spaced."""
    with reading(engine) as connection:
        found = _projects(connection, Project.name == clean_name(name))
    return found[0] if found else None


def project_rubrics(engine: Engine) -> dict[str, dict[str, Any]]:
    """The snapshots of the projects' rubrics, by project."""
    with reading(engine) as connection:
        return {row.name: row.rubric for row in connection.execute(sa.select(Project.name, Project.rubric))}


def slots_of(
    engine: Engine, project_id: int, annotator: str, role: str = LABEL, limit: int | None = None
) -> tuple[Slot, ...]:
    """A person's slots: first those that were submitted or skipped, the latest last, then those held, in order.

    Of the former at most `limit`, the latest ones, if it is given.
    """
    own = (
        sa.select(Item.id, Item.position, SlotRow.state)
        .join(SlotRow, SlotRow.item_id == Item.id)
        .join(Annotator, Annotator.id == SlotRow.annotator_id)
        .where(SlotRow.project_id == project_id, SlotRow.role == role, Annotator.name == annotator)
    )
    ended = own.where(SlotRow.state.in_((SUBMITTED, SKIPPED))).order_by(SlotRow.touched.desc(), Item.position.desc())
    held = own.where(SlotRow.state == HELD).order_by(Item.position)
    with reading(engine) as connection:
        rows = [*reversed(connection.execute(ended.limit(limit)).all()), *connection.execute(held)]
    return tuple(Slot(row.id, row.state, row.position) for row in rows)


def annotators(engine: Engine, project_id: int) -> tuple[str, ...]:
    """Everybody who has or had a slot of the project, by name."""
    with reading(engine) as connection:
        names = connection.scalars(
            sa.select(Annotator.name)
            .where(Annotator.id.in_(sa.select(SlotRow.annotator_id).where(SlotRow.project_id == project_id)))
            .order_by(Annotator.name)
        )
        return tuple(names)


def item_rows(engine: Engine, project_id: int, offset: int = 0, limit: int | None = None) -> tuple[ItemRow, ...]:
    """Items of a project in the order of handing out: `limit` of them, or all."""
    chosen = _items().where(Item.project_id == project_id).order_by(Item.position, Item.id)
    with reading(engine) as connection:
        return tuple(_item(row) for row in connection.execute(chosen.offset(offset).limit(limit)))


def item_row(engine: Engine, item_id: int) -> ItemRow | None:
    """One item."""
    with reading(engine) as connection:
        row = connection.execute(_items().where(Item.id == item_id)).first()
    return None if row is None else _item(row)


def labels(
    engine: Engine, project_id: int, *, item_id: int | None = None, submitted: bool = True
) -> tuple[LabelRow, ...]:
    """The labels as they are now, cleared ones left out; with `submitted` only those of slots that were submitted."""
    chosen = (
        sa.select(
            Annotation.item_id,
            Item.run_uid,
            Item.question_id,
            Question.key,
            Annotation.number,
            Annotation.field,
            Annotation.value,
            Annotator.name,
            Annotation.role,
            SlotRow.state,
            Annotation.at,
        )
        .join(Item, Item.id == Annotation.item_id)
        .join(Question, Question.id == Item.question_id)
        .join(Annotator, Annotator.id == Annotation.annotator_id)
        .join(SlotRow, _same_slot(Annotation))
        .where(Item.project_id == project_id)
        .order_by(
            Item.position, Annotation.item_id, Annotator.name, Annotation.role, Annotation.number, Annotation.field
        )
    )
    if item_id is not None:
        chosen = chosen.where(Annotation.item_id == item_id)
    if submitted:
        chosen = chosen.where(SlotRow.state == SUBMITTED)
    with reading(engine) as connection:
        rows = connection.execute(chosen).all()
    # By place: tens of thousands of rows are read for agreement, and names cost more than the rest.
    return tuple(
        LabelRow(item, uid, question, key, number, field, _value(value), annotator, role, state, at)
        for item, uid, question, key, number, field, value, annotator, role, state, at in rows
        if value not in UNSET
    )


def history(
    engine: Engine, project_id: int, *, item_id: int | None = None, annotator: str | None = None
) -> tuple[HistoryRow, ...]:
    """Every change in the order in which it was made; what an import brought may have been stored late."""
    chosen = (
        sa.select(
            AnnotationEvent.__table__,
            Item.run_uid,
            Item.question_id,
            Question.key.label("question_key"),
            Annotator.name.label("annotator"),
        )
        .join(Item, Item.id == AnnotationEvent.item_id)
        .join(Question, Question.id == Item.question_id)
        .join(Annotator, Annotator.id == AnnotationEvent.annotator_id)
        .where(AnnotationEvent.project_id == project_id)
        .order_by(AnnotationEvent.at, AnnotationEvent.id)
    )
    if item_id is not None:
        chosen = chosen.where(AnnotationEvent.item_id == item_id)
    if annotator is not None:
        chosen = chosen.where(Annotator.name == annotator)
    with reading(engine) as connection:
        rows = connection.execute(chosen).all()
    return tuple(
        HistoryRow(
            uid=row.uid,
            item_id=row.item_id,
            run_uid=row.run_uid,
            question_id=row.question_id,
            question_key=row.question_key,
            number=row.number,
            field=row.field,
            value=_value(row.value),
            annotator=row.annotator,
            role=row.role,
            at=row.at,
            seconds=row.seconds,
        )
        for row in rows
    )


def chain_labels(engine: Engine, question_id: int, run_ids: tuple[int, ...]) -> dict[int, tuple[ChainLabel, ...]]:
    """The submitted labels on a question's chain under each run that has some; cleared ones are left out."""
    chosen = (
        sa.select(
            Run.id.label("run_id"),
            Project.name.label("project"),
            Annotator.name.label("annotator"),
            Annotation.role,
            Annotation.number,
            Annotation.field,
            Annotation.value,
            Annotation.at,
        )
        .join(Item, Item.run_uid == Run.uid)
        .join(Project, Project.id == Item.project_id)
        .join(Annotation, Annotation.item_id == Item.id)
        .join(Annotator, Annotator.id == Annotation.annotator_id)
        .join(SlotRow, _same_slot(Annotation))
        .where(Run.id.in_(run_ids), Item.question_id == question_id, SlotRow.state == SUBMITTED)
        .order_by(Project.name, Annotation.role.desc(), Annotator.name, Annotation.number, Annotation.field)
    )
    with reading(engine) as connection:
        rows = connection.execute(chosen).all()
    found: defaultdict[int, list[ChainLabel]] = defaultdict(list)
    for row in rows:
        if row.value not in UNSET:
            found[row.run_id].append(
                ChainLabel(row.project, row.annotator, row.role, row.number, row.field, _value(row.value), row.at)
            )
    return {run_id: tuple(own) for run_id, own in found.items()}


def _same_slot(labels: type[Annotation]) -> sa.ColumnElement[bool]:
    return sa.and_(
        SlotRow.item_id == labels.item_id,
        SlotRow.annotator_id == labels.annotator_id,
        SlotRow.role == labels.role,
    )


def _projects(connection: Connection, where: sa.ColumnElement[bool]) -> tuple[ProjectRow, ...]:
    items = (
        sa.select(
            Item.project_id,
            sa.func.sum(sa.case((Item.control, 0), else_=1)).label("items"),
            sa.func.sum(sa.case((Item.control, 1), else_=0)).label("controls"),
        )
        .group_by(Item.project_id)
        .subquery()
    )
    ours = sa.and_(SlotRow.role == LABEL, SlotRow.state.in_((HELD, SUBMITTED, SKIPPED)))
    done = sa.and_(SlotRow.state == SUBMITTED, ~Item.control)
    slots = (
        sa.select(
            SlotRow.project_id,
            sa.func.sum(sa.case((done, 1), else_=0)).label("submitted"),
            sa.func.count(sa.distinct(SlotRow.annotator_id)).label("people"),
        )
        .join(Item, Item.id == SlotRow.item_id)
        .where(ours)
        .group_by(SlotRow.project_id)
        .subquery()
    )
    disputed = sa.select(sa.func.count()).where(Item.project_id == Project.id, is_disputed(Item.id)).scalar_subquery()
    rows = connection.execute(
        sa.select(
            Project.__table__,
            sa.func.coalesce(items.c["items"], 0).label("items"),
            sa.func.coalesce(items.c.controls, 0).label("controls"),
            sa.func.coalesce(slots.c.submitted, 0).label("submitted"),
            sa.func.coalesce(slots.c.people, 0).label("people"),
            disputed.label("disputed"),
        )
        .outerjoin(items, items.c.project_id == Project.id)
        .outerjoin(slots, slots.c.project_id == Project.id)
        .where(where)
        .order_by(Project.created.desc(), Project.id.desc())
    )
    return tuple(ProjectRow(**row._mapping) for row in rows)


def is_disputed(item_id: sa.ColumnElement[int] | sa.orm.InstrumentedAttribute[int]) -> sa.ColumnElement[bool]:
    """Whether two people submitted differing verdicts on a place of the item, and nobody decided it."""
    value = sa.cast(Annotation.value, sa.Text)
    differing = (
        sa.select(Annotation.item_id)
        .join(SlotRow, _same_slot(Annotation))
        .where(
            Annotation.item_id == item_id,
            Annotation.role == LABEL,
            SlotRow.state == SUBMITTED,
            Annotation.field.not_in((TAGS, COMMENT)),
            value != "null",
        )
        .group_by(Annotation.item_id, Annotation.number, Annotation.field)
        .having(sa.func.min(value) != sa.func.max(value))
        .exists()
    )
    decided = (
        sa.select(SlotRow.item_id)
        .where(SlotRow.item_id == item_id, SlotRow.role == ADJUDICATE, SlotRow.state == SUBMITTED)
        .exists()
    )
    return sa.and_(differing, ~decided)


def _items() -> sa.Select[Any]:
    def count(state: str) -> sa.ColumnElement[int]:
        chosen = sa.select(sa.func.count()).where(
            SlotRow.item_id == Item.id, SlotRow.role == LABEL, SlotRow.state == state
        )
        return chosen.scalar_subquery().label(state)

    return (
        sa.select(
            Item.__table__,
            Run.id.label("run_id"),
            Question.key.label("question_key"),
            Question.dataset,
            count(HELD),
            count(SUBMITTED),
        )
        .join(Question, Question.id == Item.question_id)
        .outerjoin(Run, Run.uid == Item.run_uid)
    )


def _item(row: Any) -> ItemRow:
    return ItemRow(
        id=row.id,
        project_id=row.project_id,
        position=row.position,
        run_uid=row.run_uid,
        run_id=row.run_id,
        question_id=row.question_id,
        question_key=row.question_key,
        dataset=row.dataset,
        control=row.control,
        reference=dict(row.reference),
        held=row.held,
        submitted=row.submitted,
    )


def _value(value: Any) -> Value:
    return tuple(value) if isinstance(value, list) else value
