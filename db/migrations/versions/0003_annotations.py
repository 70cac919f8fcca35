"""Labelling: projects, items, people, their slots, labels and the history of changes.

Revision ID: 0003
Revises: 0002
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.execute("INSERT INTO revision (id, number) VALUES (2, 0)")
    op.create_table(
        "projects",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("rubric", sa.JSON(), nullable=False),
        sa.Column("blind", sa.Boolean(), nullable=False),
        sa.Column("overlap", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("sample", sa.JSON(), nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        sa.UniqueConstraint("name", name="uq_projects_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "annotators",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_annotators"),
        sa.UniqueConstraint("name", name="uq_annotators_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "annotation_items",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("run_uid", sa.Text(), nullable=False),
        sa.Column("question_id", sa.Integer(), nullable=False),
        sa.Column("control", sa.Boolean(), nullable=False),
        sa.Column("reference", sa.JSON(), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_annotation_items_project_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["question_id"], ["questions.id"], name="fk_annotation_items_question_id"),
        sa.PrimaryKeyConstraint("id", name="pk_annotation_items"),
        sa.UniqueConstraint(
            "project_id", "run_uid", "question_id", name="uq_annotation_items_project_id_run_uid_question_id"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_annotation_items_project_id_position", "annotation_items", ["project_id", "position"])
    op.create_index("ix_annotation_items_question_id_run_uid", "annotation_items", ["question_id", "run_uid"])
    op.create_table(
        "slots",
        *_whose("slots"),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("touched", MOMENT, nullable=False),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_slots_project_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("item_id", "annotator_id", "role", name="pk_slots"),
        sa.UniqueConstraint("item_id", "role", "place", name="uq_slots_item_id_role_place"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_slots_project_id_annotator_id_role_state", "slots", ["project_id", "annotator_id", "role", "state"]
    )
    op.create_table(
        "annotations",
        *_whose("annotations"),
        *_label(),
        sa.PrimaryKeyConstraint("item_id", "annotator_id", "role", "number", "field", name="pk_annotations"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "annotation_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        *_whose("annotation_events"),
        sa.Column("uid", sa.Text(), nullable=False),
        *_label(),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_annotation_events_project_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_annotation_events"),
        sa.UniqueConstraint("project_id", "uid", name="uq_annotation_events_project_id_uid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_annotation_events_item_id", "annotation_events", ["item_id"])


def _whose(table: str) -> list[sa.Column[Any] | sa.ForeignKeyConstraint]:
    return [
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("annotator_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["annotation_items.id"], name=f"fk_{table}_item_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["annotator_id"], ["annotators.id"], name=f"fk_{table}_annotator_id"),
    ]


def _label() -> list[sa.Column[Any]]:
    return [
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=True),
        sa.Column("at", MOMENT, nullable=False),
    ]
