"""${message}

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}

Review by hand before use: batch mode copies SQLite tables without their WITHOUT ROWID clause (give it in table_kwargs),
and a later reader must find all rows of a database that was filled at the revision before.
"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
