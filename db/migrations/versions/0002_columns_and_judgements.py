"""Scores by chain and as columns, and the votes of judges.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ARRAYS = (
    "question_ids",
    "kind_codes",
    "hop_counts",
    "steps",
    "passages",
    "prompt_tokens",
    "output_tokens",
    "seconds",
)


def upgrade() -> None:
    op.drop_table("scores")
    op.create_table(
        "chain_scores",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("question_id", sa.Integer(), nullable=False),
        sa.Column("evaluator", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("numbers", sa.JSON(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id", "question_id"],
            ["chains.run_id", "chains.question_id"],
            name="fk_chain_scores_run_id_question_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "question_id", "evaluator", "version", name="pk_chain_scores"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "run_columns",
        sa.Column("run_id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.LargeBinary(), nullable=False) for name in ARRAYS[:1]),
        sa.Column("kinds", sa.JSON(), nullable=False),
        *(sa.Column(name, sa.LargeBinary(), nullable=False) for name in ARRAYS[1:]),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_columns_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", name="pk_run_columns"),
    )
    op.create_table(
        "score_columns",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("evaluator", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("ability", sa.Text(), nullable=False),
        sa.Column("numbers", sa.LargeBinary(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_score_columns_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "name", "evaluator", "version", "ability", name="pk_score_columns"),
    )
    op.create_table(
        "judgements",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("question_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("vote", sa.Integer(), nullable=False),
        sa.Column("order", sa.Text(), nullable=False),
        sa.Column("judged_uid", sa.Text(), nullable=False),
        sa.Column("rubric", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("judge", sa.Text(), nullable=False),
        sa.Column("verdicts", sa.JSON(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("unscored", sa.Text(), nullable=True),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_judgements_run_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["question_id"], ["questions.id"], name="fk_judgements_question_id"),
        sa.PrimaryKeyConstraint("run_id", "question_id", "number", "vote", "order", name="pk_judgements"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_judgements_judged_uid_question_id", "judgements", ["judged_uid", "question_id"])
    # Scores and columns come back when runs are read again, at their next ingest.
    op.execute("UPDATE runs SET fingerprint = '', bytes_read = 0")
