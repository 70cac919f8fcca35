"""Whole columns of runs, for comparing them: few rows, each the values of all chains of a run."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Engine

from db.arrays import FLOAT32, FLOAT64, INT32, INT64, unpack
from db.models import RunColumns, ScoreColumn
from db.session import reading
from db.views import RunArrays, ScoreArray


def run_arrays(engine: Engine, run_ids: tuple[int, ...]) -> tuple[RunArrays | None, ...]:
    """Questions and costs of the chains of each run; None for a run whose columns are not stored."""
    with reading(engine) as connection:
        rows = connection.execute(sa.select(RunColumns.__table__).where(RunColumns.run_id.in_(run_ids))).all()
    found = {
        row.run_id: RunArrays(
            run_id=row.run_id,
            question_ids=unpack(row.question_ids, INT64),
            kinds=tuple(row.kinds),
            kind_codes=unpack(row.kind_codes, INT32),
            hop_counts=unpack(row.hop_counts, INT32),
            steps=unpack(row.steps, INT32),
            passages=unpack(row.passages, INT32),
            prompt_tokens=unpack(row.prompt_tokens, INT64),
            output_tokens=unpack(row.output_tokens, INT64),
            seconds=unpack(row.seconds, FLOAT64),
        )
        for row in rows
    }
    return tuple(found.get(run_id) for run_id in run_ids)


def score_arrays(
    engine: Engine, run_ids: tuple[int, ...], names: tuple[str, ...] | None = None
) -> tuple[ScoreArray, ...]:
    """The scores of these runs (all, or those of these names), in the order of name, evaluator, version, ability."""
    statement = sa.select(ScoreColumn.__table__).where(ScoreColumn.run_id.in_(run_ids))
    if names is not None:
        statement = statement.where(ScoreColumn.name.in_(names))
    order = (ScoreColumn.name, ScoreColumn.evaluator, ScoreColumn.version, ScoreColumn.ability, ScoreColumn.run_id)
    with reading(engine) as connection:
        rows = connection.execute(statement.order_by(*order)).all()
    return tuple(
        ScoreArray(
            run_id=row.run_id,
            name=row.name,
            evaluator=row.evaluator,
            version=row.version,
            ability=row.ability,
            values=unpack(row.numbers, FLOAT32),
            reasons=dict(row.reasons),
        )
        for row in rows
    )
