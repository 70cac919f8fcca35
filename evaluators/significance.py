"""Whether two systems differ on the questions that both answered, and what could have been seen at all.

Values are arrays aligned by question; NaN is an unscored question, which is left out and counted, never taken as 0. All
randomness comes from a seed: an equal seed gives an equal result, in whatever order the questions stand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom, binomtest, t

from evaluators.resampling import Values, resampled_means

ALPHA = 0.05
"""Two-sided level of every test; intervals hold 1 - ALPHA."""

POWER = 0.8
"""The share of equally large studies that would find the smallest detectable difference."""


_ROUNDING = 1e-12
_TAIL = 1e-9
_NUMBERS_TRIED = 200


@dataclass(frozen=True)
class Flow:
    """What became of each question from system a to system b, for values that are 0 or 1.

    `p` is two-sided and exact (McNemar 1947, with the binomial distribution): had both systems the same rate, each of
    the questions on which they differ would go either way with probability 1/2.
    """

    fixed: int
    broken: int
    both_right: int
    both_wrong: int
    p: float


@dataclass(frozen=True)
class Effect:
    """How large a difference is, whatever n.

    Cohen's g: share of fixed among the questions on which the systems differ, minus 1/2 (0.05 is small, 0.15 medium,
    0.25 large). Cohen's dz: mean difference over the standard deviation of differences (0.2, 0.5, 0.8). Cohen 1988.
    """

    name: Literal["Cohen's g", "Cohen's dz"]
    value: float


@dataclass(frozen=True)
class PairedResult:
    """System b against system a on the questions scored in both.

    `n` of them are scored in both, `dropped` in at most one; on `differing` of the n the values differ. `difference` is
    b - a with its percentile bootstrap interval `low` to `high` (None below two questions). `flow` exists only where
    all values are 0 or 1. `effect` is None where no values differ or differences do not vary. `detectable` is the
    smallest true difference (positive, in units of the values) that a test of this size finds with `POWER`; None where
    none can be found, or the observed differences give no variance to judge by.
    """

    n: int
    dropped: int
    differing: int
    mean_a: float | None
    mean_b: float | None
    difference: float | None
    low: float | None
    high: float | None
    bootstrap_p: float | None
    flow: Flow | None
    effect: Effect | None
    detectable: float | None

    @property
    def p(self) -> float | None:
        """The p to report: exact McNemar for 0/1 values, else the bootstrap's; None without a question."""
        return self.flow.p if self.flow else self.bootstrap_p

    @property
    def test(self) -> Literal["McNemar", "paired bootstrap"]:
        """The test that `p` comes from."""
        return "McNemar" if self.flow else "paired bootstrap"


@dataclass(frozen=True)
class SeedsResult:
    """System b against system a over several seeds of each, on the `n` questions scored in every run.

    `dropped` questions are unscored in at least one run; the rest as in PairedResult.
    """

    n: int
    dropped: int
    seeds_a: int
    seeds_b: int
    mean_a: float | None
    mean_b: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None


def paired(a: Values, b: Values, *, seed: int = 0, resamples: int = 10_000) -> PairedResult:
    """Compare two systems question by question.

    Interval: percentile bootstrap of the mean difference over questions (Efron 1979). `bootstrap_p`: twice the smaller
    share of resamples on one side of zero, one added to both counts (Davison and Hinkley 1997, section 4.2). It is
    never below 2^(1 - differing), the smallest p that so many signs can give: resampling three questions that all
    improved would otherwise call them proof.

    Limits: percentile intervals are too narrow below about 20 questions, and one run of each system says nothing about
    other seeds (`over_seeds`).

    Raises:
        ValueError: the arrays are not flat and equally long, or a value is infinite.
    """
    values = _stacked([a, b])
    scored = values[~np.isnan(values).any(axis=1)]
    n, dropped = len(scored), len(values) - len(scored)
    if not n:
        return PairedResult(0, dropped, 0, None, None, None, None, None, None, None, None, None)
    differences = scored[:, 1] - scored[:, 0]
    differing = int(np.count_nonzero(np.abs(differences) > _ROUNDING))
    difference = _mean(differences)
    # Drawn for the higher mean against the lower one, so that swapping a and b mirrors the result.
    sign = -1.0 if difference < 0 else 1.0
    means = sign * resampled_means(sign * differences[:, np.newaxis], seed, resamples)[:, 0]
    low, high = _interval(means, difference, n)
    flow = _flow(scored) if np.isin(scored, (0.0, 1.0)).all() else None
    deviation = float(differences.std(ddof=1)) if n > 1 else 0.0
    return PairedResult(
        n=n,
        dropped=dropped,
        differing=differing,
        mean_a=_mean(scored[:, 0]),
        mean_b=_mean(scored[:, 1]),
        difference=difference,
        low=low,
        high=high,
        bootstrap_p=_two_sided(means, differing),
        flow=flow,
        effect=_effect(flow, difference, deviation),
        detectable=_detectable_share(n, differing) if flow else _detectable_mean(n, deviation),
    )


def over_seeds(
    runs_a: Sequence[Values], runs_b: Sequence[Values], *, seed: int = 0, resamples: int = 10_000
) -> SeedsResult:
    """Compare two systems that were trained with several seeds each, all asked the same questions.

    Every resample draws the questions (the same for all runs) and adds what other seeds would do: Student's t, scaled
    by the spread of each system's own means, on Welch's degrees of freedom (1947). Drawing from two or three seeds
    instead would show far too little of it. Questions and seeds are crossed, where adding the two errs on the wide side
    (Owen 2007). How other seeds of a system of one seed would do is not in it; with one seed each it is `paired`'s
    bootstrap. `p` as there.

    Raises:
        ValueError: a system has no run, arrays are not flat and equally long, or a value is infinite.
    """
    if not runs_a or not runs_b:
        raise ValueError("each system needs at least one run")
    values = _stacked([*runs_a, *runs_b])
    scored = values[~np.isnan(values).any(axis=1)]
    seeds = (len(runs_a), len(runs_b))
    n, dropped = len(scored), len(values) - len(scored)
    if not n:
        return SeedsResult(0, dropped, *seeds, None, None, None, None, None, None)
    differences = scored[:, seeds[0] :].mean(axis=1) - scored[:, : seeds[0]].mean(axis=1)
    difference = _mean(differences)
    # Drawn for the higher system against the lower one, as in `paired`.
    sign = -1.0 if difference < 0 else 1.0
    drawn = resampled_means(sign * differences[:, np.newaxis], seed, resamples)[:, 0]
    means = sign * (drawn + _of_other_seeds(scored, seeds, seed, resamples))
    low, high = _interval(means.clip(-1.0, 1.0) if _are_shares(scored) else means, difference, n)
    return SeedsResult(
        n=n,
        dropped=dropped,
        seeds_a=seeds[0],
        seeds_b=seeds[1],
        mean_a=_mean(scored[:, : seeds[0]].ravel()),
        mean_b=_mean(scored[:, seeds[0] :].ravel()),
        difference=difference,
        low=low,
        high=high,
        p=_two_sided(means, int(np.count_nonzero(np.abs(differences) > _ROUNDING))),
    )


def system_over_seeds(
    runs: Sequence[Values], *, seed: int = 0, resamples: int = 10_000
) -> tuple[float | None, float | None, float | None, int]:
    """Mean, 95 % interval and number of questions of one system trained with several seeds; resampled as `over_seeds`.

    Raises:
        ValueError: no run, arrays that are not flat and equally long, or an infinite value.
    """
    if not runs:
        raise ValueError("a system needs at least one run")
    values = _stacked(runs)
    scored = values[~np.isnan(values).any(axis=1)]
    if not len(scored):
        return None, None, None, 0
    drawn = resampled_means(scored.mean(axis=1, keepdims=True), seed, resamples)[:, 0]
    mean = _mean(scored.ravel())
    means = drawn + _of_other_seeds(scored, (len(runs),), seed, resamples)
    return mean, *_interval(means.clip(0.0, 1.0) if _are_shares(scored) else means, mean, len(scored)), len(scored)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Step-down adjusted p (Holm 1979), in the given order: below ALPHA, a comparison holds among all of them.

    Valid however the comparisons depend on one another. None is a comparison that could not be made: it stays None and
    does not count.

    Raises:
        ValueError: a p is not between 0 and 1.
    """
    made = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    if not all(0 <= p <= 1 for p, _ in made):
        raise ValueError("a p value must lie between 0 and 1")
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(made):
        largest = max(largest, min(1.0, (len(made) - rank) * p))
        adjusted[place] = largest
    return adjusted


def mcnemar(fixed: int, broken: int) -> float:
    """Two-sided exact p of McNemar's test (1947); 1 where no question changed."""
    return float(binomtest(fixed, fixed + broken, 0.5).pvalue) if fixed + broken else 1.0


def _stacked(runs: Sequence[Values]) -> Values:
    """Runs as columns, one row a question."""
    arrays = [np.asarray(run, dtype=np.float64) for run in runs]
    if any(array.ndim != 1 or len(array) != len(arrays[0]) for array in arrays):
        raise ValueError("values must be flat arrays of equal length, one value a question")
    if any(np.isinf(array).any() for array in arrays):
        raise ValueError("a score must be finite, or NaN where it is unscored")
    return np.stack(arrays, axis=1)


def _mean(values: Values) -> float:
    return math.fsum(values) / len(values)


def _interval(means: Values, centre: float, n: int) -> tuple[float | None, float | None]:
    if n < 2:
        return None, None
    # Resampled means of equal values differ in their last digits; zero may come out negative.
    low, high = (round(float(bound), 12) + 0.0 for bound in np.percentile(means, [50 * ALPHA, 100 - 50 * ALPHA]))
    return min(low, centre), max(high, centre)


def _two_sided(means: Values, differing: int) -> float:
    one_side = min(np.count_nonzero(means <= _ROUNDING), np.count_nonzero(means >= -_ROUNDING))
    fewest_signs = 2.0 ** (1 - differing)
    return min(1.0, max(2 * (int(one_side) + 1) / (len(means) + 1), fewest_signs))


def _flow(scored: Values) -> Flow:
    right = scored == 1.0
    before, after = right[:, 0], right[:, 1]
    fixed, broken = int((after & ~before).sum()), int((before & ~after).sum())
    return Flow(fixed, broken, int((before & after).sum()), int((~before & ~after).sum()), mcnemar(fixed, broken))


def _effect(flow: Flow | None, difference: float, deviation: float) -> Effect | None:
    if flow:
        differing = flow.fixed + flow.broken
        return Effect("Cohen's g", flow.fixed / differing - 0.5) if differing else None
    return Effect("Cohen's dz", difference / deviation) if deviation > _ROUNDING else None


def _detectable_mean(n: int, deviation: float) -> float | None:
    """The usual approximation with t quantiles: (t_.975 + t_.8) s / sqrt(n)."""
    if n < 2 or deviation <= _ROUNDING:
        return None
    return float((t.ppf(1 - ALPHA / 2, n - 1) + t.ppf(POWER, n - 1)) * deviation / math.sqrt(n))


def _detectable_share(n: int, differing: int) -> float | None:
    """Where the power of the exact McNemar test crosses POWER if as many questions differ as were observed to.

    A difference needs at least as many differing questions as it is large, so a larger one than observed discordance
    is taken to come with no question lost.
    """
    if _mcnemar_power(1.0, n, differing / n) < POWER:
        return None
    return float(brentq(lambda share: _mcnemar_power(share, n, differing / n) - POWER, 0.0, 1.0, xtol=1e-6))


def _mcnemar_power(difference: float, n: int, discordance: float) -> float:
    """Chance that the exact test rejects at ALPHA: over how many questions differ, and how many of those are fixed."""
    discordance = max(discordance, difference)
    if not discordance:
        return 0.0
    fewest, most = binom.ppf(_TAIL, n, discordance), binom.ppf(1 - _TAIL, n, discordance)
    # Of very many possible numbers every k-th stands for its neighbours, so that the cost does not grow with n.
    differing = np.arange(max(0, fewest), most + 1, max(1, (most - fewest) // _NUMBERS_TRIED))
    fixed_share = (1 + difference / discordance) / 2
    # The largest smaller count that is still significant; -1 where no count is.
    critical = binom.ppf(ALPHA / 2, differing, 0.5)
    critical = np.where(binom.cdf(critical, differing, 0.5) > ALPHA / 2, critical - 1, critical)
    rejects = binom.cdf(critical, differing, fixed_share) + binom.sf(differing - critical - 1, differing, fixed_share)
    return float(np.average(rejects, weights=binom.pmf(differing, n, discordance)))


def _are_shares(scored: Values) -> bool:
    """Whether no mean can lie outside of 0 and 1, however few seeds there are to tell."""
    return bool(((scored >= 0) & (scored <= 1)).all())


def _of_other_seeds(scored: Values, systems: Sequence[int], seed: int, resamples: int) -> Values:
    """How far other seeds would move the mean of a system, or the difference of two: (resamples,), around 0.

    `systems` are how many columns of `scored` belong to each. One seed alone tells nothing of a spread, and none is
    taken on trust: an untrained model has none.
    """
    own = [means for means in np.split(scored.mean(axis=0), np.cumsum(systems)[:-1]) if len(means) > 1]
    parts = [float(means.var(ddof=1)) / len(means) for means in own]
    if sum(parts) < _ROUNDING**2:
        return np.zeros(resamples)
    freedom = sum(parts) ** 2 / sum(part**2 / (len(means) - 1) for part, means in zip(parts, own, strict=True))
    # The same draws whichever system comes first.
    rng = np.random.default_rng([seed, *sorted(systems)])
    return math.sqrt(sum(parts)) * rng.standard_t(freedom, size=resamples)
