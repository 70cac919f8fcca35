"""The list of questions, with what each chosen run made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from app.formats import number
from app.plain import one_line
from app.state import PAGE_SIZE, pages
from app.tokens import RIGHT, RUN_LETTERS, UNSCORED, WRONG, chosen_run
from app.views.component import Component, Event
from db.queries import QuestionPage, QuestionRow, RunRow

SEARCH_LABEL = "Search questions"
"""Label of the field that the key / goes to."""

_LIST = Component("question_list")
_MARKS: dict[bool | None, dict[str, str]] = {
    True: {"glyph": RIGHT, "word": "right", "tone": "good"},
    False: {"glyph": WRONG, "word": "wrong", "tone": "bad"},
    None: {"glyph": UNSCORED, "word": "not scored", "tone": "grey"},
}


def show_questions(
    runs: Sequence[RunRow],
    found: QuestionPage,
    page: int,
    active: int | None,
    gold: bool,
    on_event: Callable[[Event], None],
) -> None:
    """Draw one page of questions."""
    _LIST.draw(list_data(runs, found, page, active, gold), key="question_list", on_event=on_event)


def list_data(runs: Sequence[RunRow], found: QuestionPage, page: int, active: int | None, gold: bool) -> dict[str, Any]:
    """What the component draws."""
    return {
        "runs": [chosen_run(position, one_line(run.name)) for position, run in enumerate(runs)],
        "rows": [_row(row) for row in found.rows],
        "active": active,
        "page": page,
        "pages": pages(found.total),
        "range": _range(found, page),
        "gold": gold,
        "search": SEARCH_LABEL,
    }


def _range(found: QuestionPage, page: int) -> str:
    if not found.rows:
        return "0 questions"
    first = (page - 1) * PAGE_SIZE + 1
    return f"{number(first)}–{number(first + len(found.rows) - 1)} of {number(found.total)}"


def _row(row: QuestionRow) -> dict[str, Any]:
    hops = f"{row.hop_count} hop{'' if row.hop_count == 1 else 's'}" if row.hop_count else ""
    return {
        "id": row.id,
        "text": one_line(row.text, 240),
        "meta": " · ".join(part for part in (hops, one_line(row.kind, 40)) if part),
        "marks": [
            {**_MARKS[right], "run": f"run {letter} " if len(row.right) > 1 else ""}
            for letter, right in zip(RUN_LETTERS, row.right, strict=False)
        ],
    }
