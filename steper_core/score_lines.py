"""Scores as they lie in a run directory: one line for all that one evaluator says of one chain.

A chain of five steps has about seventy scores; a line for each would say its question, evaluator and version seventy
times, and take as long to read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Annotated

from pydantic import Field

from steper_core.records import LARGEST_SCORE, Record, Score

WHOLE_CHAIN = 0
"""The step number of a score of the whole chain (steps count from 1)."""


class ChainScores(Record):
    """Scores that one evaluator gave one chain, by step number (0: the whole chain) and name.

    `reasons` says why a value is None, under the key that `reason_key` gives.
    """

    question_id: str
    evaluator: str
    version: str
    values: dict[Annotated[int, Field(ge=WHOLE_CHAIN)], dict[str, float | None]]
    reasons: dict[str, str] = Field(default_factory=dict)

    def scores(self) -> Iterator[Score]:
        """The scores one by one; a number that is none to be averaged is unscored."""
        for number, values in self.values.items():
            for name, given in values.items():
                value, reason = fit(given, self.reasons.get(reason_key(number, name)))
                yield Score(
                    question_id=self.question_id,
                    step=number or None,
                    name=name,
                    value=value,
                    reason=reason,
                    evaluator=self.evaluator,
                    version=self.version,
                )


def fit(value: float | None, reason: str | None) -> tuple[float | None, str | None]:
    """A value with its reason as a file gives them; infinite, huge and no numbers are unscored."""
    if value is None or abs(value) <= LARGEST_SCORE:
        return value, reason
    return None, reason or f"the value is {value:g}"


def reason_key(number: int | str, name: str) -> str:
    """Under which key of `reasons` the reason of an unscored value stands."""
    return f"{number}/{name}"


def gather(scores: Iterable[Score]) -> Iterator[ChainScores]:
    """Lines of the scores, in their order; of two scores of one thing in a line the later one holds."""
    for (question_id, evaluator, version), group in groupby(
        scores, key=lambda score: (score.question_id, score.evaluator, score.version)
    ):
        values: dict[int, dict[str, float | None]] = {}
        reasons: dict[str, str] = {}
        for score in group:
            number = WHOLE_CHAIN if score.step is None else score.step
            values.setdefault(number, {})[score.name] = score.value
            if score.reason is None:
                reasons.pop(reason_key(number, score.name), None)
            else:
                reasons[reason_key(number, score.name)] = score.reason
        yield ChainScores(question_id=question_id, evaluator=evaluator, version=version, values=values, reasons=reasons)
