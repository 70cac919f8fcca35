"""Opening a database and working on it: one connection an operation, writers one after the other.

SQLite runs in WAL mode and every writing transaction begins with BEGIN IMMEDIATE: a reader never waits, and a writer
that read before it wrote cannot overwrite what another one wrote in between (the driver's own mode loses such updates
without an error).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, InterfaceError, OperationalError

from db.migrate import is_current, migrate
from steper_core.errors import UserError
from steper_core.wal import use_wal

DEFAULT_URL = "sqlite:///runs/steper.db"
"""The database of a working folder that names none."""

_DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql+psycopg")
_READING = "steper_reading"
_BUSY_SECONDS = 60
_CACHE_KIB = 65536


def open_database(url: str | None = None) -> Engine:
    """Open a database (DEFAULT_URL if None), creating it and bringing its tables up to date where that is due.

    `url` is one as SQLAlchemy reads it: sqlite:///FILE (four slashes for an absolute path) or
    postgresql://USER:PASSWORD@HOST/NAME.

    Raises:
        UserError: the URL cannot be read or names another kind of database, its file or server cannot be used, it
            holds something else, or it was written by a newer version. Passwords never stand in the message.
    """
    target = _parse(DEFAULT_URL if url is None else url)
    name = describe(target)
    try:
        _make_folder(target)
        engine = _engine(target, foreign_keys=True)
        # Looked at first without a lock: opening does not wait for a long ingest.
        with reading(engine) as connection:
            current = is_current(connection)
        if not current:
            migrating = _engine(target, foreign_keys=False)
            try:
                migrate(migrating, name)
            finally:
                migrating.dispose()
        return engine
    except ModuleNotFoundError as error:
        raise UserError(
            f"{name}: the driver {error.name!r} is missing; install it (pip install {error.name})"
        ) from error
    except (DBAPIError, OSError) as error:
        raise UserError(f"{name}: {_reason(error, target)}") from error
    except (CommandError, ValueError, TypeError) as error:
        raise UserError(f"{name}: cannot be opened ({str(error).splitlines()[0][:200]})") from error


def sqlite_url(file: Path) -> str:
    """The URL of an SQLite file, whatever its name: `?` and `%` mean something in a URL."""
    return URL.create("sqlite", database=str(file)).render_as_string()


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one state of the database and hinders no writer."""
    # PostgreSQL's default takes a new look at each statement.
    options = {} if _is_sqlite(engine.url) else {"isolation_level": "REPEATABLE READ"}
    with _told(engine), engine.connect().execution_options(**{_READING: True, **options}) as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction of its own: committed at the end of the block, undone by an exception.

    Other writers wait meanwhile, so no file is read and no model asked inside.
    """
    with _told(engine), engine.begin() as connection:
        yield connection


@contextmanager
def _told(engine: Engine) -> Iterator[None]:
    """Failures of the database itself, such as a full disk, a lock or damage, as mistakes to put right."""
    try:
        yield
    except (DataError, IntegrityError):
        raise  # of what was to be written
    except DBAPIError as error:
        raise UserError(f"{describe(engine.url)}: {_reason(error, engine.url)}") from error


def describe(url: URL) -> str:
    """The URL as it may be shown: without its password."""
    hidden = {key: "***" for key in url.query if "password" in key.lower()}
    return url.update_query_dict(hidden).render_as_string(hide_password=True) if hidden else str(url)


def _parse(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        # The text is not repeated: what cannot be parsed may still hold a password.
        raise UserError(
            "the database is given as a URL, for example sqlite:///runs/steper.db or postgresql://user@host/name; "
            "what was given cannot be read as one"
        ) from error
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in _DRIVERS:
        raise UserError(
            f"{describe(url)}: only SQLite (sqlite:///FILE) and PostgreSQL (postgresql://...) are supported"
        )
    return url


def _make_folder(url: URL) -> None:
    if _is_file(url):
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _is_file(url: URL) -> bool:
    return _is_sqlite(url) and url.database not in (None, "", ":memory:")


def file_identity(url: str) -> tuple[int, int] | None:
    """What tells the file of an SQLite database from another one that has taken its name; None where there is none."""
    try:
        target = _parse(url)
        found = Path(str(target.database)).stat() if _is_file(target) else None
    except (OSError, UserError):
        return None
    return (found.st_dev, found.st_ino) if found else None


def database_path(url: str) -> Path | None:
    """The file that a URL names, None for a database that is no file.

    Raises:
        UserError: the URL cannot be read or names another kind of database.
    """
    target = _parse(url)
    return Path(str(target.database)) if _is_file(target) else None


def database_file(engine: Engine) -> Path | None:
    """The file of an SQLite database, None for any other."""
    return Path(str(engine.url.database)) if _is_file(engine.url) else None


def _engine(url: URL, *, foreign_keys: bool) -> Engine:
    if not _is_sqlite(url):
        return sa.create_engine(url, pool_pre_ping=True, paramstyle="format")
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        use_wal(connection, _BUSY_SECONDS)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        mode = "" if connection.get_execution_options().get(_READING) else " IMMEDIATE"
        connection.exec_driver_sql(f"BEGIN{mode}")

    return engine


def _reason(error: DBAPIError | OSError, url: URL) -> str:
    if isinstance(error, OSError):
        return f"cannot be used: {error.strerror or error}"
    lines = str(error.orig).strip().splitlines() or [type(error.orig).__name__]
    text = lines[0]
    if url.password:
        text = text.replace(str(url.password), "***")
    if "file is not a database" in text:
        return "is no SQLite database; give another file, or move this one away"
    if isinstance(error, OperationalError | InterfaceError) and _is_file(url):
        return f"cannot be used ({text}); check that the file and its folder can be written"
    return f"cannot be used ({text})"
