"""The evaluated checkpoints of a training run, and their scores over its steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.seeds import deciding
from app.store import Store
from app.tokens import ABILITIES
from app.training_charts import TrainedRun
from db.queries import RunRow

if TYPE_CHECKING:
    from app.comparison import ScoreName

_CURVES = {"EM": "em", "Sub-answer": "sub_answer", "Gold passage found": "gold_passage"}
"""Scores that are drawn over the steps of training, by the title of their panel."""


def checkpoints_of(training: RunRow, runs: Sequence[RunRow]) -> list[RunRow]:
    """Finished evaluations of checkpoints of one training run that can stand on one curve, by their step.

    They share questions, framework, retrieval and steps with the newest one; of several of a step the newest stands.
    """
    own = [
        run
        for run in runs
        if run.checkpoint_run_uid == training.uid and run.checkpoint_step is not None and run.status == "finished"
    ]
    if not own:
        return []
    newest = max(own, key=lambda run: run.started)
    alike = [run for run in own if _asked_how(run) == _asked_how(newest)]
    by_step = {run.checkpoint_step or 0: run for run in sorted(alike, key=lambda run: run.started)}
    return [by_step[step] for step in sorted(by_step)]


def _asked_how(run: RunRow) -> tuple[object, ...]:
    settings = deciding(run.config)
    return (run.framework, *(settings.get(part) for part in ("questions", "retrieval", "reasoning")))


def scored_checkpoints(store: Store, training: RunRow, runs: Sequence[RunRow]) -> list[RunRow]:
    """As `checkpoints_of`, of those evaluations whose scores can be read."""
    return [run for run in checkpoints_of(training, runs) if store.run_arrays(run.id) is not None]


def trained_run(store: Store, training: RunRow, checkpoints: Sequence[RunRow]) -> TrainedRun:
    """What a training run logged, with the scores of these of its checkpoints."""
    points = store.train_points(training.id)
    if not checkpoints:
        return TrainedRun(points)
    names: list[ScoreName] = [
        (name, ability) for name in _CURVES.values() for ability in (("",) if name == "em" else tuple(ABILITIES))
    ]
    table = store.score_table(tuple(run.id for run in checkpoints), tuple(names))
    figures = {line.key: [cell.figure if cell else None for cell in line.cells] for line in table.lines}
    curves = {
        title: {ability: figures[own, ability] for own, ability in names if own == name and (own, ability) in figures}
        for title, name in _CURVES.items()
    }
    return TrainedRun(points, [run.checkpoint_step or 0 for run in checkpoints], curves)
