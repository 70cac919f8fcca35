"""Writing many rows at once, the same way into SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql.compiler import SQLCompiler

Item = TypeVar("Item")

_GROUP = 40
_CHUNK = 500


def insert(connection: Connection, model: type[DeclarativeBase]) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows ON CONFLICT."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(model)
    return sqlite.insert(model)


def insert_missing(connection: Connection, model: type[DeclarativeBase]) -> sa.Insert:
    """An INSERT that leaves a row alone whose key is there already."""
    return insert(connection, model).on_conflict_do_nothing().inline()


def upsert(
    connection: Connection, model: type[DeclarativeBase], changing: Sequence[str], *, newest: str | None = None
) -> sa.Insert:
    """An INSERT that replaces the `changing` columns of a row whose primary key is there, where they differ.

    A row that would stay as it is does not count as touched. A row stays, too, where its column `newest` is above that
    of the new one.
    """
    statement = insert(connection, model)
    table = model.__table__
    differs = sa.or_(
        *(_comparable(statement.excluded[name]).is_distinct_from(_comparable(table.c[name])) for name in changing)
    )
    return statement.on_conflict_do_update(
        index_elements=[column.name for column in table.primary_key],
        set_={name: statement.excluded[name] for name in changing},
        where=differs if newest is None else sa.and_(differs, statement.excluded[newest] >= table.c[newest]),
    )


def _comparable(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    # PostgreSQL compares no json with json.
    return sa.cast(column, sa.Text) if isinstance(column.type, sa.JSON) else column


def write_tuples(
    connection: Connection, statement: sa.Insert, rows: Iterable[tuple[Any, ...]], *, without: str | None = None
) -> int:
    """Run an INSERT of all columns (but the one `without`) once a row, and return the number of rows it touched.

    A row is a tuple in the order of the table's columns and goes to the driver as it is: that is three times as fast
    as the usual way by dictionaries, and asks for values that the driver knows (JSON as its text, no moments). No two
    rows may have the same key.
    """
    names = [column.name for column in statement.table.columns if column.name != without]
    group_text = _positional_text(connection, statement, names, _GROUP)
    touched = 0
    for chunk in chunks(rows, _GROUP * _CHUNK):
        whole = len(chunk) - len(chunk) % _GROUP
        groups = [tuple(chain.from_iterable(chunk[start : start + _GROUP])) for start in range(0, whole, _GROUP)]
        if groups:
            touched += connection.exec_driver_sql(group_text, groups).rowcount
        if whole < len(chunk):
            text = _positional_text(connection, statement, names, 1)
            touched += connection.exec_driver_sql(text, chunk[whole:]).rowcount
    return touched


def _positional_text(connection: Connection, statement: sa.Insert, names: list[str], count: int) -> str:
    """The SQL of an INSERT of `count` rows whose values are bound by their places, row after row."""
    values = statement.values([dict.fromkeys(names)] * count)
    compiled = values.compile(dialect=connection.dialect)
    bound = compiled.positiontup if isinstance(compiled, SQLCompiler) else None
    if bound != [f"{name}_m{row}" for row in range(count) for name in names]:
        raise RuntimeError(f"the columns of {statement.table} are not bound in their order")
    return str(compiled)


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of at most `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
