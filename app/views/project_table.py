"""Tables around labelling, of parts that a component draws as text: words, doors, labels, chips, meters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.plain import one_line
from app.state import AnnotateState
from app.tokens import ABILITIES, ABILITY_COLOURS, ABILITY_INKS
from app.urls import href
from app.views.component import Component
from app.views.label_words import label_chip
from evaluators.label_rubric import LabelVerdict

_TABLE = Component("project_table")
_LONGEST = 400

Part = dict[str, Any]
"""A piece of a cell."""

Cell = Sequence[Part]


def words(text: str, tone: str = "", limit: int = _LONGEST) -> Part:
    """A text; `tone` is a class of the style sheet: grey, good, bad, warn."""
    return {"kind": "words", "text": one_line(text, limit), "tone": tone}


def number(value: int | None) -> Part:
    """A count, grey where it is none."""
    return words(f"{value:,}", "" if value else "grey") if value is not None else words("–", "grey")


def beside(text: str) -> Part:
    """What stands smaller and grey beside a figure."""
    return {"kind": "beside", "text": one_line(text, _LONGEST)}


def below(text: str) -> Part:
    """What stands smaller and grey on a line of its own."""
    return {"kind": "below", "text": one_line(text, _LONGEST)}


def door(text: str, state: AnnotateState, hint: str = "") -> Part:
    """A link to what another state of this page shows."""
    return _door(text, "annotate", state.params(), hint)


def door_to(text: str, page: str, params: dict[str, list[str]]) -> Part:
    """A link to another page."""
    return _door(text, page, params, "")


def label(verdict: LabelVerdict, value: float, who: str = "") -> Part:
    """The label of a value, with whoever gave it."""
    return {"kind": "label", "who": one_line(who, 60), **label_chip(verdict, value)}


def tag(text: str) -> Part:
    """A chip with a word."""
    return {"kind": "tag", "text": one_line(text, _LONGEST)}


def ability(name: str) -> Part:
    """The chip of an ability."""
    return {
        "kind": "ability",
        "text": ABILITIES.get(name, one_line(name, 12)),
        "colour": ABILITY_COLOURS.get(name, "#7F7F7F"),
        "ink": ABILITY_INKS.get(name, "#000000"),
    }


def meter(share: float) -> Part:
    """A bar that is filled by a share."""
    return {"kind": "meter", "share": max(0.0, min(1.0, share))}


def column(title: str, *, right: bool = False, hint: str = "", wide: bool = False, tight: bool = False) -> Part:
    """The head of a column: figures stand on the right, `wide` ones are left out of narrow windows.

    Cells of a `tight` one are never broken into lines.
    """
    return {"title": title, "right": right, "hint": hint, "wide": wide, "tight": tight}


def draw_table(
    title: str, columns: Sequence[Part], rows: Sequence[Sequence[Cell]], *, key: str, note: str = "", empty: str = ""
) -> None:
    """Draw a table, or its title with what is said where it has no rows; its doors are followed."""
    data = {
        "title": title,
        "note": one_line(note, _LONGEST),
        "columns": list(columns),
        "rows": [[list(cell) for cell in row] for row in rows],
        "empty": empty,
    }
    _TABLE.draw(data, key=key)


def _door(text: str, page: str, params: dict[str, list[str]], hint: str) -> Part:
    return {
        "kind": "door",
        "text": one_line(text, _LONGEST),
        "hint": hint,
        "href": href(page, params),
    }
