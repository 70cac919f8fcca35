"""The database as the pages hold it."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.annotation_projects import ProjectOrder, make_project
from app.store import open_store
from db import ingest, open_database
from db.queries import QuestionFilter, list_runs
from evaluators.label_rubric import load_label_rubric
from steper_core.run_records import RunKind
from steper_core.rundir import open_run

from .labelled_runs import label, open_labels, store_run


def test_questions_by_their_labels_are_those_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_run(tmp_path, "eval", right=("q1",))
    engine = open_labels(tmp_path)
    monkeypatch.setenv("STEPER_DATABASE_URL", f"sqlite:///{tmp_path / 'steper.db'}")
    (run,) = list_runs(engine)
    project = make_project(engine, ProjectOrder("p", (run.id,), load_label_rubric("steps")))
    store = open_store()

    def found(mark: str) -> int:
        return store.questions((run.id,), QuestionFilter(marks=(mark,)), 0, 20).total

    assert (found("annotated"), found("unscored")) == (0, 0)
    label(engine, project.name, "ann", {"q1": [(1, "rating", 1.0)]})
    assert found("annotated") == 1


def test_a_file_that_takes_the_name_of_the_database_is_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "steper.db"
    monkeypatch.setenv("STEPER_DATABASE_URL", f"sqlite:///{file}")
    for name in ("one", "two"):
        with open_run(tmp_path / name, kind=RunKind.EVALUATE, config={}, dataset="d", model="m"):
            pass
    ingest(open_database(f"sqlite:///{file}"), tmp_path / "one")
    assert [run.name for run in open_store().runs()] == ["one"]
    for part in tmp_path.glob("steper.db*"):
        part.rename(tmp_path / f"away-{part.name}")
    assert open_store().runs() == ()
    # The revision counts as far as that of the first one did.
    ingest(open_database(f"sqlite:///{file}"), tmp_path / "two")
    assert [run.name for run in open_store().runs()] == ["two"]
