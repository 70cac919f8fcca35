"""Two chains of one question side by side, step against step by what the steps do and not by their numbers.

Global alignment by dynamic programming (Needleman and Wunsch 1970) without a price for gaps: of all pairings that keep
both orders, the one with most pairs that reach the same gold hop; of these the one with most pairs of one ability; of
these the one whose words are most alike. An answer line is never paired with a rationale, nor a step that reaches one
hop with a step that reaches another, nor two steps that have nothing in common.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evaluators.answers import contains, normalise
from evaluators.steps import score_steps
from steper_core.records import Ability, Chain, Hop, Question

Change = Literal["equal", "changed", "missing in a", "missing in b"]

_Fit = tuple[int, int, float]
"""Pairs that reach the same hop, pairs of one ability, sum of similarities: compared in this order."""


@dataclass(frozen=True)
class AlignStep:
    """What alignment needs of a step: wherever the step comes from, it can be made from it.

    `passage_ids` are the passages newly retrieved at this step, `hop` the position (from 0) of the gold hop that the
    step reaches, None where it reaches none or the question has none.
    """

    number: int
    ability: str
    query: str
    rationale: str
    passage_ids: tuple[str, ...]
    hop: int | None = None


@dataclass(frozen=True)
class Pair:
    """Two steps that do the same, or one that the other chain lacks.

    "equal": the same line once normalised, and the same newly retrieved passages; "changed": paired but not equal.
    """

    a: AlignStep | None
    b: AlignStep | None
    change: Change


@dataclass(frozen=True)
class Alignment:
    """All steps of both chains, each in one pair, both orders kept.

    `parted` is the place in `pairs` of the first pair of two steps by which the chains had not retrieved the same
    passages; None where there is no such pair.
    """

    pairs: tuple[Pair, ...]
    parted: int | None


def align(a: Sequence[AlignStep], b: Sequence[AlignStep]) -> Alignment:
    """Pair the steps of two chains of one question; equal input, equal result, whichever pairings tie."""
    fits = [[_fit(one, other) for other in b] for one in a]
    best = _best_sums(fits, len(b))
    pairs = []
    i = j = 0
    while i < len(a) or j < len(b):
        inside = i < len(a) and j < len(b)
        if inside and best[i][j] == _sum(best[i + 1][j + 1], fits[i][j]):
            pairs.append(Pair(a[i], b[j], "equal" if _is_equal(a[i], b[j]) else "changed"))
            i, j = i + 1, j + 1
        elif i < len(a) and best[i][j] == best[i + 1][j]:
            pairs.append(Pair(a[i], None, "missing in b"))
            i += 1
        else:
            pairs.append(Pair(None, b[j], "missing in a"))
            j += 1
    return Alignment(tuple(pairs), _first_parting(pairs))


def steps_of(chain: Chain, question: Question) -> tuple[AlignStep, ...]:
    """The steps of a chain with the gold hop that each reaches.

    Whether a rationale reaches a hop is decided by `score_steps`; of several that it may mean, the one with which it
    shares most words. Where the dataset has no sub-answers (HotpotQA), a step reaches the first hop whose passage it
    newly retrieved.
    """
    hops = _hops_stated(chain, question)
    if any(hop.answer is None for hop in question.hops):
        hops = _hops_retrieved(chain, question)
    return tuple(
        AlignStep(
            number=step.number,
            ability=step.ability.value,
            query=step.query,
            rationale=step.rationale,
            passage_ids=tuple(hit.passage_id for hit in step.retrieved),
            hop=hop,
        )
        for step, hop in zip(chain.steps, hops, strict=True)
    )


def similarity(one: str, other: str) -> float:
    """Share of words in common, from 0 to 1: twice the shared tokens over all tokens (Dice 1945), once normalised.

    Two texts without a word have nothing in common.
    """
    left, right = normalise(one).split(), normalise(other).split()
    return 2 * (Counter(left) & Counter(right)).total() / (len(left) + len(right) or 1)


def _fit(one: AlignStep, other: AlignStep) -> _Fit | None:
    """How well two steps go together; None where they do not."""
    if (one.ability == Ability.AGGREGATION) != (other.ability == Ability.AGGREGATION):
        return None
    if one.hop is not None and other.hop is not None and one.hop != other.hop:
        return None
    same_hop = int(one.hop is not None and one.hop == other.hop)
    words = (similarity(one.rationale, other.rationale) + similarity(one.query, other.query)) / 2
    fit = (same_hop, int(one.ability == other.ability), words)
    return fit if any(fit) else None


def _best_sums(fits: Sequence[Sequence[_Fit | None]], width: int) -> list[list[_Fit]]:
    """At [i][j] the best sum of fits for the steps from i on against those from j on."""
    nothing: _Fit = (0, 0, 0.0)
    best = [[nothing] * (width + 1) for _ in range(len(fits) + 1)]
    for i in reversed(range(len(fits))):
        for j in reversed(range(width)):
            paired = _sum(best[i + 1][j + 1], fits[i][j])
            best[i][j] = max(best[i + 1][j], best[i][j + 1], paired or nothing)
    return best


def _sum(best: _Fit, fit: _Fit | None) -> _Fit | None:
    return None if fit is None else (best[0] + fit[0], best[1] + fit[1], best[2] + fit[2])


def _is_equal(one: AlignStep, other: AlignStep) -> bool:
    same_line = normalise(one.rationale) == normalise(other.rationale)
    return same_line and set(one.passage_ids) == set(other.passage_ids)


def _first_parting(pairs: Sequence[Pair]) -> int | None:
    seen_a: set[str] = set()
    seen_b: set[str] = set()
    for place, pair in enumerate(pairs):
        seen_a.update(pair.a.passage_ids if pair.a else ())
        seen_b.update(pair.b.passage_ids if pair.b else ())
        if pair.a and pair.b and seen_a != seen_b:
            return place
    return None


def _hops_stated(chain: Chain, question: Question) -> list[int | None]:
    reached: set[int] = set()
    stated: list[int | None] = []
    for step, result in zip(chain.steps, score_steps(chain, question).steps, strict=True):
        line = normalise(step.rationale)
        meant = [
            place
            for place, hop in enumerate(question.hops)
            if result.sub_answer.value and place not in reached and contains(line, normalise(hop.answer or ""))
        ]
        hop = max(meant, key=lambda place: (_shared_words(line, question.hops[place]), -place), default=None)
        reached.update([] if hop is None else [hop])
        stated.append(hop)
    return stated


def _hops_retrieved(chain: Chain, question: Question) -> list[int | None]:
    reached: set[int] = set()
    found: list[int | None] = []
    for step in chain.steps:
        new = {hit.passage_id for hit in step.retrieved}
        hop = next(
            (place for place, hop in enumerate(question.hops) if hop.passage_id in new and place not in reached), None
        )
        reached.update([] if hop is None else [hop])
        found.append(hop)
    return found


def _shared_words(line: str, hop: Hop) -> int:
    return len(set(line.split()) & set(normalise(f"{hop.question} {hop.statement}").split()))
