"""Sentences that hold names or reasons, drawn as text: what is wrong with a form's field, what an import did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.plain import one_line
from app.views.component import Component

_WORDS = Component("project_words")
_LONGEST = 600

Line = tuple[str, str]
"""A tone (grey, good, bad, warn, or "" for none) and a sentence."""


def say(lines: Iterable[Line], *, key: str) -> None:
    """Draw sentences, one below the other; one that tells of a fault or a success has its glyph."""
    _WORDS.draw({"lines": [{"tone": tone, "text": one_line(text, _LONGEST)} for tone, text in lines]}, key=key)


def show_fault(faults: Sequence[str], *, key: str) -> None:
    """Say what is wrong, if anything is."""
    if faults:
        say([("bad", fault) for fault in faults], key=key)
