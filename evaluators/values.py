"""What an evaluator says of one thing: a value, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Value:
    """A share or a count, or None with the reason why there is none."""

    value: float | None
    reason: str | None = None


class Measure(NamedTuple):
    """A named value of a chain (`step` None) or of the step of that number."""

    name: str
    value: Value
    step: int | None = None
