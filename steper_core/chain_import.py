"""Chains made elsewhere, brought in as JSON lines, so that anyone's own teacher output trains a student.

One object a line:

    {"question_id": "...",               the id of a training question
     "answer": "...",                    the final answer
     "steps": [{"rationale": "...",      one line; the last step's alone may be left out or give the answer
                "query": "...",          optional; default: the question, then the last rationale
                "passages": [{"title": "...", "text": "..."}, ...]}]}     newly retrieved at this step, best first

The last step of a chain is its answer line. Where the last rationale is none, the answer line is added as a step of its
own that retrieves nothing: no rationale is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steper_core.datasets import RowProblem
from steper_core.errors import UserError
from steper_core.jsonl import explain
from steper_core.prompts import answer_line, parse_line
from steper_core.readers import match_key
from steper_core.records import Chain, Passage, Question, Retrieved, Step, StopReason, ability_of
from steper_core.texts import one_line


class _ImportedPassage(BaseModel):
    model_config = ConfigDict(extra="ignore")

    title: str = ""
    text: str


class _ImportedStep(BaseModel):
    model_config = ConfigDict(extra="ignore")

    rationale: str = ""
    query: str | None = None
    passages: tuple[_ImportedPassage, ...] = ()


class _ImportedChain(BaseModel):
    model_config = ConfigDict(extra="ignore")

    question_id: str
    answer: str = Field(min_length=1)
    steps: tuple[_ImportedStep, ...] = Field(min_length=1)


@dataclass(frozen=True)
class ImportedChains:
    """Chains and the passages they name, with the rows left out and how many chains an answer step was added to."""

    chains: tuple[Chain, ...]
    passages: tuple[Passage, ...]
    problems: tuple[RowProblem, ...]
    completed: int


def read_chains(path: Path, questions: Mapping[str, Question]) -> ImportedChains:
    """Read a file of chains for these questions (by id); a row at fault is reported and left out.

    Raises:
        UserError: the file cannot be read, or not one row of it is usable.
    """
    chains: dict[str, Chain] = {}
    passages: dict[str, Passage] = {}
    problems = []
    completed = 0
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text ({error})") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = _ImportedChain.model_validate_json(line)
            if row.question_id not in questions:
                raise UserError(
                    f"question_id {row.question_id!r} is not among the {len(questions):,} questions asked for here "
                    "(data.train_questions)"
                )
            if row.question_id in chains:
                raise UserError(f"question_id {row.question_id!r} stands in an earlier row")
            chain = _chain(row, questions[row.question_id], passages)
        except ValidationError as error:
            problems.append(RowProblem(str(path), number, explain(error)))
            continue
        except UserError as error:
            problems.append(RowProblem(str(path), number, str(error)))
            continue
        chains[row.question_id] = chain
        completed += len(chain.steps) > len(row.steps)
    if not chains:
        first = f"; the first: {problems[0]}" if problems else ""
        raise UserError(f"{path} holds no usable chain ({len(problems)} rows at fault){first}")
    return ImportedChains(tuple(chains.values()), tuple(passages.values()), tuple(problems), completed)


def _chain(row: _ImportedChain, question: Question, passages: dict[str, Passage]) -> Chain:
    answer = parse_line(row.answer)[1] or one_line(row.answer)
    if not answer:
        raise UserError("field 'answer' is empty")
    given = row.steps if _ends_in_answer(row.steps[-1], answer) else (*row.steps, _ImportedStep())
    steps: list[Step] = []
    query, seen = question.text, set[str]()
    for number, step in enumerate(given, start=1):
        shown = [Passage.of(one_line(passage.title), one_line(passage.text)) for passage in step.passages]
        fresh = [passage for passage in dict.fromkeys(shown) if passage.id not in seen]
        seen.update(passage.id for passage in fresh)
        passages.update((passage.id, passage) for passage in fresh)
        last = number == len(given)
        line, early = parse_line(one_line(step.rationale))
        if early is not None and not last:
            raise UserError(f"step {number} of {len(given)} already gives an answer; end the chain there")
        if not line and not last:
            raise UserError(
                f"step {number} of {len(given)} has no rationale, and a student would learn to write nothing; give it "
                "one, or move its passages to the next step"
            )
        line = answer_line(answer) if last else line
        steps.append(
            Step(
                number=number,
                ability=ability_of(number, len(given)),
                query=step.query or query,
                retrieved=tuple(
                    Retrieved(passage_id=passage.id, rank=rank, score=0.0) for rank, passage in enumerate(fresh, 1)
                ),
                rationale=line,
                prompt_tokens=0,
                output_tokens=0,
                seconds=0.0,
            )
        )
        query = line
    return Chain(question_id=question.id, steps=tuple(steps), answer=answer, stop_reason=StopReason.ANSWERED)


def _ends_in_answer(step: _ImportedStep, answer: str) -> bool:
    line, given = parse_line(one_line(step.rationale))
    return given is not None or not line or match_key(line) == match_key(answer)
