"""How far raters agree: judge with judge, vote with vote, and with people.

A label is a number: a category, or a place on an ordinal or interval scale. Every measure is a function of a table that
counts pairs of labels (one rater's by another's), and such tables add up over questions. So the bootstrap draws whole
questions, all their steps together, by adding up the tables of the questions drawn: 10,000 resamples are one product of
matrices, where a library that computes one coefficient a call would take minutes. Tests hold the coefficients against
scikit-learn and krippendorff.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Literal

import numpy as np
import numpy.typing as npt

from evaluators.resampling import resampled_means
from evaluators.significance import ALPHA

Rater = str
Unit = tuple[str, int, str]
"""What is rated: question id, step number (0: the whole chain), ability ("" where it is of no one ability)."""

Labels = Mapping[Unit, float]
Ratings = Mapping[Rater, Labels]
Weights = Literal["linear", "quadratic"] | None
Level = Literal["nominal", "ordinal", "interval"]

NO_OVERLAP = "no unit is rated by two raters"
ONE_CATEGORY = "only one category was used, so agreement by chance cannot be told apart"
ONE_QUESTION = "one question gives no interval"
TOO_MANY_LABELS = "more than 40 different labels: put them into classes first"
OFTEN_UNDEFINED = "too few labels differ for an interval: many resamples hold one category only"

WEIGHTS_OF: Mapping[Level, Weights] = {"nominal": None, "ordinal": "linear", "interval": "quadratic"}
"""The kappa that suits labels of each level."""

_UNDEFINED_AT_MOST = 0.05
"""Share of resamples in which a coefficient may be undefined before its interval is given up."""

_MOST_LABELS = 40
"""A resample's table holds the square of this; 10,000 of them fit into 130 MB."""

_BOUNDS = (100 * ALPHA / 2, 100 * (1 - ALPHA / 2))
_Pair = tuple[str, float, float, float]
"""Question, a label, another rater's label of the same unit, and the pair's weight."""

_Table = npt.NDArray[np.float64]
_Measure = Callable[[_Table, _Table], npt.NDArray[np.float64]]
"""From tables (..., K, K) and label values (K,) to coefficients (...), NaN where undefined."""


@dataclass(frozen=True)
class Agreement:
    """A coefficient with its 95 % bootstrap interval over questions.

    `units` were rated by at least two raters, in `questions` questions. `reason` says why the value, or else only its
    interval, is None.
    """

    value: float | None
    low: float | None
    high: float | None
    units: int
    questions: int
    reason: str | None = None


@dataclass(frozen=True)
class Cell:
    """How many units got a pair of labels, their share of all, and its interval (None with a single question)."""

    count: int
    share: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Confusion:
    """`cells[i][j]`: units that the first rater gave `labels[i]` and the second `labels[j]`. Empty without overlap."""

    labels: tuple[float, ...]
    cells: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class PairAgreement:
    """Two raters on the units that both rated."""

    first: Rater
    second: Rater
    raw: Agreement
    kappa: Agreement
    confusion: Confusion


@dataclass(frozen=True)
class Measures:
    """All raters together (raw agreement, alpha), and each pair of them."""

    raw: Agreement
    alpha: Agreement
    pairs: tuple[PairAgreement, ...]


@dataclass(frozen=True)
class AgreementReport:
    """Agreement over all units, and over the units of each ability that occurs.

    `level` is the scale that alpha took labels for; kappa's weights follow it (WEIGHTS_OF).
    """

    raters: tuple[Rater, ...]
    level: Level
    overall: Measures
    by_ability: dict[str, Measures]


def agree(ratings: Ratings, *, level: Level = "nominal", seed: int = 0, resamples: int = 10_000) -> AgreementReport:
    """Every measure of agreement among raters, overall and per ability; a label that is missing is simply absent.

    Raises:
        ValueError: a label is not a finite number.
    """
    abilities = sorted({unit[2] for labels in ratings.values() for unit in labels if unit[2]})
    return AgreementReport(
        raters=tuple(ratings),
        level=level,
        overall=_measures(ratings, level, seed, resamples),
        by_ability={ability: _measures(_of_ability(ratings, ability), level, seed, resamples) for ability in abilities},
    )


def agree_pair(
    first: Rater, second: Rater, ratings: Ratings, *, level: Level = "nominal", seed: int = 0, resamples: int = 10_000
) -> PairAgreement:
    """Raw agreement, kappa and confusion of two of the raters.

    Raises:
        ValueError: as `agree` does.
    """
    crossed = _crossed(ratings[first], ratings[second], seed, resamples)
    kappa = crossed.coefficient(_kappa(WEIGHTS_OF[level]))
    return PairAgreement(first, second, crossed.coefficient(_raw), kappa, crossed.confusion())


def raw_agreement(ratings: Ratings, *, seed: int = 0, resamples: int = 10_000) -> Agreement:
    """Share of equal labels among the pairs of labels that different raters gave one unit.

    With more than two raters a unit weighs as much as it has labels, as in alpha. Chance is not taken out: two raters
    who always say 1 agree fully.

    Raises:
        ValueError: as `agree` does.
    """
    return _pooled(ratings, seed, resamples).coefficient(_raw)


def cohen_kappa(
    first: Labels, second: Labels, weights: Weights = None, *, seed: int = 0, resamples: int = 10_000
) -> Agreement:
    """Cohen's kappa (1960) of two raters; weighted (1968) by the distance between labels, or its square, if asked.

    Distances are taken between the labels themselves, so that a scale's unused labels need not be named.

    Raises:
        ValueError: as `agree` does.
    """
    return _crossed(first, second, seed, resamples).coefficient(_kappa(weights))


def krippendorff_alpha(
    ratings: Ratings, level: Level = "nominal", *, seed: int = 0, resamples: int = 10_000
) -> Agreement:
    """Krippendorff's alpha (Content Analysis, chapter 12): any number of raters, labels may be missing.

    1 - observed over expected disagreement, from the coincidences of labels within units.

    Raises:
        ValueError: as `agree` does.
    """
    return _pooled(ratings, seed, resamples).coefficient(_alpha(level))


def confusion(first: Labels, second: Labels, *, seed: int = 0, resamples: int = 10_000) -> Confusion:
    """Which labels two raters gave the units that both rated.

    Raises:
        ValueError: as `agree` does.
    """
    return _crossed(first, second, seed, resamples).confusion()


@dataclass(frozen=True)
class _Counts:
    """Pair tables of `units` units: one a question (Q, K, K), and the mean tables of the resamples (R, K, K)."""

    labels: _Table
    tables: _Table
    resampled: _Table
    units: int

    @classmethod
    def of(cls, labels: Sequence[float], pairs: Sequence[_Pair], units: int, seed: int, resamples: int) -> _Counts:
        """Count pairs of labels by question; nothing is counted of more labels than a table can hold."""
        if len(labels) > _MOST_LABELS:
            return cls(np.zeros(0), np.zeros((len({pair[0] for pair in pairs}), 0, 0)), np.zeros((0, 0, 0)), units)
        places = {label: place for place, label in enumerate(labels)}
        questions = {question: place for place, question in enumerate(dict.fromkeys(pair[0] for pair in pairs))}
        tables = np.zeros((len(questions), len(labels), len(labels)))
        for question, one, other, weight in pairs:
            tables[questions[question], places[one], places[other]] += weight
        drawn = np.zeros((0, len(labels), len(labels)))
        if len(questions) > 1:
            flat = resampled_means(tables.reshape(len(tables), -1), seed, resamples)
            drawn = flat.reshape(-1, *tables.shape[1:]) * len(tables)
        return cls(np.array(labels), tables, drawn, units)

    def coefficient(self, measure: _Measure) -> Agreement:
        """A measure of all questions, with its interval over them."""
        size = (self.units, len(self.tables))
        if not self.units:
            return Agreement(None, None, None, *size, NO_OVERLAP)
        if not len(self.labels):
            return Agreement(None, None, None, *size, TOO_MANY_LABELS)
        value = float(measure(self.tables.sum(axis=0), self.labels))
        if np.isnan(value):
            return Agreement(None, None, None, *size, ONE_CATEGORY)
        if not len(self.resampled):
            return Agreement(value, None, None, *size, ONE_QUESTION)
        values = measure(self.resampled, self.labels)
        defined = values[~np.isnan(values)]
        if len(defined) < (1 - _UNDEFINED_AT_MOST) * len(values):
            return Agreement(value, None, None, *size, OFTEN_UNDEFINED)
        low, high = np.percentile(defined, _BOUNDS)
        return Agreement(value, min(float(low), value), max(float(high), value), *size)

    def confusion(self) -> Confusion:
        """The table of two raters, its cells as shares of all units."""
        counts = self.tables.sum(axis=0)
        low = high = None
        if len(self.resampled):
            low, high = np.percentile(self.resampled / self.resampled.sum(axis=(1, 2), keepdims=True), _BOUNDS, axis=0)
        cells = tuple(
            tuple(
                Cell(
                    count=round(counts[row, column]),
                    share=float(counts[row, column] / self.units),
                    low=None if low is None else float(low[row, column]),
                    high=None if high is None else float(high[row, column]),
                )
                for column in range(len(self.labels))
            )
            for row in range(len(self.labels))
        )
        return Confusion(tuple(self.labels.tolist()), cells)


def _measures(ratings: Ratings, level: Level, seed: int, resamples: int) -> Measures:
    pooled = _pooled(ratings, seed, resamples)
    pairs = tuple(
        agree_pair(first, second, ratings, level=level, seed=seed, resamples=resamples)
        for first, second in combinations(ratings, 2)
    )
    return Measures(pooled.coefficient(_raw), pooled.coefficient(_alpha(level)), pairs)


def _of_ability(ratings: Ratings, ability: str) -> Ratings:
    return {
        rater: {unit: label for unit, label in labels.items() if unit[2] == ability}
        for rater, labels in ratings.items()
    }


def _crossed(first: Labels, second: Labels, seed: int, resamples: int) -> _Counts:
    """Tables of two raters: rows are the first one's labels."""
    _check([first, second])
    shared = sorted(first.keys() & second.keys())
    pairs = [(unit[0], first[unit], second[unit], 1.0) for unit in shared]
    labels = sorted({label for _, one, other, _ in pairs for label in (one, other)})
    return _Counts.of(labels, pairs, len(shared), seed, resamples)


def _pooled(ratings: Ratings, seed: int, resamples: int) -> _Counts:
    """Tables of coincidences: every ordered pair of a unit's m labels, weighted 1 / (m - 1) (Krippendorff)."""
    _check(list(ratings.values()))
    by_unit: dict[Unit, list[float]] = {}
    for labels in ratings.values():
        for unit, label in labels.items():
            by_unit.setdefault(unit, []).append(label)
    rated = {unit: given for unit, given in sorted(by_unit.items()) if len(given) > 1}
    pairs = [
        (unit[0], one, other, 1 / (len(given) - 1))
        for unit, given in rated.items()
        for one, other in permutations(given, 2)
    ]
    labels_used = sorted({label for given in rated.values() for label in given})
    return _Counts.of(labels_used, pairs, len(rated), seed, resamples)


def _check(raters: Sequence[Labels]) -> None:
    if not all(math.isfinite(label) for labels in raters for label in labels.values()):
        raise ValueError("a label must be a finite number; leave out a unit that was not rated")


def _raw(tables: _Table, labels: _Table) -> _Table:
    return np.asarray(np.trace(tables, axis1=-2, axis2=-1) / tables.sum(axis=(-2, -1)))


def _kappa(weights: Weights) -> _Measure:
    def measure(tables: _Table, labels: _Table) -> _Table:
        distance = np.abs(labels[:, np.newaxis] - labels)
        cost = {"linear": distance, "quadratic": distance**2, None: (distance > 0).astype(np.float64)}[weights]
        rows, columns = tables.sum(axis=-1), tables.sum(axis=-2)
        by_chance = np.einsum("...i,ij,...j->...", rows, cost, columns) / tables.sum(axis=(-2, -1))
        return _one_minus((tables * cost).sum(axis=(-2, -1)), by_chance)

    return measure


def _alpha(level: Level) -> _Measure:
    def measure(tables: _Table, labels: _Table) -> _Table:
        used = tables.sum(axis=-1)
        # Ordinal distance counts the labels between two: the gap between their midranks.
        place = np.cumsum(used, axis=-1) - used / 2 if level == "ordinal" else np.broadcast_to(labels, used.shape)
        gap = place[..., :, np.newaxis] - place[..., np.newaxis, :]
        cost = (gap != 0).astype(np.float64) if level == "nominal" else gap**2
        expected = np.einsum("...i,...ij,...j->...", used, cost, used) / (used.sum(axis=-1) - 1)
        return _one_minus((tables * cost).sum(axis=(-2, -1)), expected)

    return measure


def _one_minus(observed: _Table, expected: _Table) -> _Table:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected > 0, 1 - observed / expected, np.nan)
