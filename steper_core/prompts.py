"""What a language model reads and what it writes back.

Passages come first, in the order they were appended, then the question, then the rationale so far: each step's prompt
begins with the last one's passages, for the cache at inference and for packing at training.
One rationale a line; the line with the answer flag ends the chain.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from steper_core.records import ANSWER_FLAG, Passage
from steper_core.texts import one_line

Task = Literal["reasoning", "answer"]
"""What the end of a prompt asks for. Students of two independent tasks know the second; all others reason."""


@dataclass(frozen=True)
class Prompt:
    """A prompt in the two parts that are tokenised apart, so that training and inference see the same tokens.

    `context` is everything before the first line to be written, `lines` what is already written of the target. `aside`
    is what is asked between two steps of a chain, such as the answer as a task of its own.
    """

    context: str
    lines: str = ""
    aside: bool = False

    @property
    def text(self) -> str:
        """The whole prompt."""
        return self.context + self.lines


@dataclass(frozen=True)
class Demonstration:
    """A worked example shown to an untrained model: passages, question, and all lines down to the answer."""

    question: str
    passages: tuple[Passage, ...]
    lines: tuple[str, ...]


def build_prompt(
    question: str,
    passages: Sequence[Passage],
    rationales: Sequence[str] = (),
    *,
    force_answer: bool = False,
    demonstrations: Sequence[Demonstration] = (),
    task: Task = "reasoning",
) -> Prompt:
    """The prompt for the next line. With `force_answer` the line already begins with the answer flag."""
    shown = "".join(
        _context(demo.question, demo.passages) + "\n".join(demo.lines) + "\n\n\n" for demo in demonstrations
    )
    lines = "".join(f"{line}\n" for line in rationales) + (ANSWER_FLAG if force_answer else "")
    return Prompt(context=shown + _context(question, passages, task), lines=lines, aside=task == "answer")


def answer_line(answer: str) -> str:
    """The last line of a chain."""
    return f"{ANSWER_FLAG} {answer}"


def parse_line(text: str) -> tuple[str, str | None]:
    """Split what was written into (line, answer). Text before the flag is dropped, as in the paper.

    Only the first line counts. The answer is None on a line without the flag, and loses a closing full stop.
    """
    line = one_line(text.split("\n", 1)[0])
    flag = re.search(re.escape(ANSWER_FLAG), line, re.IGNORECASE)
    if flag is None:
        return line, None
    answer = line[flag.end() :].strip()
    answer = answer[:-1].rstrip() if answer.endswith(".") and not answer.endswith("..") else answer
    return answer_line(answer).rstrip(), answer


def _context(question: str, passages: Sequence[Passage], task: Task = "reasoning") -> str:
    shown = "".join(f"Passage: {one_line(passage.title)}\n{one_line(passage.text)}\n\n" for passage in passages)
    return f"{shown}Question: {one_line(question)}\n{task.capitalize()}:\n"
