"""Step writers: whoever writes the next line of a chain.

One protocol, two families behind it. A language model sees question, passages and the lines so far. The gold teacher
(`teaching.GoldWriter`) also sees the question's gold hops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from steper_core.prompts import Demonstration, Prompt, Task, answer_line, build_prompt
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
    """What a writer gave, and the tokens it computed. `problem` says why there is no usable text.

    `cut`: the line did not end by itself but at the limit of new tokens.
    """

    text: str
    prompt_tokens: int
    output_tokens: int
    seconds: float
    problem: Literal["too_long", "refused"] | None = None
    cut: bool = False


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
    """A language model as a step writer. Trained students get no demonstrations.

    A teacher is asked its training questions, from which demonstrations are drawn: none is shown its own answer.
    """

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
                demonstrations=[shown for shown in self.demonstrations if shown.question != request.question.text],
            )
            for request in requests
        ]
        return self.model.complete(prompts, [request.seed for request in requests])


@dataclass(frozen=True)
class TaskWriter:
    """A student of two independent tasks: reasons line by line, and where it has no more to say, or must, answers.

    The answer is written from passages and question alone, as it was learned (examples.task_examples).
    """

    model: LanguageModel

    def write(self, requests: Sequence[StepRequest]) -> list[Completion]:
        """The next line of each chain; of those that end, the answer, with the cost of both prompts."""
        found: dict[int, Completion] = {}
        open_places = [place for place, request in enumerate(requests) if not request.force_answer]
        if open_places:
            lines = self._complete([requests[place] for place in open_places], "reasoning")
            found = dict(zip(open_places, lines, strict=True))
        ending = [place for place in range(len(requests)) if place not in found or _says_nothing(found[place])]
        if ending:
            answers = self._complete([requests[place] for place in ending], "answer")
            for place, answer in zip(ending, answers, strict=True):
                found[place] = _joined(found.get(place), answer)
        return [found[place] for place in range(len(requests))]

    def _complete(self, requests: Sequence[StepRequest], task: Task) -> list[Completion]:
        answers = task == "answer"
        prompts = [
            build_prompt(
                request.question.text,
                request.passages,
                () if answers else request.rationales,
                force_answer=answers,
                task=task,
            )
            for request in requests
        ]
        return self.model.complete(prompts, [request.seed for request in requests])


def _says_nothing(line: Completion) -> bool:
    return line.problem is None and not line.text.strip()


def _joined(line: Completion | None, answer: Completion) -> Completion:
    """An answer after the prompt that brought no line, if there was one."""
    if line is None:
        return answer
    return Completion(
        answer_line(answer.text.strip()),
        line.prompt_tokens + answer.prompt_tokens,
        line.output_tokens + answer.output_tokens,
        line.seconds + answer.seconds,
        answer.problem,
        answer.cut,
    )


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
