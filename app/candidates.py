"""The chains of some runs as candidates for labelling: how each turned out, and how far its judges agree."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.versions import version_order
from db.queries import RunArrays, ScoreArray
from db.queries_votes import VoteRow
from evaluators.sampling import Candidate

_Chain = tuple[int, int]
"""Run and question ids."""


@dataclass(frozen=True)
class JudgedBy:
    """Scores without a model that speak of the same thing as a judge's score, whose values lie in `scale`."""

    judge: str
    metrics: tuple[str, ...]
    scale: tuple[float, float]


COMPARABLE = (
    JudgedBy("abilities_aggregation", ("em", "acc"), (0.0, 1.0)),
    JudgedBy("steps_rating", ("sub_answer",), (-1.0, 1.0)),
)
"""A judge's verdict on the last step against the answer's scores (the nearest of them: a judge reads meaning, and each
score only one form of it), and its mean rating of the steps against the share of steps that state a gold hop."""

SCORES = ("em", *dict.fromkeys(name for pair in COMPARABLE for name in (pair.judge, *pair.metrics) if name != "em"))
"""What `candidates_of` needs."""

_JUDGE = "judge:"


def candidates_of(
    uids: dict[int, str], arrays: Sequence[RunArrays], scores: Sequence[ScoreArray], votes: Iterable[VoteRow]
) -> tuple[Candidate, ...]:
    """Every chain of the runs (their uids by id) as a candidate; `scores` are those of SCORES."""
    outcomes = {own.run_id: _outcomes(own, scores) for own in arrays}
    seen: defaultdict[int, set[str]] = defaultdict(set)
    for own in arrays:
        for question, outcome in zip(own.question_ids.tolist(), outcomes[own.run_id], strict=True):
            seen[question].add(outcome)
    spreads = spread_of(votes)
    found = []
    for own in arrays:
        gaps = _gaps(own, scores)
        for place, question in enumerate(own.question_ids.tolist()):
            found.append(
                Candidate(
                    run_uid=uids[own.run_id],
                    question_id=question,
                    stratum=(own.kinds[own.kind_codes[place]], outcomes[own.run_id][place]),
                    differs={"right", "wrong"} <= seen[question],
                    judge_gap=None if np.isnan(gaps[place]) else float(gaps[place]),
                    judge_spread=spreads.get((own.run_id, question)),
                )
            )
    return tuple(found)


def spread_of(votes: Iterable[VoteRow]) -> dict[_Chain, float]:
    """How far the votes on each chain differ, 0 to 1: the share of unequal pairs of votes, averaged over what is rated.

    Votes of all judges on one verdict of one rubric are held against each other. A chain with no place that two votes
    are on is left out.
    """
    rated: defaultdict[_Chain, defaultdict[tuple[int, str, str], Counter[float]]] = defaultdict(
        lambda: defaultdict(Counter)
    )
    for vote in votes:
        for verdict, value in vote.verdicts.items():
            rated[vote.run_id, vote.question_id][vote.number, vote.rubric, verdict][value] += 1
    shares = {
        chain: [_unequal(counts) for counts in places.values() if counts.total() > 1] for chain, places in rated.items()
    }
    return {chain: sum(each) / len(each) for chain, each in shares.items() if each}


def _unequal(counts: Counter[float]) -> float:
    total = counts.total()
    equal = sum(count * (count - 1) for count in counts.values())
    return 1 - equal / (total * (total - 1))


def _outcomes(own: RunArrays, scores: Sequence[ScoreArray]) -> list[str]:
    found = _metric(own, scores, "em")
    if found is None:
        return ["unscored"] * len(own.question_ids)
    return ["unscored" if np.isnan(value) else "right" if value == 1 else "wrong" for value in found]


def _gaps(own: RunArrays, scores: Sequence[ScoreArray]) -> npt.NDArray[np.float64]:
    """The largest distance of a judge from the nearest metric, of all judges and pairs; NaN where no judge spoke."""
    gaps = np.full(len(own.question_ids), np.nan)
    for pair in COMPARABLE:
        metrics = [found for name in pair.metrics if (found := _metric(own, scores, name)) is not None]
        for judge in _judges(own, scores, pair.judge):
            scaled = (judge - pair.scale[0]) / (pair.scale[1] - pair.scale[0])
            nearest = np.full(len(gaps), np.nan)
            for metric in metrics:
                nearest = np.fmin(nearest, np.abs(scaled - metric))
            gaps = np.fmax(gaps, nearest)
    return gaps


def _metric(own: RunArrays, scores: Sequence[ScoreArray], name: str) -> npt.NDArray[np.float32] | None:
    """A score that no judge gave, in its latest version."""
    found = [each for each in _of(own, scores, name) if not each.evaluator.startswith(_JUDGE)]
    return max(found, key=version_order).values if found else None


def _judges(own: RunArrays, scores: Sequence[ScoreArray], name: str) -> list[npt.NDArray[np.float32]]:
    """A score as each judge gave it, in its latest version."""
    latest: dict[str, ScoreArray] = {}
    for each in _of(own, scores, name):
        if each.evaluator.startswith(_JUDGE):
            known = latest.setdefault(each.evaluator, each)
            latest[each.evaluator] = max(known, each, key=version_order)
    return [each.values for each in latest.values()]


def _of(own: RunArrays, scores: Sequence[ScoreArray], name: str) -> list[ScoreArray]:
    return [each for each in scores if each.run_id == own.run_id and each.name == name and not each.ability]
