"""Figures with their uncertainty: bootstrap intervals over questions, spread over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from evaluators.resampling import resampled_means
from steper_core.errors import UserError
from steper_core.records import Score
from steper_core.run_records import Figure

_LOW, _HIGH = 2.5, 97.5


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation over `n` runs that differ in their seed; None where there are too few."""

    mean: float | None
    deviation: float | None
    n: int


def figure_of(
    values: Sequence[float | None] | npt.NDArray[np.floating], seed: int = 0, resamples: int = 10_000
) -> Figure:
    """The mean over questions with its percentile bootstrap 95 % interval (Efron 1979).

    None, or NaN in an array, is an unscored question: it is counted, never averaged. One scored question has a mean but
    no interval. Equal values in any order and an equal seed give an equal figure.

    Raises:
        ValueError: a value is not finite.
    """
    if isinstance(values, np.ndarray):
        scored = np.sort(values[~np.isnan(values)].astype(np.float64))
    else:
        scored = np.sort(np.array([value for value in values if value is not None], dtype=np.float64))
    unscored = len(values) - len(scored)
    if not np.isfinite(scored).all():
        raise ValueError("a score must be a finite number or None")
    if not len(scored):
        return Figure(mean=None, low=None, high=None, n=0, unscored=unscored)
    mean = math.fsum(scored) / len(scored)
    if len(scored) == 1:
        return Figure(mean=mean, low=None, high=None, n=1, unscored=unscored)
    low, high = np.percentile(resampled_means(scored[:, np.newaxis], seed, resamples), [_LOW, _HIGH])
    # Rounding may put the bounds of nearly equal values a last digit past their mean.
    return Figure(mean=mean, low=min(float(low), mean), high=max(float(high), mean), n=len(scored), unscored=unscored)


def figures_of(scores: Iterable[Score], question_ids: Iterable[str], seed: int = 0) -> dict[str, Figure]:
    """A figure for each score, over the expected questions; one without a score counts as unscored.

    Scores of steps are averaged over the scored steps of each question first. A name that chains have too is taken from
    the chains. Of two scores of the same thing the later one holds, and of several versions all scores of the one that
    comes last. A figure has the score's name, a judge's also the judge's (name@judge:model), for several may judge one
    run.

    Raises:
        UserError: two evaluators that are no judges give scores of one name.
    """
    collected: dict[tuple[str, str], _Scores] = {}
    latest: dict[str, _Scores] = {}
    for score in scores:
        key = score.name if ":" not in score.evaluator else f"{score.name}@{score.evaluator}"
        _check_one_evaluator(latest.get(key), score)
        found = collected.setdefault((key, score.version), _Scores(score.evaluator, score.version))
        latest[key] = found
        if score.step is None:
            found.chains[score.question_id] = score.value
        else:
            found.steps.setdefault(score.question_id, {})[score.step] = score.value
    expected = list(dict.fromkeys(question_ids))
    return {
        key: figure_of(found.values(expected), seed).model_copy(
            update={"evaluator": found.evaluator, "version": found.version}
        )
        for key, found in latest.items()
    }


@dataclass
class _Scores:
    """The scores of one name by question."""

    evaluator: str
    version: str
    chains: dict[str, float | None] = field(default_factory=dict)
    steps: dict[str, dict[int, float | None]] = field(default_factory=dict)

    def values(self, questions: Sequence[str]) -> list[float | None]:
        """The chains' own values; means over steps where chains as such hold nothing but reasons for having none."""
        if any(value is not None for value in self.chains.values()) or not self.steps:
            return [self.chains.get(question) for question in questions]
        return [_mean(self.steps.get(question, {}).values()) for question in questions]


def _check_one_evaluator(found: _Scores | None, score: Score) -> None:
    if found is not None and found.evaluator != score.evaluator:
        raise UserError(
            f"both {found.evaluator} and {score.evaluator} give scores named {score.name}; "
            "scores of one name come from one evaluator"
        )


def spread_over_seeds(means: Iterable[float | None]) -> Spread:
    """Mean and sample standard deviation of one figure over runs with different seeds; None is left out."""
    known = [mean for mean in means if mean is not None]
    deviation = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return Spread(_mean(known), deviation, len(known))


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None
