"""SQLite files that several processes use at once."""

from __future__ import annotations

import sqlite3
import time

_PAUSE_SECONDS = 0.02


def use_wal(connection: sqlite3.Connection, patience: float) -> None:
    """Let readers and a writer use the file at once, waiting so many seconds for others that are opening it.

    The change of mode does not wait for other connections as everything else does: two that open a new file at the
    same moment would otherwise fail.

    Raises:
        sqlite3.Error: the file is no database, cannot be written, or stays locked.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return
