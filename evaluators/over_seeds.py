"""One system over several seeds: its mean with an interval over seeds and questions, and systems side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluators.resampling import Values
from evaluators.significance import ALPHA, holm, over_seeds, system_over_seeds
from evaluators.verdict import Unit, verdict_over_seeds

Runs = Mapping[str, Sequence[Values]]
"""The values of each system: an array over the same questions for each seed, NaN where unscored."""


@dataclass(frozen=True)
class SystemMean:
    """Mean over seeds and questions with its 95 % interval; `deviation` is the spread of the seeds' own means."""

    mean: float | None
    low: float | None
    high: float | None
    deviation: float | None
    seeds: int
    n: int


def system_mean(runs: Sequence[Values]) -> SystemMean:
    """The mean of one system on the questions that are scored with every seed.

    Raises:
        ValueError: no run, or arrays of different lengths.
    """
    mean, low, high, n = system_over_seeds(runs)
    means = [float(np.nanmean(run)) for run in runs if not np.isnan(run).all()]
    deviation = float(np.std(means, ddof=1)) if len(means) > 1 else None
    return SystemMean(mean, low, high, deviation, len(runs), n)


def against(
    runs: Runs, reference: str, score: str, *, unit: Unit = "share", seed: int = 0, resamples: int = 10_000
) -> list[str]:
    """A sentence for each system against the reference; p-values are Holm's over all of these comparisons.

    Sentences state the p of the single comparison; what Holm takes back is said behind it.

    Raises:
        ValueError: a system has no run, or arrays of different lengths.
    """
    return against_each([(reference, runs)], score, unit=unit, seed=seed, resamples=resamples)


def against_each(
    groups: Sequence[tuple[str, Runs]], score: str, *, unit: Unit = "share", seed: int = 0, resamples: int = 10_000
) -> list[str]:
    """`against` for several groups of systems, each with its own reference; Holm's correction is over all of them.

    Raises:
        ValueError: a system has no run, or arrays of different lengths.
    """
    pairs = [(reference, name, runs) for reference, runs in groups for name in runs if name != reference]
    results = [over_seeds(runs[one], runs[other], seed=seed, resamples=resamples) for one, other, runs in pairs]
    adjusted = holm([result.p for result in results])
    made = sum(result.p is not None for result in results)
    sentences = []
    for (reference, name, _), result, p in zip(pairs, results, adjusted, strict=True):
        words = verdict_over_seeds(reference, name, score, result, unit=unit)
        lost = result.p is not None and p is not None and result.p < ALPHA <= p
        sentences.append(words + (f"; not so once {made} comparisons are allowed for" if lost else ""))
    return sentences
