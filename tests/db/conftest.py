"""An open database (PostgreSQL too where STEPER_TEST_POSTGRESQL names one), and makers of runs and projects for it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.annotation_views import NewItem, NewProject
from db.annotations import create_project
from db.ingest import ingest
from db.queries_runs import list_runs
from db.session import open_database
from steper_core.records import Chain, Passage, Question, Score
from steper_core.run_records import RunKind
from steper_core.rundir import RunDir, open_run

from .labelling import Order
from .samples import ALPHA, ANN, BETA, NOISE, RunMaker, make_chain, make_question


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


@pytest.fixture
def order(engine: sa.Engine, make_run: RunMaker) -> Order:
    """Puts a run of twelve chains of two steps in the database; creates a project on the first of them."""
    keys = [f"q{number:02d}" for number in range(12)]
    ingest(engine, make_run(questions=map(make_question, keys), chains=map(make_chain, keys)).path)

    def make(count: int = 3, controls: int = 0, name: str = "first", **changes: Any) -> int:
        (run,) = list_runs(engine)
        items = tuple(
            NewItem(run.uid, number, number > count, {"1/rating": 1} if number > count else {})
            for number in range(1, count + controls + 1)
        )
        settings: dict[str, Any] = {"rubric": {"name": "steps"}, "blind": True, "overlap": 1, "seed": 7}
        project = NewProject(name=name, sample={"sample": "random"}, items=items, **(settings | changes))
        return create_project(engine, project)

    return make
