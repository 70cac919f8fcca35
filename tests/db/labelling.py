"""Labelling as a person does it: changes of labels, and items rated and submitted."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from db.annotation_views import Change
from db.annotations import record

NOW = datetime.datetime(2026, 11, 24, 12, 0, tzinfo=datetime.UTC)
Order = Callable[..., int]


def change(item: int, value: Any = 1.0, field: str = "rating", number: int = 1, uid: str = "", **more: Any) -> Change:
    return Change(uid or f"{item}-{number}-{field}-{value}", item, number, field, value, **more)


def finish(engine: sa.Engine, project: int, person: str, item: int, *values: float) -> None:
    """Rate the steps of an item and submit it."""
    made = [
        change(item, value, number=number, uid=f"{person}{item}-{number}-{value}")
        for number, value in enumerate(values, 1)
    ]
    done = Change(f"{person}{item}-done", item, 0, "submit", None, 10.0 * item)
    assert record(engine, project, person, [*made, done]).refused == {}
