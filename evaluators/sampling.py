"""Which chains people should look at: seeded samples for a labelling project."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from steper_core.errors import UserError

Sample = Literal["random", "stratified", "disagreements", "judge-against-metric", "low-judge-agreement"]

_GAP = 0.5
"""From which difference on a judge and a metric are taken to differ."""

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Candidate:
    """A chain that may be labelled.

    `stratum` is its question's kind and its outcome (right, wrong or unscored); `differs` whether the chosen runs'
    outcomes of this question differ; `judge_gap` the distance of judge and metric, 0 to 1, None where it is not judged;
    `judge_spread` how far votes and judges disagree, 0 to 1, None with fewer than two votes.
    """

    run_uid: str
    question_id: int
    stratum: tuple[str, str]
    differs: bool
    judge_gap: float | None
    judge_spread: float | None


def choose(candidates: Iterable[Candidate], sample: Sample, count: int, seed: int) -> tuple[Candidate, ...]:
    """At most `count` candidates, in the order in which they are to be handed out.

    random: any. stratified: as many of each kind and outcome as there are, the same number where possible.
    disagreements: those of questions on which the runs differ. judge-against-metric: those on which judge and metric
    differ by a half or more. low-judge-agreement: those on which votes differ most. The order is shuffled, so that
    nobody sees one kind in a row; the order of the candidates given does not matter.

    Raises:
        UserError: nothing fits; the message says what is missing.
    """
    draw = random.Random(seed)  # noqa: S311 - a sample, no secret
    every = _shuffled(sorted(candidates, key=lambda each: (each.run_uid, each.question_id)), draw)
    if not every:
        raise UserError("the chosen runs hold no chains to label")
    if sample == "stratified":
        found = _stratified(every, count)
    elif sample == "disagreements":
        found = _some([each for each in every if each.differs], count, "the outcomes of the chosen runs never differ")
    elif sample == "judge-against-metric":
        apart = [each for each in every if each.judge_gap is not None and each.judge_gap >= _GAP]
        found = _some(apart, count, "no judge of these runs differs from the metric; `steper judge` asks one")
    elif sample == "low-judge-agreement":
        judged = [each for each in every if each.judge_spread]
        judged.sort(key=lambda each: -(each.judge_spread or 0))
        found = _some(judged, count, "no votes on these runs differ; judge them with --votes 3, or with two models")
    else:
        found = every[:count]
    return tuple(_shuffled(found, draw))


def mix_controls(items: Sequence[Thing], controls: Sequence[Thing], seed: int) -> tuple[Thing, ...]:
    """The items in their order, with the controls among them: one at a drawn place in each stretch of equal length."""
    draw = random.Random(seed)  # noqa: S311 - a sample, no secret
    total, stretches = len(items) + len(controls), len(controls)
    places = {}
    for number, control in enumerate(_shuffled(controls, draw)):
        first, last = total * number // stretches, total * (number + 1) // stretches
        places[first + int(draw.random() * (last - first))] = control
    rest = iter(items)
    return tuple(places[place] if place in places else next(rest) for place in range(total))


def _stratified(every: Sequence[Candidate], count: int) -> list[Candidate]:
    strata: defaultdict[tuple[str, str], list[Candidate]] = defaultdict(list)
    for each in every:
        strata[each.stratum].append(each)
    # Round after round one of each stratum, so that small strata are whole and large ones share the rest.
    rounds = max(map(len, strata.values()))
    taken = [strata[name][turn] for turn in range(rounds) for name in sorted(strata) if turn < len(strata[name])]
    return taken[:count]


def _some(found: list[Candidate], count: int, otherwise: str) -> list[Candidate]:
    if not found:
        raise UserError(f"this sample is empty: {otherwise}")
    return found[:count]


def _shuffled(things: Sequence[Thing], draw: random.Random) -> list[Thing]:
    # Only random() gives the same numbers in every version of Python.
    keys = [draw.random() for _ in things]
    return [
        thing for _, _, thing in sorted(zip(keys, range(len(keys)), things, strict=True), key=lambda each: each[:2])
    ]
