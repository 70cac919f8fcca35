"""From votes to scores: the mean of the votes that count, unscored with the reason where none does."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from evaluators.agreement import Rater, Unit
from evaluators.judge_prompts import is_asked, why_unjudged
from evaluators.rubric import CONSISTENCY, RI, Rubric
from steper_core.records import Chain, Judgement, Question, Score

ANSWER_WRONG = "the answer is wrong"
NOT_JUDGED = "not judged"
ONE_ORDER = "only one of the two orders was judged"


@dataclass(frozen=True)
class Judged:
    """A chain that was to be judged, with its question."""

    question: Question
    chain: Chain


def evaluator_name(model: str, against: str | None = None) -> str:
    """The evaluator that a judge's scores carry; a preference names the run it is against."""
    return f"judge:{model}" if against is None else f"judge:{model}:{against}"


def scores_of(rubric: Rubric, judged: Iterable[Judged], judgements: Iterable[Judgement], evaluator: str) -> list[Score]:
    """A score for each figure of the rubric and each chain, step or pair.

    The value is the mean over the votes that gave the figure, of ordinal verdicts too. A pair's preference is that of
    both orders if they agree and 0 if they do not; `consistency` says how often they did.
    """
    votes: dict[tuple[str, int | None], list[Judgement]] = defaultdict(list)
    for judgement in latest(judgements):
        votes[judgement.question_id, judgement.step].append(judgement)
    scores = []
    for each in judged:
        for step, figure, value, reason in _values(rubric, each, votes):
            scores.append(
                Score(
                    question_id=each.question.id,
                    step=step,
                    name=rubric.score_name(figure),
                    value=value,
                    reason=reason,
                    evaluator=evaluator,
                    version=rubric.version,
                )
            )
    return scores


def latest(judgements: Iterable[Judgement]) -> list[Judgement]:
    """The votes of a run, each once: of two of one place the later holds (a failed call that was asked again)."""
    return list({(each.question_id, each.step, each.order, each.vote): each for each in judgements}.values())


def vote_ratings(
    rubric: Rubric, judged: Iterable[Judged], judgements: Iterable[Judgement]
) -> dict[str, dict[Rater, dict[Unit, float]]]:
    """For each score name what each vote said of each thing: what `evaluators.agreement` compares votes, or judges, by.

    The ability of a unit is that of the step or of the verdict. The two orders of a pair are units of their own, told
    apart in its place.
    """
    abilities: dict[tuple[str, int | None], str] = {
        (each.question.id, step.number): step.ability.value for each in judged for step in each.chain.steps
    }
    of_verdict = {verdict.name: verdict.ability.value for verdict in rubric.verdicts if verdict.ability}
    ratings: dict[str, dict[Rater, dict[Unit, float]]] = {}
    for vote in latest(judgements):
        mark = vote.order or abilities.get((vote.question_id, vote.step), "")
        for figure in rubric.figures:
            if figure in vote.verdicts:
                unit = (vote.question_id, vote.step or 0, of_verdict.get(figure, mark))
                by_vote = ratings.setdefault(rubric.score_name(figure), {})
                by_vote.setdefault(f"vote {vote.vote}", {})[unit] = vote.verdicts[figure]
    return ratings


_Found = tuple[int | None, str, float | None, str | None]


def _values(
    rubric: Rubric, judged: Judged, votes: Mapping[tuple[str, int | None], Sequence[Judgement]]
) -> Iterator[_Found]:
    """(step, figure, value, reason) of a chain."""
    chain, key = judged.chain, judged.question.id
    excuse = why_unjudged(rubric, judged.question, chain)
    if excuse:
        yield from ((None, figure, None, excuse) for figure in rubric.figures)
    elif rubric.scope == "pair":
        yield from _pair(rubric, votes.get((key, None), ()))
    elif rubric.scope == "step":
        for step in chain.steps:
            own = votes.get((key, step.number), ())
            yield from ((step.number, figure, *_average(own, figure)) for figure in rubric.figures)
    else:
        own = votes.get((key, None), ())
        yield from ((None, figure, *_of_chain(rubric, chain, own, figure)) for figure in rubric.figures)


def _of_chain(rubric: Rubric, chain: Chain, votes: Sequence[Judgement], figure: str) -> tuple[float | None, str | None]:
    present = {step.ability for step in chain.steps}
    for verdict in rubric.verdicts:
        if verdict.name == figure and not is_asked(verdict, present):
            return None, f"the chain has no {verdict.ability} step"
    if figure == RI and any(vote.verdicts and RI not in vote.verdicts for vote in votes):
        return None, ANSWER_WRONG
    return _average(votes, figure)


def _average(votes: Sequence[Judgement], figure: str) -> tuple[float | None, str | None]:
    values = [vote.verdicts[figure] for vote in votes if figure in vote.verdicts]
    return (_mean(values), None) if values else (None, _reason(votes))


def _pair(rubric: Rubric, votes: Sequence[Judgement]) -> Iterator[_Found]:
    (verdict,) = rubric.verdicts
    orders: dict[int, list[float]] = defaultdict(list)
    for vote in votes:
        if verdict.name in vote.verdicts:
            orders[vote.vote].append(vote.verdicts[verdict.name])
    both = [pair for pair in orders.values() if len(pair) == 2]
    reason = None if both else (_reason(votes) if any(vote.unscored for vote in votes) or not votes else ONE_ORDER)
    preference = _mean([one if one == other else 0.0 for one, other in both]) if both else None
    consistency = _mean([float(one == other) for one, other in both]) if both else None
    yield None, verdict.name, preference, reason
    yield None, CONSISTENCY, consistency, reason


def _reason(votes: Sequence[Judgement]) -> str:
    reasons = Counter(vote.unscored for vote in votes if vote.unscored)
    return reasons.most_common(1)[0][0] if reasons else NOT_JUDGED


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
