"""What a comparison says in sentences, and what makes it less than a fair one."""

from __future__ import annotations

from typing import Any

from app.comparison import Comparison
from app.plain import one_line
from app.views.component import Component

_VERDICT = Component("compare_verdict")
_LONGEST = 600


def show_verdict(comparison: Comparison) -> None:
    """Draw the sentences."""
    _VERDICT.draw(verdict_data(comparison), key="compare_verdict")


def verdict_data(comparison: Comparison) -> dict[str, Any]:
    """What the component draws."""
    return {
        "sentences": [_sentence(text) for text in comparison.verdicts] or [_nothing(comparison)],
        "seeds": [_sentence(text) for text in comparison.seeds],
        "warnings": [_sentence(text) for text in comparison.warnings],
    }


def _nothing(comparison: Comparison) -> str:
    if not comparison.shared:
        return "These runs have no question in common: nothing can be compared."
    return "No other run holds the chosen score in the reference's version: nothing can be said by it."


def _sentence(text: str) -> str:
    return one_line(text, _LONGEST).replace("p = ", "p\u00a0=\u00a0")
