"""Whether a chain took the path of the gold hops: where it left it, how long it went, when it answered.

A gold hop counts as taken when its sub-answer stands in a rationale (`evaluators.steps`) and its passage was
retrieved; where the dataset has no sub-answers (HotpotQA) the passages alone decide. Common limits: a correct path that
the dataset does not give counts as wrong, and so does a last hop that stands on the answer line alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from evaluators.answers import score_answer
from evaluators.steps import NO_HOPS, ChainResult
from evaluators.values import Measure, Value
from steper_core.records import Ability, Chain, Question, StopReason

NO_RATIONALE = "the chain has no rationale step"
NO_ANSWER = "the chain gave no answer"
FORCED_ANSWER = "the answer was forced at the last allowed step"
WRONG_ANSWER = "the answer is wrong"
NO_GOLD_PATH = "the question has neither sub-answers nor gold passages"


def first_wrong_step(sub_answers: Mapping[int, float | None]) -> int | None:
    """Number of the first step that states no gold hop although one was still open, None if there is none.

    `sub_answers` holds the score `sub_answer` by step number. The measure is ProcessBench's (Zheng et al., ACL 2025),
    the earliest wrong step, with gold hops in the place of its annotators: a detour or a repetition is wrong too, and a
    line that states a hop and something false beside it is not. The answer line is no step of this measure.
    """
    return min((number for number, value in sub_answers.items() if value == 0), default=None)


def measure_path(chain: Chain, question: Question, result: ChainResult) -> tuple[Measure, ...]:
    """The path scores of a chain, from what its steps achieved (`evaluators.steps.score_steps`).

    steps_before_error: share of the rationale steps before the first wrong one, 1 if none is (ProcessBench's earliest
    error as a share, so that chains of any length can be averaged).

    extra_steps: steps taken minus steps needed, one a gold hop and one for the answer; below 0 where lines state
    several hops or are missing. ReasonEval (Xia et al. 2024) has a model judge which step is redundant; this counts.

    premature_answer: 1 if the chain answered of its own accord while a hop was not yet taken, else 0: the missing step
    among the errors that ROSCOE (Golovneva et al., ICLR 2023) lists. Unscored where the answer was forced.

    right_by_wrong_path: 1 if the answer is right (em) although a hop was not taken, 0 if all were. It is what a filter
    of training chains by their answers lets through (StepER, Lee et al. 2025). Unscored where the answer is wrong.
    """
    return (
        Measure("steps_before_error", _steps_before_error(chain, result)),
        Measure("extra_steps", _extra_steps(chain, question)),
        Measure("premature_answer", _premature_answer(chain, result)),
        Measure("right_by_wrong_path", _right_by_wrong_path(chain, question, result)),
    )


def _steps_before_error(chain: Chain, result: ChainResult) -> Value:
    if result.hops_reached.value is None:
        return Value(None, result.hops_reached.reason)
    rationales = [step.number for step in chain.steps if step.ability is not Ability.AGGREGATION]
    if not rationales:
        return Value(None, NO_RATIONALE)
    wrong = first_wrong_step({step.number: step.sub_answer.value for step in result.steps})
    return Value(1.0 if wrong is None else sum(number < wrong for number in rationales) / len(rationales))


def _extra_steps(chain: Chain, question: Question) -> Value:
    if not question.hops:
        return Value(None, NO_HOPS)
    if chain.answer is None:
        return Value(None, NO_ANSWER)
    return Value(float(len(chain.steps) - len(question.hops) - 1))


def _premature_answer(chain: Chain, result: ChainResult) -> Value:
    if chain.answer is None:
        return Value(None, NO_ANSWER)
    if chain.stop_reason is StopReason.FORCED:
        return Value(None, FORCED_ANSWER)
    return _incomplete(result)


def _right_by_wrong_path(chain: Chain, question: Question, result: ChainResult) -> Value:
    if not score_answer(chain.answer, question.golds, question.dataset).em:
        return Value(None, WRONG_ANSWER)
    return _incomplete(result)


def _incomplete(result: ChainResult) -> Value:
    """1 if a gold hop was not stated or a gold passage not retrieved, 0 if all were."""
    shares = [value.value for value in (result.hops_reached, result.gold_recall) if value.value is not None]
    return Value(float(min(shares) < 1)) if shares else Value(None, NO_GOLD_PATH)
