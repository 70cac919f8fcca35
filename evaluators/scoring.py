"""A chain and its question in, its scores out: the one way all evaluators that need no model are called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from evaluators.answers import acc_text, score_answer
from evaluators.consistency import measure_consistency
from evaluators.grounding import measure_grounding, passage_keys
from evaluators.lookup import once_a_passage
from evaluators.path import measure_path
from evaluators.retrieval import matchable, measure_retrieval
from evaluators.steps import score_steps
from evaluators.values import Measure, Value
from steper_core.records import Chain, Passage, Question, Score


@dataclass(frozen=True)
class Scorer:
    """One evaluator. Its version is raised whenever one of its figures changes for the same chain."""

    name: str
    version: str
    measure: Callable[[Chain, Question], Iterable[Measure]]

    def score(self, chain: Chain, question: Question) -> Iterator[Score]:
        """The scores of one chain and of its steps."""
        for measure in self.measure(chain, question):
            yield Score(
                question_id=question.id,
                step=measure.step,
                name=measure.name,
                value=measure.value.value,
                reason=measure.value.reason,
                evaluator=self.name,
                version=self.version,
            )


def default_scorers(passages: Mapping[str, Passage]) -> tuple[Scorer, ...]:
    """The scorers that need no model.

    `passages` by id holds those that the chains name and does not change; a score that needs the text of another one is
    unscored.
    """
    text_of, keys_of = once_a_passage(passages, matchable), once_a_passage(passages, passage_keys)
    return (
        Scorer("answers", "2", measure_answer),
        Scorer("steps", "2", measure_steps),
        Scorer("retrieval", "1", lambda chain, question: measure_retrieval(chain, question, text_of)),
        Scorer("grounding", "1", lambda chain, question: measure_grounding(chain, question, keys_of)),
        Scorer("consistency", "1", lambda chain, _: measure_consistency(chain)),
    )


def score_chain(chain: Chain, question: Question, scorers: Sequence[Scorer]) -> list[Score]:
    """All scores that these scorers give a chain.

    Raises:
        UserError: there are no answer rules for the question's dataset.
        ValueError: the chain is another question's.
    """
    if chain.question_id != question.id:
        raise ValueError(f"the chain of question {chain.question_id!r} cannot be scored for question {question.id!r}")
    return [score for scorer in scorers for score in scorer.score(chain, question)]


def measure_answer(chain: Chain, question: Question) -> Iterator[Measure]:
    """em, f1, precision, recall, acc and acc_bounded of the final answer; acc_text of all that the chain wrote.

    The answer is scored by the rules of the question's dataset; a missing one is wrong.
    """
    values = asdict(score_answer(chain.answer, question.golds, question.dataset))
    for name, value in {**values, "acc_text": acc_text(chain, question.golds)}.items():
        yield Measure(name, Value(value, f"the dataset's script has no {name}" if value is None else None))


def measure_steps(chain: Chain, question: Question) -> Iterator[Measure]:
    """gold_passage, sub_answer and gold_recall of each step; gold_recall, hops_reached and the path of the chain."""
    result = score_steps(chain, question)
    yield Measure("gold_recall", result.gold_recall)
    yield Measure("hops_reached", result.hops_reached)
    yield from measure_path(chain, question, result)
    for step in result.steps:
        yield Measure("gold_passage", step.gold_passage, step.number)
        yield Measure("sub_answer", step.sub_answer, step.number)
        yield Measure("gold_recall", step.gold_recall, step.number)
