"""What the environment decides about the dashboard and the commands."""

from __future__ import annotations

import os
from pathlib import Path


def database_url(runs: Path = Path("runs")) -> str:
    """The database to use: STEPER_DATABASE_URL, else the SQLite file in the folder of the runs."""
    return os.environ.get("STEPER_DATABASE_URL") or f"sqlite:///{runs / 'steper.db'}"
