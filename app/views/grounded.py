"""A rationale cut where its words stand in the evidence or do not, so that a page can tint them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.plain import one_line
from db.queries import PassageView
from evaluators.grounding import GroundedWord, ground
from evaluators.words import Kind
from steper_core.records import Passage

_TITLE = 80


def segments(rationale: str, passages: Sequence[PassageView], question: str) -> list[dict[str, Any]]:
    """The rationale in pieces with their tones: in a passage (named by its id), in the question, a name in neither.

    Pieces and not positions: what counts as one character differs between here and a browser.
    """
    titles = {passage.id: passage.title for passage in passages}
    records = [Passage(id=passage.id, title=passage.title, text=passage.text) for passage in passages]
    pieces: list[dict[str, Any]] = []
    end = 0
    for word in ground(rationale, records, question).words:
        tone, hint = _tone(word, titles)
        if not tone:
            continue
        passage = word.passage_id or ""
        same = pieces and (pieces[-1]["passage"], pieces[-1]["hint"]) == (passage, hint)
        if same and word.start == end + 1 and rationale[end] == " ":
            pieces[-1]["text"] += rationale[end : word.end]
        else:
            pieces += [_piece(rationale[end : word.start])] if word.start > end else []
            pieces.append(_piece(rationale[word.start : word.end], tone, hint, passage))
        end = word.end
    if end < len(rationale):
        pieces.append(_piece(rationale[end:]))
    return pieces


def _piece(text: str, tone: str = "", hint: str = "", passage: str = "") -> dict[str, Any]:
    return {"text": text, "tone": tone, "hint": hint, "passage": passage}


def _tone(word: GroundedWord, titles: dict[str, str]) -> tuple[str, str]:
    if word.passage_id is not None:
        return "grounded", f"in {one_line(titles[word.passage_id], _TITLE) or 'a passage without title'}"
    if word.in_question:
        return "asked", "in the question"
    if word.kind in (Kind.NAME, Kind.NUMBER):
        return "ungrounded", "in no passage so far, and not in the question"
    return "", ""
