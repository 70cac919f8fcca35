"""Frameworks: how the steps of a chain are driven."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from steper_core.errors import UserError
from steper_core.records import Question


@dataclass(frozen=True)
class Framework:
    """One way to alternate retrieval and reasoning.

    `iterates`: more than one step; otherwise the only step is forced to answer. `retrieves`: passages are fetched.
    """

    name: str
    iterates: bool
    retrieves: bool

    def last_step(self, max_steps: int) -> int:
        """The step that is forced to answer."""
        return max_steps if self.iterates else 1

    def passages_at(self, number: int, top_k: int) -> int:
        """How many passages step `number` asks for."""
        return top_k if self.retrieves else 0

    def query(self, question: Question, lines: Sequence[str]) -> str:
        """What the next step searches for: the question first, then the last line that says anything (IRCoT)."""
        return next((line for line in reversed(lines) if line), question.text)


IRCOT = Framework("ircot", iterates=True, retrieves=True)
"""Interleaved retrieval and chain of thought (Trivedi et al. 2023): the last rationale is the next query."""

RAG = Framework("rag", iterates=False, retrieves=True)
"""One retrieval, then the answer."""

CLOSED_BOOK = Framework("closed-book", iterates=False, retrieves=False)
"""No retrieval: what the model knows by heart."""

FRAMEWORKS = {framework.name: framework for framework in (IRCOT, RAG, CLOSED_BOOK)}


def framework_named(name: str) -> Framework:
    """The framework of that name, or a UserError that lists them."""
    try:
        return FRAMEWORKS[name]
    except KeyError:
        raise UserError(f"unknown framework {name!r}; there are: {', '.join(FRAMEWORKS)}") from None
