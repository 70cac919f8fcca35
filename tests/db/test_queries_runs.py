"""Runs, their choices and their training curves, against rows worked out by hand."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa

from db.ingest import ingest
from db.queries import RunChoices, RunFilter, TrainPointRow, list_runs, run_choices, train_points
from steper_core.run_records import CheckpointRef, RunKind, TrainPoint

from .samples import RunMaker


def test_runs_newest_first_and_filtered(engine: sa.Engine, make_run: RunMaker) -> None:
    names = ("old", "mid", "new")
    settings_of: dict[str, dict[str, Any]] = {
        "old": {"method": "", "kind": RunKind.COLLECT},
        "mid": {"model": "SmolLM2_135M", "dataset": "2wikimultihopqa"},
        "new": {"framework": "react"},
    }
    for number, name in enumerate(names):
        run = make_run(name, **settings_of[name])
        run.update(started=datetime.datetime(2026, 1, 1 + number, 12, tzinfo=datetime.UTC))
        ingest(engine, run.path)

    def found(**where: object) -> list[str]:
        return [run.name for run in list_runs(engine, RunFilter(**where))]  # type: ignore[arg-type]

    assert found() == ["new", "mid", "old"]
    assert found(kinds=("collect",)) == ["old"]
    assert found(kinds=("collect", "evaluate")) == ["new", "mid", "old"]
    assert found(methods=("steper",)) == ["new", "mid"]
    assert found(models=("SmolLM2_135M",)) == ["mid"]
    assert found(datasets=("worlds",), methods=("steper",)) == ["new"]
    assert found(statuses=("failed",)) == []
    assert found(text="smollm2_") == ["mid"]
    assert found(text="REACT") == ["new"]
    assert found(text="%") == []
    assert run_choices(engine) == RunChoices(
        kinds=("collect", "evaluate"),
        methods=("steper",),
        models=("SmolLM2_135M", "tiny"),
        datasets=("2wikimultihopqa", "worlds"),
        statuses=("finished",),
    )
    assert list_runs(engine)[0].started == datetime.datetime(2026, 1, 3, 12, tzinfo=datetime.UTC)


def test_an_evaluation_knows_how_its_student_was_trained(engine: sa.Engine, make_run: RunMaker) -> None:
    gold = make_run("gold", kind=RunKind.COLLECT, config={"teacher": {"model": "gold"}})
    trained = {"train": {"weighting": "learned"}, "teacher_run": gold.info.uid}
    student = make_run("student", kind=RunKind.TRAIN, config=trained)
    reference = CheckpointRef(run_uid=student.info.uid, run_name="student", step=5)
    for run in (make_run("eval", checkpoint=reference), make_run("base")):
        ingest(engine, run.path)
    before = {run.name: run.training for run in list_runs(engine)}
    assert before == {"eval": {}, "base": {}}
    ingest(engine, student.path)
    assert next(run.training for run in list_runs(engine) if run.name == "eval") == {**trained, "teacher": None}
    ingest(engine, gold.path)
    after = {run.name: run.training for run in list_runs(engine)}
    assert after == {
        "eval": {**trained, "teacher": {"teacher": {"model": "gold"}}},
        "base": {},
        "student": {},
        "gold": {},
    }


def test_training_curves(engine: sa.Engine, make_run: RunMaker) -> None:
    run = make_run(kind=RunKind.TRAIN)
    run.append_train_point(TrainPoint(step=20, epoch=1.0, losses={"expansion": 0.5}))
    run.append_train_point(TrainPoint(step=10, epoch=0.5, losses={"expansion": 0.25}, held_out=True))
    run.append_train_point(
        TrainPoint(
            step=10,
            epoch=0.5,
            losses={"expansion": 1.5},
            sigmas={"expansion": 1.1},
            learning_rate=1e-4,
            tokens_per_second=400.0,
        )
    )
    run_id = ingest(engine, run.path).run_id
    assert train_points(engine, run_id) == (
        TrainPointRow(10, 0.5, {"expansion": 1.5}, {"expansion": 1.1}, 1e-4, 400.0, False),
        TrainPointRow(10, 0.5, {"expansion": 0.25}, {}, None, None, True),
        TrainPointRow(20, 1.0, {"expansion": 0.5}, {}, None, None, False),
    )
    assert train_points(engine, 99) == ()
