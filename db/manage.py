"""What the `steper db` commands need: facts about the database, and taking a run out of it."""

from __future__ import annotations

import dataclasses
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import Engine

from db.ingest import bump_revision
from db.migrate import schema_revision
from db.models import RUNS_REVISION, Base, Chain, ChainScores, Judgement, Retrieval, RevisionRow, Run, Step
from db.session import database_file, database_path, describe, reading, writing
from steper_core.errors import UserError


@dataclasses.dataclass(frozen=True)
class DatabaseFacts:
    """`rows` counts by table; `size` is in bytes and None where the database is no file; `url` has no password."""

    url: str
    schema: str | None
    revision: int
    rows: dict[str, int]
    size: int | None


def database_facts(engine: Engine) -> DatabaseFacts:
    """What is in the database, and how large it is."""
    tables = [table for table in Base.metadata.sorted_tables if table is not RevisionRow.__table__]
    with reading(engine) as connection:
        counts = (sa.select(sa.func.count()).select_from(table).scalar_subquery().label(table.name) for table in tables)
        rows = dict(connection.execute(sa.select(*counts)).one()._mapping)
        schema = schema_revision(connection)
        ours = sa.select(RevisionRow.number).where(RevisionRow.id == RUNS_REVISION)
        revision = connection.execute(ours).scalar_one()
    file = database_file(engine)
    parts = [file, file.with_name(f"{file.name}-wal")] if file else []
    size = sum(part.stat().st_size for part in parts if part.exists()) if file else None
    return DatabaseFacts(url=describe(engine.url), schema=schema, revision=revision, rows=rows, size=size)


def back_up(url: str, file: Path) -> None:
    """Write a whole copy of an SQLite database to a new file, whoever uses it meanwhile, and leave it as it is.

    Raises:
        UserError: the URL names no SQLite file that is there, the copy's name is taken, or it cannot be written.
    """
    source = database_path(url)
    if source is None:
        raise UserError("only SQLite's file is copied here: copy PostgreSQL with its own tools, as pg_dump")
    if not source.is_file():
        raise UserError(f"{source}: there is no database yet")
    if file.exists():
        raise UserError(f"{file} is there already: name a new file")
    partial = file.with_name(f"{file.name}.partial-{os.getpid()}")
    try:
        # Not opened as usual: that would bring its tables up to date, and a copy before an upgrade is for going back.
        with closing(sqlite3.connect(f"file:{quote(str(source))}?mode=rw", uri=True)) as connection:
            connection.execute("VACUUM INTO ?", (str(partial),))
        partial.rename(file)
    except (sqlite3.Error, OSError) as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise UserError(f"{file}: the copy could not be written ({error})") from error


def delete_run(engine: Engine, run_id: int) -> None:
    """Take a run with its chains, scores and training points out; its questions and passages stay for other runs.

    Its run directory is not touched: ingesting it again brings the run back.

    Raises:
        UserError: there is no such run.
    """
    with writing(engine) as connection:
        # The large tables first and each as a whole: the cascade alone would look up every row of them singly.
        for model in (Retrieval, ChainScores, Step, Chain, Judgement):
            connection.execute(sa.delete(model).where(model.run_id == run_id))
        if connection.execute(sa.delete(Run).where(Run.id == run_id)).rowcount == 0:
            raise UserError(f"there is no run {run_id} in {describe(engine.url)}")
        bump_revision(connection)
