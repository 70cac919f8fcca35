"""Scores of each step against the gold hops of its question.

Gold hops are a set with dependencies, not a sequence: a chain may take them in any order that the dependencies allow.
A hop is reached when its sub-answer stands in a rationale (normalised, on token boundaries) and the hops it depends on
are reached by then. Compare SQA, which asks whether the sub-questions are answered by the rationale (StepER, Lee et
al. 2025).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from evaluators.answers import contains, normalise
from evaluators.values import Value
from steper_core.records import Ability, Chain, Hop, Question

NO_HOPS = "the question has no gold hops"
NO_SUB_ANSWERS = "the dataset has no sub-answers"
EMPTY_SUB_ANSWER = "a sub-answer has no word once it is normalised"
NO_GOLD_PASSAGES = "the question has no gold passages"
NO_HOP_LEFT = "all hops are reached already"
NO_HOP_DUE = "no hop is due"
NO_PASSAGE = "the hop names no passage"
ANSWER_LINE = "the answer line states no hop"

_FUNCTION_WORDS = frozenset({"at", "by", "did", "does", "for", "how", "in", "is", "of", "on", "to", "was"})
_QUESTION_WORDS = frozenset({"what", "when", "where", "which", "who", "whose"})


@dataclass(frozen=True)
class StepResult:
    """What a step achieved.

    `sub_answer`: its rationale states a hop that was not reached before. `gold_passage`: the passage of that hop, or of
    the hop that was due, is among those retrieved by then. `gold_recall`: share of the question's gold passages
    retrieved by then.
    """

    number: int
    gold_passage: Value
    sub_answer: Value
    gold_recall: Value


@dataclass(frozen=True)
class ChainResult:
    """What a chain achieved: its steps, the share of gold passages retrieved and of hops reached."""

    steps: tuple[StepResult, ...]
    gold_recall: Value
    hops_reached: Value


def score_steps(chain: Chain, question: Question) -> ChainResult:
    """Follow a chain through the gold hops of its question."""
    hops = [_GoldHop.of(hop) for hop in question.hops]
    unscored = _why_unscored(question, hops)
    gold = set(question.gold_passage_ids)
    retrieved: set[str] = set()
    reached: set[int] = set()
    results = []
    for step in chain.steps:
        retrieved.update(hit.passage_id for hit in step.retrieved)
        if unscored or step.ability is Ability.AGGREGATION:
            passage = answer = Value(None, unscored or ANSWER_LINE)
        else:
            passage, answer = _score_rationale(step.rationale, hops, reached, retrieved)
        results.append(StepResult(step.number, passage, answer, _recall(gold, retrieved)))
    share = Value(None, unscored) if unscored else Value(len(reached) / len(hops))
    return ChainResult(tuple(results), _recall(gold, retrieved), share)


@dataclass(frozen=True)
class _GoldHop:
    answer: str
    words: frozenset[str]
    passage_id: str | None
    depends_on: frozenset[int]

    @classmethod
    def of(cls, hop: Hop) -> _GoldHop:
        answer = normalise(hop.answer or "")
        words = set(normalise(f"{hop.question} {hop.statement}").split()) - set(answer.split())
        words -= _FUNCTION_WORDS | _QUESTION_WORDS
        return cls(answer, frozenset(words), hop.passage_id, frozenset(hop.depends_on))


def _why_unscored(question: Question, hops: list[_GoldHop]) -> str | None:
    if not hops:
        return NO_HOPS
    if any(hop.answer is None for hop in question.hops):
        return NO_SUB_ANSWERS
    return None if all(hop.answer for hop in hops) else EMPTY_SUB_ANSWER


def _score_rationale(
    rationale: str, hops: list[_GoldHop], reached: set[int], retrieved: set[str]
) -> tuple[Value, Value]:
    """(gold_passage, sub_answer) of one rationale; adds the hops it states to `reached`."""
    if len(reached) == len(hops):
        return Value(None, NO_HOP_LEFT), Value(None, NO_HOP_LEFT)
    due = next((each for each in _open_hops(hops, reached) if hops[each].depends_on <= reached), None)
    stated = _stated_hops(normalise(rationale), hops, reached)
    if stated:
        words = set(normalise(rationale).split())
        hop = hops[max(stated, key=lambda each: len(hops[each].words & words))]
    elif due is not None:
        hop = hops[due]
    else:
        return Value(None, NO_HOP_DUE), Value(0.0)
    reached.update(stated)
    passage = Value(float(hop.passage_id in retrieved)) if hop.passage_id else Value(None, NO_PASSAGE)
    return passage, Value(float(bool(stated)))


def _stated_hops(text: str, hops: list[_GoldHop], reached: set[int]) -> list[int]:
    """Positions of the hops that a rationale newly states, a hop before those that depend on it."""
    words = set(text.split())
    stated: list[int] = []
    while True:
        known = reached.union(stated)
        ready = [
            each
            for each in _open_hops(hops, known)
            if hops[each].depends_on <= known and contains(text, hops[each].answer)
        ]
        fresh = [each for each in ready if _is_meant(each, ready, stated, reached, words, hops)]
        if not fresh:
            return stated
        stated += fresh


def _is_meant(
    each: int, ready: list[int], stated: list[int], reached: set[int], words: set[str], hops: list[_GoldHop]
) -> bool:
    """Whether a hop whose answer stands in the text is meant, and not a rival with the same or a longer answer.

    "Film A is American" also holds the answer of "Film B is American", and "Paris Smith" holds "Paris": then the text
    must say a word that is the hop's own. Where it says no such word of any rival, the longest, then first, is meant.
    """
    hop = hops[each]
    undecided = [other for other in ready if other != each and _alike(hop.answer, hops[other].answer)]
    decided = [other for other in stated if _alike(hop.answer, hops[other].answer)]
    decided += [
        other for other in reached if hop.answer != hops[other].answer and contains(hops[other].answer, hop.answer)
    ]
    rivals = [hops[other] for other in undecided + decided]
    if not rivals or words & hop.words.difference(*(rival.words.union(rival.answer.split()) for rival in rivals)):
        return True
    rival_named = any(words & rival.words - hop.words for rival in rivals)
    likeliest = min([each, *undecided], key=lambda other: (-len(hops[other].answer), other))
    return not decided and not rival_named and each == likeliest


def _alike(one: str, other: str) -> bool:
    return contains(one, other) or contains(other, one)


def _open_hops(hops: list[_GoldHop], reached: set[int]) -> Iterable[int]:
    return (each for each in range(len(hops)) if each not in reached)


def _recall(gold: set[str], retrieved: set[str]) -> Value:
    return Value(len(gold & retrieved) / len(gold)) if gold else Value(None, NO_GOLD_PASSAGES)
