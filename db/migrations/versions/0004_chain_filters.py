"""What the chains page filters by: the number of steps, and being right by a wrong path.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("chains", sa.Column("step_count", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("chains", sa.Column("wrong_path", sa.Boolean(), nullable=True))
    op.execute(
        "UPDATE chains SET step_count = (SELECT count(*) FROM steps "
        "WHERE steps.run_id = chains.run_id AND steps.question_id = chains.question_id)"
    )
    # The new filter by path is filled when runs are read again, at their next ingest.
    op.execute("UPDATE runs SET fingerprint = '', bytes_read = 0")
