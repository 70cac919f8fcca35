"""What judges said of a chain or a step, as the chain component shows it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.formats import number
from app.plain import one_line, plain
from db.queries import JudgementView

_NAME = 60
_MOST = 30
"""Votes on one thing, and tags of one vote, that are shown."""


def judged(judgements: Iterable[JudgementView], step: int) -> list[dict[str, Any]]:
    """The votes on one step (0: on the whole chain)."""
    own = [vote for vote in judgements if vote.number == step]
    shown = [_vote(vote) for vote in own[:_MOST]]
    return [*shown, _rest(len(own) - _MOST)] if len(own) > _MOST else shown


def _vote(vote: JudgementView) -> dict[str, Any]:
    about = [one_line(vote.judge, _NAME), f"{one_line(vote.rubric, _NAME)} {one_line(vote.version, 12)}"]
    about += [f"vote {vote.vote}"] if vote.vote > 1 else []
    about += [{"ab": "this chain first", "ba": "this chain second"}[vote.order]] if vote.order in ("ab", "ba") else []
    return {
        "about": ", ".join(about),
        "verdicts": [
            {"name": one_line(name.replace("_", " "), _NAME), "value": number(value, 2)}
            for name, value in vote.verdicts.items()
        ],
        "tags": [one_line(tag, _NAME) for tag in vote.tags[:_MOST]],
        "explanation": plain(vote.explanation),
        "unscored": plain(vote.unscored or ""),
    }


def _rest(count: int) -> dict[str, Any]:
    about = f"and {count:,} votes more"
    return {"about": about, "verdicts": [], "tags": [], "explanation": "", "unscored": ""}
