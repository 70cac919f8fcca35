"""An open database (PostgreSQL too where STEPER_TEST_POSTGRESQL names one), and small run directories for it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.models import Base
from db.session import open_database, reading
from steper_core.records import Chain, Hop, Passage, Question, Retrieved, Score, Step, StopReason, ability_of
from steper_core.rundir import RunDir, RunKind, open_run

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


def make_chain(key: str, steps: int = 2, answer: str | None = "1950", hits: Iterable[Passage] = (ALPHA, NOISE)) -> Chain:
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
        **({"question_id": key, "step": step, "name": name, "value": value, "evaluator": "answers", "version": "1"} | changes)
    )


RunMaker = Callable[..., RunDir]


@pytest.fixture
def make_run(tmp_path: Path) -> RunMaker:
    """Creates a finished run, or takes one up again, and appends what is given."""

    def make(
        name: str = "run",
        *,
        questions: Iterable[Question] = (),
        chains: Iterable[Chain] = (),
        scores: Iterable[Score] = (),
        passages: Iterable[Passage] = (ALPHA, BETA, ANN, NOISE),
        config: dict[str, Any] | None = None,
        kind: RunKind = RunKind.EVALUATE,
        **settings: Any,
    ) -> RunDir:
        chosen = {"dataset": "worlds", "model": "tiny", "method": "steper", "framework": "ircot"} | settings
        with open_run(tmp_path / "runs" / name, kind=kind, config=config or {"name": name}, **chosen) as run:
            run.write_questions(questions)
            run.append_passages(passages)
            run.append_chains(chains)
            run.append_scores(scores)
        return run

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'database' / 'steper.db'}"
        return
    server = os.environ.get("STEPER_TEST_POSTGRESQL")
    if not server:
        pytest.skip("STEPER_TEST_POSTGRESQL names no server")
    schema = f"test_{uuid.uuid4().hex}"
    admin = sa.create_engine(sa.make_url(server).set(drivername="postgresql+psycopg"))
    with admin.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    yield sa.make_url(server).update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(False)
    with admin.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
    admin.dispose()


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    """An empty database, open."""
    opened = open_database(url)
    yield opened
    opened.dispose()


def contents(engine: sa.Engine) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, to compare two states."""
    with reading(engine) as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(sa.select(table))), key=repr)
            for table in Base.metadata.sorted_tables
        }
