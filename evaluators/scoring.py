"""A chain and its question in, its scores out: the one way all evaluators are called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Protocol

from evaluators.answers import acc_text, score_answer
from evaluators.consistency import measure_consistency
from evaluators.grounding import Keys, measure_grounding, passage_keys
from evaluators.lookup import once_a_passage
from evaluators.path import measure_path
from evaluators.retrieval import matchable, measure_retrieval
from evaluators.steps import score_steps
from evaluators.values import Measure, Value
from steper_core.records import Chain, Passage, Question, Score

ANSWERS_VERSION = "2"
"""Raised whenever a figure of the evaluator "answers" changes for the same chain."""

STEPS_VERSION = "2"
"""Raised whenever a figure of the evaluator "steps" changes for the same chain."""

RETRIEVAL_VERSION = "1"
"""Raised whenever a figure of the evaluator "retrieval" changes for the same chain."""

GROUNDING_VERSION = "1"
"""Raised whenever a figure of the evaluator "grounding" changes for the same chain."""

CONSISTENCY_VERSION = "1"
"""Raised whenever a figure of the evaluator "consistency" changes for the same chain."""


class Scorer(Protocol):
    """What scores chains: a deterministic evaluator, or a judge."""

    @property
    def name(self) -> str:
        """The evaluator's name, as its scores carry it."""

    @property
    def version(self) -> str:
        """Raised whenever the same chain would get other scores."""

    def score(self, question: Question, chain: Chain) -> list[Score]:
        """The scores of one chain and of its steps."""


@dataclass(frozen=True)
class AnswerScorer:
    """em, f1, precision, recall, acc and acc_bounded of the final answer; acc_text of all that the chain wrote."""

    name: str = "answers"
    version: str = ANSWERS_VERSION

    def score(self, question: Question, chain: Chain) -> list[Score]:
        """Score the answer by the rules of the question's dataset; a missing answer is wrong."""
        values = asdict(score_answer(chain.answer, question.golds, question.dataset))
        values["acc_text"] = acc_text(chain, question.golds)
        return [
            _score(
                self,
                question,
                Measure(name, Value(value, f"the dataset's script has no {name}" if value is None else None)),
            )
            for name, value in values.items()
        ]


@dataclass(frozen=True)
class StepScorer:
    """gold_passage, sub_answer and gold_recall of each step; gold_recall, hops_reached and the path of the chain."""

    name: str = "steps"
    version: str = STEPS_VERSION

    def score(self, question: Question, chain: Chain) -> list[Score]:
        """Score the steps against the question's gold hops."""
        return [_score(self, question, measure) for measure in self._measure(question, chain)]

    def _measure(self, question: Question, chain: Chain) -> Iterator[Measure]:
        result = score_steps(chain, question)
        yield Measure("gold_recall", result.gold_recall)
        yield Measure("hops_reached", result.hops_reached)
        yield from measure_path(chain, question, result)
        for step in result.steps:
            yield Measure("gold_passage", step.gold_passage, step.number)
            yield Measure("sub_answer", step.sub_answer, step.number)
            yield Measure("gold_recall", step.gold_recall, step.number)


@dataclass(frozen=True)
class RetrievalScorer:
    """What the steps retrieved: precision, new and repeated passages, and whether the answer can be read in them.

    `passages` by id must hold those that the chains name; a score that needs the text of another one is unscored.
    """

    passages: Mapping[str, Passage]
    name: str = "retrieval"
    version: str = RETRIEVAL_VERSION

    def score(self, question: Question, chain: Chain) -> list[Score]:
        """Score the retrieved passages against the question's gold passages and answers."""
        return [_score(self, question, measure) for measure in measure_retrieval(chain, question, self._text_of)]

    @cached_property
    def _text_of(self) -> Callable[[str], str | None]:
        return once_a_passage(self.passages, matchable)


@dataclass(frozen=True)
class GroundingScorer:
    """How much of each line stands in the passages retrieved by then, or in the question.

    `passages` by id must hold those that the chains name; a score that needs the text of another one is unscored.
    """

    passages: Mapping[str, Passage]
    name: str = "grounding"
    version: str = GROUNDING_VERSION

    def score(self, question: Question, chain: Chain) -> list[Score]:
        """Score each line against what its writer could read."""
        return [_score(self, question, measure) for measure in measure_grounding(chain, question, self._keys_of)]

    @cached_property
    def _keys_of(self) -> Callable[[str], Keys | None]:
        return once_a_passage(self.passages, passage_keys)


@dataclass(frozen=True)
class ConsistencyScorer:
    """Whether each rationale repeats or contradicts an earlier one."""

    name: str = "consistency"
    version: str = CONSISTENCY_VERSION

    def score(self, question: Question, chain: Chain) -> list[Score]:
        """Compare the rationales of the chain with each other."""
        return [_score(self, question, measure) for measure in measure_consistency(chain)]


def default_scorers(passages: Mapping[str, Passage]) -> tuple[Scorer, ...]:
    """The scorers that need no model. `passages` by id holds those that the chains name and does not change."""
    return (
        AnswerScorer(),
        StepScorer(),
        RetrievalScorer(passages),
        GroundingScorer(passages),
        ConsistencyScorer(),
    )


def score_chain(chain: Chain, question: Question, scorers: Sequence[Scorer]) -> list[Score]:
    """All scores that these scorers give a chain.

    Raises:
        UserError: there are no answer rules for the question's dataset.
        ValueError: the chain is another question's.
    """
    if chain.question_id != question.id:
        raise ValueError(f"the chain of question {chain.question_id!r} cannot be scored for question {question.id!r}")
    return [score for scorer in scorers for score in scorer.score(question, chain)]


def _score(scorer: Scorer, question: Question, measure: Measure) -> Score:
    return Score(
        question_id=question.id,
        step=measure.step,
        name=measure.name,
        value=measure.value.value,
        reason=measure.value.reason,
        evaluator=scorer.name,
        version=scorer.version,
    )
