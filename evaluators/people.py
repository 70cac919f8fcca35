"""What several people said of the same things: what holds in the end, where they differ, how reliable each one is."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scipy.stats import binomtest

from evaluators.agreement import Labels, Unit

ADJUDICATE = "adjudicate"
"""The role of whoever decides where people differ."""

_STEPS = 1_000_000
"""More than a chain has steps."""

ReferenceLabels = Mapping[tuple[int, str], float]
"""The known labels of a control item, by step number (0: the chain) and field."""


@dataclass(frozen=True)
class GivenLabel:
    """A verdict that a person gave: on a step (`number`) or the whole chain (0) of an item, with the step's ability."""

    item: int
    question: str
    number: int
    field: str
    value: float
    annotator: str
    role: str = "label"
    ability: str = ""

    @property
    def place(self) -> tuple[int, int, str]:
        """What it is about."""
        return self.item, self.number, self.field


@dataclass(frozen=True)
class Disagreement:
    """A place on which people gave different values; `adjudicated` is the decision, if there is one."""

    item: int
    number: int
    field: str
    values: dict[str, float]
    spread: float
    adjudicated: float | None


@dataclass(frozen=True)
class Proportion:
    """A share of `n` cases with its 95 % interval (Wilson 1927); the bounds are None without a case."""

    right: int
    n: int
    low: float | None
    high: float | None


def resolve(labels: Iterable[GivenLabel]) -> dict[tuple[int, int, str], float]:
    """What holds at each place: the decision, if there is one, else what most people gave; where two lead, nothing."""
    given: defaultdict[tuple[int, int, str], Counter[float]] = defaultdict(Counter)
    decided: dict[tuple[int, int, str], float] = {}
    for label in labels:
        if label.role == ADJUDICATE:
            decided[label.place] = label.value
        else:
            given[label.place][label.value] += 1
    found = dict(decided)
    for place, counts in given.items():
        (value, most), *others = counts.most_common(2)
        if place not in found and (not others or others[0][1] < most):
            found[place] = value
    return found


def disagreements(labels: Iterable[GivenLabel]) -> tuple[Disagreement, ...]:
    """The places on which people differ, those farthest apart first; then in the order of items, steps and fields."""
    given: defaultdict[tuple[int, int, str], dict[str, float]] = defaultdict(dict)
    decided: dict[tuple[int, int, str], float] = {}
    for label in labels:
        if label.role == ADJUDICATE:
            decided[label.place] = label.value
        else:
            given[label.place][label.annotator] = label.value
    found = [
        Disagreement(*place, values, max(values.values()) - min(values.values()), decided.get(place))
        for place, values in given.items()
        if len(set(values.values())) > 1
    ]
    return tuple(sorted(found, key=lambda each: (-each.spread, each.item, each.number, each.field)))


def control_accuracy(labels: Iterable[GivenLabel], references: Mapping[int, ReferenceLabels]) -> dict[str, Proportion]:
    """How many of the known labels of control items each person gave, with the interval; only those they labelled."""
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for label in labels:
        known = references.get(label.item, {}).get((label.number, label.field))
        if known is not None and label.role != ADJUDICATE:
            total[label.annotator] += 1
            right[label.annotator] += math.isclose(known, label.value)
    return {name: proportion_of(right[name], total[name]) for name in sorted(total)}


def proportion_of(right: int, n: int) -> Proportion:
    """A share with its Wilson interval."""
    if not n:
        return Proportion(0, 0, None, None)
    interval = binomtest(right, n).proportion_ci(0.95, "wilson")
    return Proportion(right, n, float(interval.low), float(interval.high))


def ratings_of(labels: Iterable[GivenLabel], field: str) -> dict[str, Labels]:
    """The labels of one field by person, as `agreement` takes them; decisions are left out, they knew of the others."""
    ratings: defaultdict[str, dict[Unit, float]] = defaultdict(dict)
    for label in labels:
        if label.field == field and label.role != ADJUDICATE:
            ratings[label.annotator][unit_of(label.question, label.item, label.number, label.ability)] = label.value
    return {name: ratings[name] for name in sorted(ratings)}


def unit_of(question: str, item: int, number: int, ability: str) -> Unit:
    """A place as `agreement` takes it: a question may be labelled under several runs, and is drawn with all of them."""
    return question, item * _STEPS + number, ability


def place_in(unit: Unit) -> tuple[int, int]:
    """The item and the step of a unit that `unit_of` made."""
    return divmod(unit[1], _STEPS)
