"""Where the compared runs' weights come from: the checkpoints of a training run, and the sets it learned from."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from app.formats import MISSING, number, percent
from app.plain import one_line
from db.queries import RunArrays, RunRow


@dataclasses.dataclass(frozen=True)
class TrainingSet:
    """What a compared run learned from; None where it is not in the database, or the run was not trained."""

    training: RunRow | None
    teacher: RunRow | None
    chains: RunArrays | None


def trained_most(runs: Sequence[RunRow]) -> str | None:
    """The uid of the training run that most of these evaluate checkpoints of, if there are two of one."""
    steps: dict[str, set[int]] = {}
    for run in runs:
        if run.checkpoint_run_uid is not None and run.checkpoint_step is not None:
            steps.setdefault(run.checkpoint_run_uid, set()).add(run.checkpoint_step)
    most = max(steps, key=lambda uid: len(steps[uid]), default=None)
    return most if most is not None and len(steps[most]) > 1 else None


def training_run_of(run: RunRow, by_uid: Mapping[str, RunRow]) -> RunRow | None:
    """The training run whose checkpoint a run evaluates, if it is known."""
    return by_uid.get(run.checkpoint_run_uid or "")


def teacher_run_of(training: RunRow, by_uid: Mapping[str, RunRow]) -> RunRow | None:
    """The run that collected the chains a training run learned from, if it is known."""
    uid = training.config.get("teacher_run")
    return by_uid.get(uid) if isinstance(uid, str) else None


def set_rows(sets: Sequence[TrainingSet]) -> list[dict[str, Any]]:
    """Rows of the table of training sets; what no run knows gets no row."""
    rows = [
        _row("Trained by", [one_line(each.training.name, 40) if each.training else MISSING for each in sets]),
        _row("Chains from", [one_line(each.teacher.name, 40) if each.teacher else MISSING for each in sets]),
        _counts("Kept", "chains that passed the filters", sets, "teacher", "kept"),
        *(_counts(_reason(name), "chains left out", sets, "teacher", name) for name in _rejections(sets)),
        _counts("Examples", "rows that training saw", sets, "training", "examples"),
        _counts("Chains trained on", "", sets, "training", "chains"),
        _counts("Cut", "examples shortened to the length limit", sets, "training", "cut"),
        _counts("Left out", "examples past the length limit", sets, "training", "left_out"),
        *_steps(sets),
    ]
    return [row for row in rows if any(cell["main"] != MISSING for cell in row["cells"])]


def _counts(label: str, hint: str, sets: Sequence[TrainingSet], owner: str, name: str) -> dict[str, Any]:
    runs: list[RunRow | None] = [getattr(each, owner) for each in sets]
    return _row(label, [number(run.counts.get(name)) if run else MISSING for run in runs], hint)


def _rejections(sets: Sequence[TrainingSet]) -> list[str]:
    found: Counter[str] = Counter()
    for each in sets:
        if each.teacher:
            found.update({name: count for name, count in each.teacher.counts.items() if name.startswith("rejected")})
    return [name for name, _ in found.most_common()]


def _reason(name: str) -> str:
    return one_line(name[:1].upper() + name[1:], 60)


def _steps(sets: Sequence[TrainingSet]) -> list[dict[str, Any]]:
    counted = [Counter(each.chains.steps.tolist()) if each.chains is not None else Counter() for each in sets]
    rows = []
    for steps in sorted(set().union(*counted)):
        cells = [f"{number(own[steps])}" if own else MISSING for own in counted]
        sides = [f"{percent(own[steps] / own.total())} %" if own else "" for own in counted]
        rows.append(_row(f"{steps} step{'' if steps == 1 else 's'}", cells, "chains of that many", sides))
    return rows


def _row(label: str, values: Sequence[str], hint: str = "", sides: Sequence[str] = ()) -> dict[str, Any]:
    shown = sides or [""] * len(values)
    cells = [
        {"main": value, "side": side, "title": "", "difference": None}
        for value, side in zip(values, shown, strict=True)
    ]
    return {"key": label, "label": label, "hint": hint, "cells": cells}
