"""The words of many chains at once, without passages and scores, and which chains hold given words."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy import Engine

from db.clean import clean
from db.models import Chain, Question, Step
from db.session import reading

Database = Engine
"""An open database, as `open_database` gives it: the name of its type for the layers above."""

_AT_ONCE = 500


@dataclasses.dataclass(frozen=True)
class StepText:
    """The line of a step."""

    number: int
    ability: str
    rationale: str


@dataclasses.dataclass(frozen=True)
class ChainText:
    """A chain as words: its question with the main gold answer, the lines of its steps, and the answer it gives."""

    run_id: int
    question_id: int
    key: str
    dataset: str
    question: str
    gold: str
    answer: str | None
    steps: tuple[StepText, ...]


def chain_texts(engine: Engine, asked: Iterable[tuple[int, int]]) -> dict[tuple[int, int], ChainText]:
    """The chains of runs and questions, both by id, by these; what is not stored is left out."""
    by_run: defaultdict[int, list[int]] = defaultdict(list)
    for run_id, question_id in dict.fromkeys(asked):
        by_run[run_id].append(question_id)
    found: dict[tuple[int, int], ChainText] = {}
    with reading(engine) as connection:
        for run_id, question_ids in by_run.items():
            for part in _parts(question_ids):
                chains = connection.execute(
                    sa.select(
                        Chain.question_id,
                        Chain.answer,
                        Question.key,
                        Question.dataset,
                        Question.text,
                        Question.answer.label("gold"),
                    )
                    .join(Question, Question.id == Chain.question_id)
                    .where(Chain.run_id == run_id, Chain.question_id.in_(part))
                ).all()
                steps: defaultdict[int, list[StepText]] = defaultdict(list)
                lines = (
                    sa.select(Step.question_id, Step.number, Step.ability, Step.rationale)
                    .where(Step.run_id == run_id, Step.question_id.in_(part))
                    .order_by(Step.question_id, Step.number)
                )
                for line in connection.execute(lines):
                    steps[line.question_id].append(StepText(line.number, line.ability, line.rationale))
                for row in chains:
                    found[run_id, row.question_id] = ChainText(
                        run_id=run_id,
                        question_id=row.question_id,
                        key=row.key,
                        dataset=row.dataset,
                        question=row.text,
                        gold=row.gold,
                        answer=row.answer,
                        steps=tuple(steps[row.question_id]),
                    )
    return found


def question_ids_of(engine: Engine, run_id: int, keys: Iterable[str]) -> dict[str, int]:
    """The ids of the questions that a run has a chain for, by the dataset's own key; unknown keys are left out."""
    found: dict[str, int] = {}
    with reading(engine) as connection:
        for part in _parts(sorted({clean(key) for key in keys})):
            rows = connection.execute(
                sa.select(Question.key, Question.id)
                .join(Chain, Chain.question_id == Question.id)
                .where(Chain.run_id == run_id, Question.key.in_(part))
            )
            found.update({row.key: row.id for row in rows})
    return found


def chains_asked(engine: Engine, run_ids: Sequence[int], texts: Iterable[str]) -> dict[str, list[tuple[int, int]]]:
    """The chains (run and question ids) of these runs whose question reads so, by the question's text."""
    found: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    with reading(engine) as connection:
        for part in _parts(sorted({clean(text) for text in texts})):
            rows = connection.execute(
                sa.select(Question.text, Chain.run_id, Chain.question_id)
                .join(Chain, Chain.question_id == Question.id)
                .where(Chain.run_id.in_(run_ids), Question.text.in_(part))
                .order_by(Chain.run_id, Chain.question_id)
            )
            for row in rows:
                found[row.text].append((row.run_id, row.question_id))
    return dict(found)


def _parts(values: Sequence[int] | Sequence[str]) -> Iterable[Sequence[int] | Sequence[str]]:
    return (values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE))
