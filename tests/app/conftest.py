"""Hand-made rows, and pages that are drawn from them without a database."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from db.queries import (
    ChainView,
    FigureRow,
    HopView,
    PassageView,
    QuestionChoices,
    QuestionFilter,
    QuestionPage,
    QuestionRow,
    QuestionView,
    RunChoices,
    RunFilter,
    RunRow,
    ScoreView,
    StepView,
    TrainPointRow,
)

APP = Path(__file__).parents[2] / "app/streamlit_app.py"
_urls = itertools.count()


@pytest.fixture
def make_run() -> Callable[..., RunRow]:
    """A function that makes a run; its uid begins with its id."""

    def make(number: int = 1, **changes: Any) -> RunRow:
        base = RunRow(
            id=number,
            uid=f"{number:08d}" + "a" * 24,
            name=f"run-{number}",
            kind="evaluate",
            status="finished",
            dataset="worlds",
            model="org/small",
            method="steper",
            framework="ircot",
            seed=0,
            started=datetime.datetime(2026, 1, number, tzinfo=datetime.UTC),
            seconds=12.5,
            error=None,
            command="steper evaluate --name it",
            path="runs/it",
            chain_count=50,
            figures={"em": FigureRow(0.61, 0.567, 0.652, 500, 0)},
            counts={},
            facts={"seconds_per_question": 1.934},
            config={"seed": 0},
            versions={"torch": "2.13.0"},
            hardware={"cores": 2},
            checkpoint_run_uid=None,
            checkpoint_run_name=None,
            checkpoint_step=None,
        )
        return dataclasses.replace(base, **changes)

    return make


@pytest.fixture
def make_question() -> Callable[..., QuestionView]:
    """A function that makes a question with two hops, and a chain of two steps for each run id."""

    def make(
        *run_ids: int, sub_answers: tuple[float | None, ...] = (1.0, None), em: float | None = 1.0
    ) -> QuestionView:
        hops = (
            HopView("Who made it?", "Ada", "Ada made it.", "p1", "It (film)", ()),
            HopView("Where was Ada born?", "Oslo", "Ada was born in Oslo.", "p2", "Ada", (0,)),
        )
        abilities = ("initialization", "aggregation")
        steps = tuple(
            StepView(
                number=number,
                ability=abilities[number - 1],
                query="who made it",
                rationale="Ada made it.",
                passages=(PassageView("p1", "It (film)", "It was made by Ada.", 1, 12.34, True),)
                if number == 1
                else (),
                prompt_tokens=1200,
                output_tokens=9,
                seconds=0.5,
                scores=(ScoreView("sub_answer", sub_answers[number - 1], None, "steps", "1"),),
            )
            for number in (1, 2)
        )
        scores = (ScoreView("em", em, None, "answers", "1"), ScoreView("f1", 0.5, None, "answers", "1"))
        chains = tuple(ChainView(run_id, "Oslo", "answered", steps, scores) for run_id in run_ids)
        return QuestionView(7, "q7", "worlds", "Where was its maker born?", "Oslo", ("OSLO",), "bridge", hops, chains)

    return make


@dataclasses.dataclass
class FakeDatabase:
    """What the pages are told."""

    runs: tuple[RunRow, ...] = ()
    questions: tuple[QuestionRow, ...] = ()
    question: QuestionView | None = None
    points: tuple[TrainPointRow, ...] = ()
    asked: list[Any] = dataclasses.field(default_factory=list)

    def list_runs(self, _engine: Any, where: RunFilter) -> tuple[RunRow, ...]:
        self.asked.append(where)
        return tuple(run for run in self.runs if not where.methods or run.method in where.methods)

    def run_choices(self, _engine: Any) -> RunChoices:
        def of(field: str) -> tuple[str, ...]:
            return tuple(sorted({getattr(run, field) for run in self.runs}))

        return RunChoices(of("kind"), of("method"), of("model"), of("dataset"), of("status"))

    def list_questions(
        self, _engine: Any, _ids: tuple[int, ...], where: QuestionFilter, *, offset: int, limit: int
    ) -> QuestionPage:
        self.asked.append(where)
        return QuestionPage(self.questions[offset : offset + limit], len(self.questions))

    def get_question(self, _engine: Any, question_id: int, _ids: tuple[int, ...]) -> QuestionView | None:
        return self.question if self.question and self.question.id == question_id else None


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> FakeDatabase:
    """A database whose rows the test sets before it draws a page."""
    fake = FakeDatabase()
    monkeypatch.setenv("STEPER_DATABASE_URL", f"fake://{next(_urls)}")
    monkeypatch.setattr("app.store.open_database", lambda url: url)
    for name in ("list_runs", "run_choices", "list_questions", "get_question"):
        monkeypatch.setattr(f"db.queries.{name}", getattr(fake, name))
    monkeypatch.setattr("db.queries.revision", lambda _engine: 1)
    monkeypatch.setattr("db.queries.question_choices", lambda _engine, _ids: QuestionChoices(("bridge",), (2, 3), (3,)))
    monkeypatch.setattr("app.store.labels_revision", lambda _engine: 1)
    monkeypatch.setattr("app.store.chain_labels", lambda _engine, _question, _ids: {})
    monkeypatch.setattr("app.store.project_rubrics", lambda _engine: {})
    monkeypatch.setattr("db.queries.train_points", lambda _engine, _id: fake.points)
    return fake


@pytest.fixture
def draw() -> Callable[..., AppTest]:
    """A function that draws a page at a URL."""

    def run(page: str, /, **params: str | list[str]) -> AppTest:
        test = AppTest.from_file(str(APP), default_timeout=20)
        for name, value in params.items():
            test.query_params[name] = value
        test.run()
        if page != "runs":
            test.switch_page(f"app_pages/{page}.py")
            for name, value in params.items():
                test.query_params[name] = value
            test.run()
        assert not test.exception
        return test

    return run


@pytest.fixture
def sent() -> Callable[[AppTest, str], dict[str, Any]]:
    """A function that tells what a page sent to a component."""

    def find(test: AppTest, name: str) -> dict[str, Any]:
        protos = [element.proto for element in test.get("bidi_component")]
        (proto,) = [proto for proto in protos if proto.component_name == f"steper.{name}"]
        data = json.loads(proto.json or proto.mixed.json)
        assert isinstance(data, dict)
        return data

    return find
