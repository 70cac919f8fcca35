"""Step writers: whoever writes the next line of a chain.

One protocol, two families behind it. A language model sees question, passages and the lines so far. The gold teacher
(`teaching.GoldWriter`) also sees the question's gold hops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from steper_core.prompts import Demonstration, Prompt, build_prompt
from steper_core.records import Passage, Question


@dataclass(frozen=True)
class StepRequest:
    """What a writer is given: the question, all passages so far, the lines so far, and whether it must answer now.

    `seed` is derived from run seed, question and step, so that a resumed run samples what an uninterrupted one would.
    """

    question: Question
    passages: tuple[Passage, ...]
    rationales: tuple[str, ...]
    force_answer: bool
    seed: int


@dataclass(frozen=True)
class Completion:
    """What a writer gave. `problem` says why there is no usable text."""

    text: str
    prompt_tokens: int
    output_tokens: int
    seconds: float
    problem: Literal["too_long", "refused"] | None = None


class StepWriter(Protocol):
    """Writes the next line of each of several chains."""

    def write(self, requests: Sequence[StepRequest]) -> list[Completion]:
        """One completion a request, in order. With `force_answer` the text is what follows the answer flag."""
        ...


class LanguageModel(Protocol):
    """Continues prompts by at most one line."""

    def complete(self, prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[Completion]:
        """One completion a prompt, in order; equal prompts with equal seeds give equal text."""
        ...


@dataclass(frozen=True)
class ModelWriter:
    """A language model as a step writer. Trained students get no demonstrations."""

    model: LanguageModel
    demonstrations: tuple[Demonstration, ...] = ()

    def write(self, requests: Sequence[StepRequest]) -> list[Completion]:
        """Prompt the model for the next line of each chain."""
        prompts = [
            build_prompt(
                request.question.text,
                request.passages,
                request.rationales,
                force_answer=request.force_answer,
                demonstrations=self.demonstrations,
            )
            for request in requests
        ]
        return self.model.complete(prompts, [request.seed for request in requests])


@dataclass
class ScriptedModel:
    """A language model whose every line is given by a function of the prompt: for tests and dry runs.

    `prompts` records what it was asked.
    """

    script: Callable[[Prompt], str]
    prompts: list[Prompt] = field(default_factory=list)

    def complete(self, prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[Completion]:
        """The script's line for each prompt; tokens are counted as words."""
        self.prompts.extend(prompts)
        lines = [self.script(prompt) for prompt in prompts]
        return [
            Completion(line, len(prompt.text.split()), len(line.split()), 0.0)
            for prompt, line in zip(prompts, lines, strict=True)
        ]
