"""Scores of what a chain retrieved, step by step, against the question's gold passages and gold answers.

StepER (Lee et al., EMNLP 2025) compares students by gold recall, which `evaluators.steps` gives, and by duplicated
retrievals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from evaluators.answers import contains, normalise
from evaluators.lookup import NO_TEXT
from evaluators.steps import NO_GOLD_PASSAGES
from evaluators.values import Measure, Value
from steper_core.records import Chain, Passage, Question, Step

NOTHING_NEW = "the step retrieved no new passage"
NOTHING_RETRIEVED = "the chain retrieved nothing"
DUPLICATES_UNKNOWN = "the chain does not say how many passages were retrieved again"
YES_NO = "a yes or no is not looked for in passages"
EMPTY_ANSWER = "no gold answer has a word once it is normalised"

_YES_NO = frozenset({"yes", "no"})


def matchable(passage: Passage) -> str:
    """A passage as answers are looked for in it: normalised title and text, which no answer spans."""
    return f"{normalise(passage.title)} \n {normalise(passage.text)}"


def measure_retrieval(chain: Chain, question: Question, text_of: Callable[[str], str | None]) -> Iterator[Measure]:
    """The retrieval scores of a chain and of its steps; `text_of` gives `matchable` by passage id.

    passage_precision: share of the newly retrieved passages (of the chain: of all its passages) that are gold. A chain
    that needs each passage once cannot reach 1 when a step fetches K > 1.

    new_passages: how many passages the step retrieved that no earlier step had. duplicate_passages: how many of the top
    K of the step's query earlier steps had retrieved. duplicate_share (of the chain): duplicates / (new + duplicates).
    A search that refills (retrieval.refill) passes over known passages until it has K new ones, so the share stays at
    or below one half in a corpus that is large enough: compare it between systems with the same K and refill only.

    answer_reachable: 1 if a gold answer or alias stands, normalised and on token boundaries, in the passages retrieved
    by then, else 0. It says that the words can be read there, not that they answer the question: one side of a
    comparison stands in a passage as soon as the passage names it. An answer written otherwise (a date in another
    order) is not found, nor one that must be computed; yes and no are unscored.
    """
    gold = frozenset(question.gold_passage_ids)
    reachable = _Reachable(question, text_of)
    for step in chain.steps:
        found = [hit.passage_id for hit in step.retrieved]
        yield Measure("passage_precision", _precision(found, gold, NOTHING_NEW), step.number)
        yield Measure("new_passages", Value(float(len(found))), step.number)
        yield Measure("duplicate_passages", _duplicates(step), step.number)
        yield Measure("answer_reachable", reachable.after(found), step.number)
    yield Measure("passage_precision", _precision(chain.passage_ids, gold, NOTHING_RETRIEVED))
    yield Measure("duplicate_share", _duplicate_share(chain))
    yield Measure("answer_reachable", reachable.after(()))


class _Reachable:
    """Whether a gold answer stands in the passages given so far."""

    def __init__(self, question: Question, text_of: Callable[[str], str | None]) -> None:
        golds = [normalise(gold) for gold in question.golds]
        self._golds = [gold for gold in golds if gold]
        self._unscored = YES_NO if golds[0] in _YES_NO else None if self._golds else EMPTY_ANSWER
        self._text_of = text_of
        self._found = False
        self._unknown = False

    def after(self, passage_ids: Sequence[str]) -> Value:
        """The value once these passages have been added."""
        if self._unscored:
            return Value(None, self._unscored)
        for passage_id in passage_ids:
            text = self._text_of(passage_id)
            if text is None:
                self._unknown = True
            elif not self._found:
                self._found = any(contains(text, gold) for gold in self._golds)
        if self._unknown and not self._found:
            return Value(None, NO_TEXT)
        return Value(float(self._found))


def _precision(found: Sequence[str], gold: frozenset[str], nothing: str) -> Value:
    if not gold:
        return Value(None, NO_GOLD_PASSAGES)
    return Value(sum(passage_id in gold for passage_id in found) / len(found)) if found else Value(None, nothing)


def _duplicates(step: Step) -> Value:
    return Value(None, DUPLICATES_UNKNOWN) if step.duplicates is None else Value(float(step.duplicates))


def _duplicate_share(chain: Chain) -> Value:
    counts = [step.duplicates for step in chain.steps if step.duplicates is not None]
    if len(counts) < len(chain.steps):
        return Value(None, DUPLICATES_UNKNOWN)
    total = sum(counts) + len(chain.passage_ids)
    return Value(sum(counts) / total) if total else Value(None, NOTHING_RETRIEVED)
