"""A chain and its question in, its scores out: the one way all evaluators are called."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Protocol

from evaluators.answers import acc_text, score_answer
from evaluators.steps import Value, score_steps
from steper_core.records import Chain, Question, Score

ANSWERS_VERSION = "1"
"""Raised whenever a figure of the evaluator "answers" changes for the same chain."""

STEPS_VERSION = "1"
"""Raised whenever a figure of the evaluator "steps" changes for the same chain."""


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
        """Score the answer by the rules of the question's dataset; a missing answer counts as an empty one."""
        values = asdict(score_answer(chain.answer or "", question.golds, question.dataset))
        values["acc_text"] = acc_text(chain, question.golds)
        return [
            _score(self, question, name, Value(value, f"the dataset's script has no {name}" if value is None else None))
            for name, value in values.items()
        ]


@dataclass(frozen=True)
class StepScorer:
    """gold_passage, sub_answer and gold_recall of each step; gold_recall and hops_reached of the chain."""

    name: str = "steps"
    version: str = STEPS_VERSION

    def score(self, question: Question, chain: Chain) -> list[Score]:
        """Score the steps against the question's gold hops."""
        result = score_steps(chain, question)
        scores = [
            _score(self, question, "gold_recall", result.gold_recall),
            _score(self, question, "hops_reached", result.hops_reached),
        ]
        for step in result.steps:
            scores += [
                _score(self, question, "gold_passage", step.gold_passage, step.number),
                _score(self, question, "sub_answer", step.sub_answer, step.number),
                _score(self, question, "gold_recall", step.gold_recall, step.number),
            ]
        return scores


SCORERS: tuple[Scorer, ...] = (AnswerScorer(), StepScorer())


def score_chain(chain: Chain, question: Question) -> list[Score]:
    """All deterministic scores of a chain.

    Raises:
        UserError: there are no answer rules for the question's dataset.
        ValueError: the chain is another question's.
    """
    if chain.question_id != question.id:
        raise ValueError(f"the chain of question {chain.question_id!r} cannot be scored for question {question.id!r}")
    return [score for scorer in SCORERS for score in scorer.score(question, chain)]


def _score(scorer: Scorer, question: Question, name: str, value: Value, step: int | None = None) -> Score:
    return Score(
        question_id=question.id,
        step=step,
        name=name,
        value=value.value,
        reason=value.reason,
        evaluator=scorer.name,
        version=scorer.version,
    )
