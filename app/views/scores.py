"""Scores of a chain or a step as the chain component shows them: what tells most at once, the rest on demand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from app.formats import number, percent
from app.plain import one_line, plain
from app.tokens import FIGURES, RIGHT, UNSCORED, WRONG, figure_label, score_glyph
from db.queries import ScoreView
from evaluators.meanings import MEANINGS, meaning_of

_ALWAYS = frozenset(
    {"em", "f1", "acc", "gold_recall", "hops_reached", "steps_before_error", "sub_answer", "gold_passage", "grounding"}
)
_IF_BAD = frozenset({"repetition", "contradiction", "premature_answer", "right_by_wrong_path", "ungrounded_names"})
_STEP_ON_DEMAND = frozenset({"gold_recall"})
_TONES = {RIGHT: "good", WRONG: "bad", UNSCORED: "grey"}
_WORDS = {RIGHT: "right: ", WRONG: "wrong: ", UNSCORED: "not scored: "}


def score_lists(
    scores: Iterable[ScoreView], labels: Mapping[str, str] = FIGURES, *, of_step: bool = False
) -> dict[str, list[dict[str, Any]]]:
    """The `scores` to show at once and `more` of them, in the order of the figures."""
    order = {name: position for position, name in enumerate(FIGURES)}
    ordered = sorted(scores, key=lambda score: order.get(score.name, len(order)))
    told = [_is_telling(score, of_step=of_step) for score in ordered]
    drawn = [_score(score, labels.get(score.name) or figure_label(score.name)) for score in ordered]
    return {
        "scores": [item for item, telling in zip(drawn, told, strict=True) if telling],
        "more": [item for item, telling in zip(drawn, told, strict=True) if not telling],
    }


def _is_telling(score: ScoreView, *, of_step: bool) -> bool:
    if score.name in _IF_BAD:
        return bool(score.value)
    if score.name not in MEANINGS:
        return True
    return score.name in _ALWAYS and not (of_step and score.name in _STEP_ON_DEMAND)


def _score(score: ScoreView, label: str) -> dict[str, Any]:
    source = f"{score.evaluator} {score.version}"
    _, judged, judge = score.evaluator.partition("judge:")
    label = f"{label} ({judge})" if judged else label
    about = [meaning_of(score.name).meaning, score.reason or "", source]
    return {"label": one_line(label, 60), "hint": plain("; ".join(part for part in about if part)), **_value(score)}


def _value(score: ScoreView) -> dict[str, str]:
    """Glyph and value; of what is better absent, yes and no, for a tick would praise it."""
    meaning = meaning_of(score.name)
    counted = meaning.unit == "count"
    if score.value is None or not (counted or meaning.higher_is_better is False):
        glyph = score_glyph(score.value)
        value = "" if glyph else percent(score.value)
        return {"glyph": glyph, "tone": _TONES.get(glyph, ""), "word": _WORDS.get(glyph, ""), "value": value}
    value = number(score.value, 2) if counted else {1.0: "yes", 0.0: "no"}.get(score.value) or percent(score.value)
    return {"glyph": "", "tone": "", "word": "", "value": value}
