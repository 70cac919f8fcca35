"""The scores in words, as the compare page writes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.comparison import ScoreName
from app.plain import one_line
from app.tokens import ABILITIES, FIGURES, figure_label
from db.queries import RunRow
from evaluators.meanings import MEANINGS, meaning_of

MAIN: tuple[str, ...] = (
    "em",
    "f1",
    "acc",
    "gold_recall",
    "hops_reached",
    "grounding",
    "answer_reachable",
    "steps_before_error",
    "right_by_wrong_path",
)
"""Scores of whole chains that are listed at once, before those of judges."""

MAIN_STEPS: tuple[str, ...] = ("sub_answer", "gold_passage", "grounding")
"""Scores of steps that are listed at once by ability."""


def score_label(name: str, ability: str = "") -> str:
    """A score as the page names it: "Gold recall, exp"; a judge's with the judge in brackets."""
    own, _, judge = name.partition("@")
    label = figure_label(own) + (f" ({judge.removeprefix('judge:')})" if judge else "")
    return one_line(f"{label}, {ABILITIES[ability]}" if ability in ABILITIES else label, 60)


def explained(name: str) -> str:
    """The meaning in one line, with the direction where it is not the usual one."""
    meaning = meaning_of(name)
    parts = [meaning.meaning]
    if meaning.unit == "count":
        parts.append("a number, not percent")
    if meaning.higher_is_better is False:
        parts.append("lower is better")
    return "; ".join(part for part in parts if part)


def held_scores(runs: Iterable[RunRow]) -> list[str]:
    """The scores that the runs hold: those of answers first, in the order of all pages, those of judges last."""
    names = dict.fromkeys(name for run in runs for name in run.figures)
    order = [*FIGURES, *MEANINGS]
    return sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name))


def whole_scores(held: Sequence[str], *, everything: bool, focus: ScoreName) -> tuple[ScoreName, ...]:
    """The scores of whole chains to list: the one in focus is always among them."""
    shown = [name for name in held if everything or name in MAIN or "@" in name]
    shown.sort(key=lambda name: MAIN.index(name) if name in MAIN else len(MAIN))
    return tuple(dict.fromkeys([*((name, "") for name in shown), *([focus] if not focus[1] else [])]))


def step_scores(held: Sequence[str], *, everything: bool, focus: ScoreName) -> tuple[ScoreName, ...]:
    """The scores of steps to list, each by ability."""
    shown = [name for name in MAIN_STEPS if name in held]
    shown += [name for name in held if name not in shown and "step" in meaning_of(name).levels and everything]
    shown += [focus[0]] if focus[1] and focus[0] not in shown else []
    return tuple((name, ability) for name in shown for ability in ABILITIES)
