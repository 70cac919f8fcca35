"""Small questions, chains and scores to store, and a look at everything that is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import sqlalchemy as sa

from db.models import Base
from db.session import reading
from steper_core.records import Chain, Hop, Passage, Question, Retrieved, Score, Step, StopReason, ability_of
from steper_core.rundir import RunDir

RunMaker = Callable[..., RunDir]

ALPHA = Passage.of("Alpha", "Alpha was made by Ann Ager.")
BETA = Passage.of("Beta", "Beta was made by Bob Byer.")
ANN = Passage.of("Ann Ager", "Ann Ager was born in 1950.")
NOISE = Passage.of("Noise", "Nothing of use.")


def make_question(key: str, **changes: Any) -> Question:
    values: dict[str, Any] = {
        "id": key,
        "dataset": "worlds",
        "text": f"When was the maker of Alpha born ({key})?",
        "answer": "1950",
        "aliases": ("nineteen fifty",),
        "kind": "bridge",
        "hops": (
            Hop(question="Who made Alpha?", answer="Ann Ager", statement="Ann Ager made it.", passage_id=ALPHA.id),
            Hop(question="When was #1 born?", answer="1950", statement="In 1950.", passage_id=ANN.id, depends_on=(0,)),
        ),
    }
    return Question(**(values | changes))


def make_chain(
    key: str, steps: int = 2, answer: str | None = "1950", hits: Iterable[Passage] = (ALPHA, NOISE)
) -> Chain:
    return Chain(
        question_id=key,
        answer=answer,
        stop_reason=StopReason.ANSWERED,
        steps=tuple(
            Step(
                number=number,
                ability=ability_of(number, steps),
                query=f"query {number}",
                retrieved=tuple(
                    Retrieved(passage_id=hit.id, rank=rank, score=10.0 / rank) for rank, hit in enumerate(hits, 1)
                ),
                rationale=f"rationale {number}",
                prompt_tokens=100 * number,
                output_tokens=number,
                seconds=0.5 * number,
            )
            for number in range(1, steps + 1)
        ),
    )


def make_score(key: str, value: float | None, name: str = "em", step: int | None = None, **changes: Any) -> Score:
    return Score(
        **(
            {"question_id": key, "step": step, "name": name, "value": value, "evaluator": "answers", "version": "1"}
            | changes
        )
    )


def contents(engine: sa.Engine) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, to compare two states."""
    with reading(engine) as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(sa.select(table))), key=repr)
            for table in Base.metadata.sorted_tables
        }
