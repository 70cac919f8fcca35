"""The tables of labelling. Labels name their run by uid: a run may be forgotten and read again, and they stay."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import JSON

from db.models import Base


class Project(Base):
    """What people are asked to label, and how. `rubric` is a snapshot: the file it came from may change."""

    __tablename__ = "projects"
    __table_args__ = (sa.UniqueConstraint("name"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    rubric: Mapped[dict[str, Any]]
    blind: Mapped[bool]
    overlap: Mapped[int]
    seed: Mapped[int] = mapped_column(sa.BigInteger)
    sample: Mapped[dict[str, Any]]
    created: Mapped[datetime.datetime]
    closed: Mapped[bool]


class Item(Base):
    """A chain to be labelled. `taken` is the number of its slots that people hold or submitted."""

    __tablename__ = "annotation_items"
    __table_args__ = (
        sa.UniqueConstraint("project_id", "run_uid", "question_id"),
        sa.Index(None, "project_id", "position"),
        sa.Index(None, "question_id", "run_uid"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(sa.ForeignKey("projects.id", ondelete="CASCADE"))
    position: Mapped[int]
    run_uid: Mapped[str]
    question_id: Mapped[int] = mapped_column(sa.ForeignKey("questions.id"))
    control: Mapped[bool]
    reference: Mapped[dict[str, Any]]
    taken: Mapped[int]


class Annotator(Base):
    """A person, known by the name they gave."""

    __tablename__ = "annotators"
    __table_args__ = (sa.UniqueConstraint("name"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class SlotRow(Base):
    """One person's share of an item. `place` is its number among those held or submitted, NULL in other states.

    The unique place is the last guard against a slot that two hold; `taken` and the order of writers come before it.
    """

    __tablename__ = "slots"
    __table_args__ = (
        sa.UniqueConstraint("item_id", "role", "place"),
        sa.Index(None, "project_id", "annotator_id", "role", "state"),
        {"sqlite_with_rowid": False},
    )

    item_id: Mapped[int] = mapped_column(sa.ForeignKey("annotation_items.id", ondelete="CASCADE"), primary_key=True)
    annotator_id: Mapped[int] = mapped_column(sa.ForeignKey("annotators.id"), primary_key=True)
    role: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(sa.ForeignKey("projects.id", ondelete="CASCADE"))
    place: Mapped[int | None]
    state: Mapped[str]
    touched: Mapped[datetime.datetime]
    seconds: Mapped[float | None]


class Annotation(Base):
    """A label as it is now: the latest change of its field at its place (`number` 0: the whole chain)."""

    __tablename__ = "annotations"
    __table_args__ = ({"sqlite_with_rowid": False},)

    item_id: Mapped[int] = mapped_column(sa.ForeignKey("annotation_items.id", ondelete="CASCADE"), primary_key=True)
    annotator_id: Mapped[int] = mapped_column(sa.ForeignKey("annotators.id"), primary_key=True)
    role: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    field: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[Any] = mapped_column(JSON(), nullable=True)
    at: Mapped[datetime.datetime]


class AnnotationEvent(Base):
    """A change as it was made; the history is never rewritten."""

    __tablename__ = "annotation_events"
    __table_args__ = (
        sa.UniqueConstraint("project_id", "uid"),
        sa.Index(None, "item_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(sa.ForeignKey("projects.id", ondelete="CASCADE"))
    item_id: Mapped[int] = mapped_column(sa.ForeignKey("annotation_items.id", ondelete="CASCADE"))
    annotator_id: Mapped[int] = mapped_column(sa.ForeignKey("annotators.id"))
    role: Mapped[str]
    uid: Mapped[str]
    number: Mapped[int]
    field: Mapped[str]
    value: Mapped[Any] = mapped_column(JSON(), nullable=True)
    at: Mapped[datetime.datetime]
    seconds: Mapped[float | None]
