"""What the environment decides about the dashboard and the commands."""

from __future__ import annotations

import os
from pathlib import Path

from steper_core.errors import UserError


def existing_database_url(runs: Path) -> str:
    """The database of a folder of runs that must be there already, for commands that only look.

    Raises:
        UserError: there is no such folder, and STEPER_DATABASE_URL names no database either.
    """
    if not os.environ.get("STEPER_DATABASE_URL") and not runs.is_dir():
        raise UserError(f"{runs}: there is no such folder; name the one of your runs with --runs")
    return database_url(runs)


def database_url(runs: Path = Path("runs")) -> str:
    """The database to use: STEPER_DATABASE_URL, else the SQLite file in the folder of the runs."""
    from db import sqlite_url

    return os.environ.get("STEPER_DATABASE_URL") or sqlite_url(runs / "steper.db")
