"""Runs, their choices and their training curves."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine

from db.clean import folded
from db.models import RUNS_REVISION, Chain, RevisionRow, Run, TrainPoint
from db.session import reading
from db.views import FigureRow, RunChoices, RunFilter, RunRow, StudyRow, TrainPointRow

_ALL = RunFilter()


def revision(engine: Engine) -> int:
    """A number that grows with every ingest that changed something: part of every cache key of the pages."""
    with reading(engine) as connection:
        return connection.execute(sa.select(RevisionRow.number).where(RevisionRow.id == RUNS_REVISION)).scalar_one()


def list_runs(engine: Engine, where: RunFilter = _ALL) -> tuple[RunRow, ...]:
    """Runs, newest first. The text is looked for in name, model, dataset, method and framework, in any case."""
    chain_count = (
        sa.select(sa.func.count()).select_from(Chain).where(Chain.run_id == Run.id).correlate(Run).scalar_subquery()
    )
    trained, teacher = sa.orm.aliased(Run), sa.orm.aliased(Run)
    statement = (
        sa.select(
            Run.__table__,
            chain_count.label("chain_count"),
            trained.config.label("training"),
            teacher.config.label("teacher"),
        )
        .outerjoin(trained, trained.uid == Run.checkpoint_run_uid)
        .outerjoin(teacher, teacher.uid == trained.config["teacher_run"].as_string())
    )
    chosen = {
        Run.kind: where.kinds,
        Run.method: where.methods,
        Run.model: where.models,
        Run.dataset: where.datasets,
        Run.status: where.statuses,
    }
    for column, values in chosen.items():
        if values:
            statement = statement.where(column.in_(values))
    if where.text:
        statement = statement.where(Run.search.contains(folded(where.text), autoescape=True))
    with reading(engine) as connection:
        rows = connection.execute(statement.order_by(Run.started.desc(), Run.id.desc())).all()
    return tuple(_run_row(row) for row in rows)


def run_choices(engine: Engine) -> RunChoices:
    """The values that occur among all runs, each in alphabetical order; an empty value is no choice."""
    with reading(engine) as connection:
        statement = sa.select(Run.kind, Run.method, Run.model, Run.dataset, Run.status).distinct()
        rows = connection.execute(statement).all()
    kinds, methods, models, datasets, statuses = (
        tuple(sorted({str(row[place]) for row in rows} - {""})) for place in range(5)
    )
    return RunChoices(kinds=kinds, methods=methods, models=models, datasets=datasets, statuses=statuses)


def train_points(engine: Engine, run_id: int) -> tuple[TrainPointRow, ...]:
    """What a training run logged, by step; a held-out measurement stands after the training step of its number."""
    statement = sa.select(TrainPoint.__table__).where(TrainPoint.run_id == run_id)
    with reading(engine) as connection:
        rows = connection.execute(statement.order_by(TrainPoint.step, TrainPoint.held_out)).all()
    return tuple(
        TrainPointRow(
            step=row.step,
            epoch=row.epoch,
            losses=_numbers(row.losses),
            sigmas=_numbers(row.sigmas),
            learning_rate=row.learning_rate,
            tokens_per_second=row.tokens_per_second,
            held_out=row.held_out,
        )
        for row in rows
    )


def _run_row(row: sa.Row[Any]) -> RunRow:
    return RunRow(
        id=row.id,
        uid=row.uid,
        name=row.name,
        kind=row.kind,
        status=row.status,
        dataset=row.dataset,
        model=row.model,
        method=row.method,
        framework=row.framework,
        seed=row.seed,
        started=row.started,
        seconds=row.seconds,
        error=row.error,
        command=row.command,
        path=row.path,
        chain_count=row.chain_count,
        figures={name: FigureRow(**figure) for name, figure in row.figures.items()},
        counts=row.counts,
        facts=_numbers(row.facts),
        config=row.config,
        versions=row.versions,
        hardware=row.hardware,
        checkpoint_run_uid=row.checkpoint_run_uid,
        checkpoint_run_name=row.checkpoint_run_name,
        checkpoint_step=row.checkpoint_step,
        study=StudyRow(**row.study) if row.study else None,
        training={**row.training, "teacher": row.teacher} if row.training else {},
    )


def _numbers(values: dict[str, float | None]) -> dict[str, float]:
    # A number that is not finite is stored as null, for JSON has none.
    return {name: value for name, value in values.items() if value is not None}
