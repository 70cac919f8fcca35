"""The log of a training in the database: the later point holds, and what a resumed training took back is gone."""

from __future__ import annotations

import sqlalchemy as sa

from db.ingest import RowCounts, ingest
from db.queries import train_points
from steper_core.run_records import TrainPoint

from .samples import RunMaker


def test_a_later_training_point_holds(engine: sa.Engine, make_run: RunMaker) -> None:
    run = make_run()
    run.append_train_point(TrainPoint(step=1, epoch=0.5, losses={"aggregation": 2.0}))
    run.append_train_point(TrainPoint(step=1, epoch=0.5, losses={"aggregation": 1.0}))
    run_id = ingest(engine, run.path).run_id
    assert [point.losses for point in train_points(engine, run_id)] == [{"aggregation": 1.0}]
    run.append_train_point(TrainPoint(step=1, epoch=0.5, losses={"aggregation": 0.5}))
    run.append_train_point(TrainPoint(step=1, epoch=0.5, losses={"aggregation": 3.0}, held_out=True))
    result = ingest(engine, run.path)
    assert (result.added.points, result.updated.points) == (1, 1)
    assert [(point.held_out, point.losses) for point in train_points(engine, run_id)] == [
        (False, {"aggregation": 0.5}),
        (True, {"aggregation": 3.0}),
    ]


def test_points_that_a_resumed_training_took_back_are_gone(engine: sa.Engine, make_run: RunMaker) -> None:
    run = make_run()
    for step in (1, 2, 3):
        run.append_train_point(TrainPoint(step=step, epoch=step / 3, losses={"aggregation": 2.123456789}))
    run_id = ingest(engine, run.path).run_id
    run.cut_train_points(1)
    run.append_train_point(TrainPoint(step=2, epoch=0.7, losses={"aggregation": 1.0}))
    result = ingest(engine, run.path)
    assert (result.changed, result.added, result.updated.points) == (True, RowCounts(), 1)
    assert [point.losses["aggregation"] for point in train_points(engine, run_id)] == [2.123456789, 1.0]
