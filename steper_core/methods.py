"""What each method trains on: its tasks, and the examples of a chain.

Answer-KD learns answers alone, Multitask-KD rationale and answer as two tasks (Hsieh et al. 2023), Vanilla-KD, Logit-KD
and Feature-KD the whole path from all passages, StepER every step from the passages it had (StepER, section 3). What is
measured on the tokens is the business of `objectives`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from steper_core.config import TrainSection
from steper_core.examples import ANSWER, RATIONALE, Example, answer_examples, step_examples, task_examples
from steper_core.records import Ability, Chain, Passage, Question

Examples = Callable[[Question, Chain, Mapping[str, Passage]], list[Example]]


@dataclass(frozen=True)
class Plan:
    """The tasks of a method, each with a loss of its own, and what gives the examples of a chain."""

    tasks: tuple[str, ...]
    examples: Examples


def plan_of(settings: TrainSection) -> Plan:
    """The plan of a recipe's method."""
    if settings.method == "answer-kd":
        return Plan((ANSWER,), answer_examples)
    if settings.method == "multitask-kd":
        return Plan((RATIONALE, ANSWER), task_examples)
    abilities = tuple(map(Ability, settings.abilities)) if settings.method == "steper" else (Ability.AGGREGATION,)

    def examples(question: Question, chain: Chain, passages: Mapping[str, Passage]) -> list[Example]:
        return step_examples(question, chain, passages, abilities, settings.expansion_steps)

    return Plan(abilities, examples)
