"""Several versions of one score: the newest holds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

from db.queries import ScoreView


class Versioned(Protocol):
    """A score that knows which version of its evaluator gave it."""

    @property
    def version(self) -> str:
        """As the evaluator names it, `2` or `1.10`."""
        ...


def version_order(score: Versioned) -> list[tuple[int, str]]:
    """Sorts versions part by part, numbers by their size: 9, 10, 10.1, 10.2, 10.10."""
    parts = (part.lstrip("0") if part.isdecimal() else part for part in re.split(r"([0-9]+)", score.version))
    # A number is as large as it is long; int() would refuse one of thousands of digits.
    return [(len(part) if place % 2 else 0, part) for place, part in enumerate(parts)]


def newest_value(scores: Iterable[ScoreView], name: str) -> float | None:
    """The value of a score in its newest version; None where it is unscored or there is none."""
    newest = max((score for score in scores if score.name == name), key=version_order, default=None)
    return newest.value if newest else None
