"""What the charts of training rest on, in numbers: one line a run."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from app.formats import MISSING, duration, number
from app.plain import one_line
from app.tokens import ABILITIES, TASKS, chosen_run
from app.views.component import Component
from db.queries import RunRow, TrainPointRow

_TABLE = Component("training_table")


def show_training_table(runs: Mapping[str, RunRow], points: Sequence[Sequence[TrainPointRow]]) -> None:
    """Draw the table."""
    _TABLE.draw(training_data(runs, points), key="training_table")


def training_data(runs: Mapping[str, RunRow], points: Sequence[Sequence[TrainPointRow]]) -> dict[str, Any]:
    """What the component draws."""
    logged_tasks = {task for each in points for point in each for task in point.losses}
    tasks = [task for task in TASKS if task in logged_tasks or (task in ABILITIES and not logged_tasks)]
    losses = [f"Loss {TASKS[task]}" for task in tasks]
    return {
        "columns": ["Steps", "Epochs", *losses, "Held out", "Tokens/s", "Took"],
        "hint": "Losses are those of the last logged step; held out is the last mean over tasks; "
        "tokens a second are the mean of the logged steps.",
        "rows": [
            {
                **chosen_run(position, one_line(run.name, 60)),
                "sub": " · ".join(one_line(part, 40) for part in (run.method, run.dataset, f"seed {run.seed}") if part),
                "cells": _cells(run, logged, tasks),
                "note": "" if any(point.sigmas for point in logged) else "no sigma: its weights were not learned",
            }
            for position, (run, logged) in enumerate(zip(runs.values(), points, strict=True))
        ],
    }


def _cells(run: RunRow, points: Sequence[TrainPointRow], tasks: Sequence[str]) -> list[str]:
    trained = [point for point in points if not point.held_out]
    held_out = [point for point in points if point.held_out and point.losses]
    speeds = [point.tokens_per_second for point in trained if point.tokens_per_second is not None]
    return [
        number(points[-1].step) if points else MISSING,
        number(points[-1].epoch, 2) if points else MISSING,
        *(_last_loss(trained, task) for task in tasks),
        f"{statistics.fmean(held_out[-1].losses.values()):.3f}" if held_out else MISSING,
        number(statistics.fmean(speeds)) if speeds else MISSING,
        duration(run.seconds),
    ]


def _last_loss(points: Sequence[TrainPointRow], task: str) -> str:
    return next((f"{point.losses[task]:.3f}" for point in reversed(points) if task in point.losses), MISSING)
