"""Several versions of one score: the newest holds."""

from __future__ import annotations

from collections.abc import Iterable

from db.queries import ScoreArray, ScoreView


def version_order(score: ScoreArray | ScoreView) -> tuple[int, str]:
    """Sorts whole numbers by their size: 10 comes after 9."""
    return len(score.version), score.version


def newest_value(scores: Iterable[ScoreView], name: str) -> float | None:
    """The value of a score in its newest version; None where it is unscored or there is none."""
    newest = max((score for score in scores if score.name == name), key=version_order, default=None)
    return newest.value if newest else None
