"""Whether a judge or a metric can stand in for people's labels.

The idea is that of the alternative annotator test (Calderon, Reichart and Dror 2025): a machine may replace people
where it agrees with them about as well as they agree with each other. Theirs drops one annotator at a time and counts
wins; here the two raw agreements are taken on the same units, and their difference has a bootstrap interval over
questions. Limits: agreement is not truth, people who err alike make a machine that errs with them look good; raw
agreement says little where nearly all labels are equal, so the chance-corrected coefficients belong beside it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evaluators.agreement import Labels, Ratings, Unit, krippendorff_alpha
from evaluators.resampling import resampled_means
from evaluators.significance import ALPHA

MARGIN = 0.05
"""By how much less a machine may agree with people than they do with each other, and still stand in for them."""

Outcome = Literal["good enough", "not good enough", "cannot be told"]
_FEWEST_QUESTIONS = 10
"""Below this an interval over questions promises more than it holds."""


@dataclass(frozen=True)
class Replacement:
    """A machine against people, on units that it and at least two people labelled.

    `machine` is its mean agreement with each person, `people` theirs with each other, `difference` the first minus the
    second with its 95 % interval (None with a single question). `reason` says why nothing can be told.
    """

    outcome: Outcome
    machine: float | None
    people: float | None
    difference: float | None
    low: float | None
    high: float | None
    units: int
    questions: int
    reason: str | None = None


def replacement(
    people: Ratings, machine: Labels, *, margin: float = MARGIN, seed: int = 0, resamples: int = 10_000
) -> Replacement:
    """Compare a machine's labels with those of people. Equal seed, equal result.

    "good enough" if even the lower bound of the difference is above -margin, "not good enough" if even the upper one is
    below it, else it cannot be told from so many questions. People whose alpha on these units is not above chance, or
    not known, are no measure for a machine: then nothing can be told.
    """
    by_unit: defaultdict[Unit, list[float]] = defaultdict(list)
    for labels in people.values():
        for unit, label in labels.items():
            by_unit[unit].append(label)
    shared = sorted(unit for unit, given in by_unit.items() if len(given) > 1 and unit in machine)
    questions = list(dict.fromkeys(unit[0] for unit in shared))
    if not shared:
        return _nothing(_why_none(by_unit, machine))
    places = {question: place for place, question in enumerate(questions)}
    sums = np.zeros((len(questions), 3))
    shares = [(*_shares(by_unit[unit], machine[unit]), 1.0) for unit in shared]
    np.add.at(sums, [places[unit[0]] for unit in shared], shares)
    mine, theirs = (float(sums[:, column].sum() / len(shared)) for column in (0, 1))
    if len(questions) < 2:
        return Replacement("cannot be told", mine, theirs, mine - theirs, None, None, len(shared), 1, "one question")
    drawn = resampled_means(sums, seed, resamples)
    low, high = np.percentile((drawn[:, 0] - drawn[:, 1]) / drawn[:, 2], [100 * ALPHA / 2, 100 * (1 - ALPHA / 2)])
    reason = _why_not(people, shared, len(questions), seed, resamples)
    return Replacement(
        outcome="cannot be told" if reason else _outcome(float(low), float(high), margin),
        machine=mine,
        people=theirs,
        difference=mine - theirs,
        low=min(float(low), mine - theirs),
        high=max(float(high), mine - theirs),
        units=len(shared),
        questions=len(questions),
        reason=reason,
    )


def sentence(found: Replacement, machine: str, about: str, *, margin: float = MARGIN) -> str:
    """What was found, in words; `about` says of what, for example "rating of expansion steps"."""
    if found.machine is None or found.people is None or found.difference is None:
        return f"On {about} nothing can be said of {machine}: {found.reason}."
    bounds = "" if found.low is None or found.high is None else f" [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
    figures = (
        f"{100 * found.machine:.1f} % agreement with people against {100 * found.people:.1f} % among them, "
        f"{100 * found.difference:+.1f} points{bounds}, {_count(found.questions, 'question')}, "
        f"{_count(found.units, 'label')}"
    )
    if found.outcome == "good enough":
        return f"On {about} {machine} can stand in for labels: {figures}."
    if found.outcome == "not good enough":
        return f"On {about} {machine} cannot stand in for labels: {figures}."
    why = f"{found.reason}" if found.reason else f"the interval reaches below and above -{100 * margin:.0f} points"
    return f"On {about} it cannot be told whether {machine} can stand in for labels ({why}): {figures}."


def _shares(given: list[float], machine: float) -> tuple[float, float]:
    """The share of people's labels of a unit that equal the machine's, and of their pairs that are equal."""
    count = len(given)
    equal = sum(map(given.count, given)) - count
    return given.count(machine) / count, equal / (count * (count - 1))


def _why_not(people: Ratings, shared: Sequence[Unit], questions: int, seed: int, resamples: int) -> str | None:
    """What keeps a comparison from telling anything."""
    if questions < _FEWEST_QUESTIONS:
        return f"fewer than {_FEWEST_QUESTIONS} questions"
    kept = set(shared)
    among = {person: {unit: label for unit, label in own.items() if unit in kept} for person, own in people.items()}
    alpha = krippendorff_alpha(among, seed=seed, resamples=resamples)
    if alpha.low is None:
        return alpha.reason
    return "people agree with each other no better than chance" if alpha.low <= 0 else None


def _outcome(low: float, high: float, margin: float) -> Outcome:
    if low > -margin:
        return "good enough"
    return "not good enough" if high < -margin else "cannot be told"


def _why_none(by_unit: dict[Unit, list[float]], machine: Labels) -> str:
    if not by_unit:
        return "no person labelled it"
    if not any(len(given) > 1 for given in by_unit.values()):
        return "no two people labelled the same thing, so how well people agree is not known"
    return "it labelled nothing that two people labelled" if machine else "it labelled nothing"


def _nothing(reason: str) -> Replacement:
    return Replacement("cannot be told", None, None, None, None, None, 0, 0, reason)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
