"""Bringing the tables of a database to the revision that this version of the program knows.

The check and the upgrade stand in one transaction that excludes other writers: of two processes that open an old
database at the same moment one migrates it, and the other one finds it done.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from steper_core.errors import UserError

_FOLDER = Path(__file__).parent / "migrations"
_POSTGRESQL_LOCK = 5783_401


def is_current(connection: Connection) -> bool:
    """Whether there is nothing to migrate."""
    return schema_revision(connection) == ScriptDirectory.from_config(_config()).get_current_head()


def migrate(engine: Engine, name: str) -> None:
    """Upgrade the database of `engine`, whose connections must not enforce foreign keys (SQLite).

    With them enforced, the copying of a table that batch migrations do would empty the tables that refer to it.

    Raises:
        UserError: the database is of a newer version or of another program; the message begins with `name`.
    """
    config = _config()
    scripts = ScriptDirectory.from_config(config)
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_POSTGRESQL_LOCK)))
        current = schema_revision(connection)
        if current == scripts.get_current_head():
            return
        _check_ours(connection, scripts, current, name)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        _check_references(connection)


def schema_revision(connection: Connection) -> str | None:
    """The revision of the tables, None where there are none."""
    return MigrationContext.configure(connection).get_current_revision()


def difference(connection: Connection) -> list[Any]:
    """What a migration would have to change for the tables to be those of db.models: empty where they agree."""
    from alembic.autogenerate import compare_metadata

    from db.models import Base

    context = MigrationContext.configure(connection, opts={"render_as_batch": True, "compare_server_default": True})
    return list(compare_metadata(context, Base.metadata))


def _config() -> Config:
    config = Config()
    # A percent sign in the path of the installation would otherwise be read as an interpolation.
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config


def _check_ours(connection: Connection, scripts: ScriptDirectory, current: str | None, name: str) -> None:
    if current is not None:
        if current not in {script.revision for script in scripts.walk_revisions()}:
            raise UserError(
                f"{name} was written by a newer version of StepER (its tables are at revision {current!r}, unknown "
                "here); upgrade StepER, or ingest the run directories into another database"
            )
    elif connection.dialect.name == "sqlite" and sa.inspect(connection).get_table_names():
        raise UserError(f"{name} holds the tables of another program; give another file")


def _check_references(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken is not None:
            raise RuntimeError(f"a migration left a row of {broken[0]} without the row of {broken[2]} that it names")
