"""Several seeds of one system, as one line: mean and spread."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from db.queries import RunRow
from evaluators.intervals import Spread, spread_over_seeds
from steper_core.config import ModelSection
from steper_core.digests import digest_of

_OF_ONE_RUN = frozenset({"model", "checkpoint", "seed"})
"""Settings that differ from seed to seed: the model section names the folder of the checkpoint."""
UNDECIDED = (
    *("train.forward_tokens", "train.keep_checkpoints", "train.trackers"),
    *(f"student.{key}" for key in ModelSection.model_fields if key not in ("backend", "model", "dtype", "device")),
)
"""Settings of a training that change no weight: how rows and batches are split, what is kept, how it is asked later."""
OF_A_SERVER = frozenset({"base_url", "batch_size", "device", "parameters", "active_parameters"})
"""Settings of a model at a server that say where it is, how busy it is kept and what it is said to be."""
_OF_A_TRAINING = ("train", "student", "held_out_questions", "number_format", "processes")
_OF_NO_SYSTEM = frozenset({*UNDECIDED, "student.device", "train.packing", "train.gradient_checkpointing"})
"""These and what changes nothing but where and how fast a training runs, up to rounding."""
_OF_THE_MODEL = ("backend", "demonstrations", "temperature", "dtype", "endpoint", "tasks")
"""What of the model section decides what is written, whichever checkpoint it is."""


@dataclasses.dataclass(frozen=True)
class SeedGroup:
    """Evaluation runs that differ in their seed only."""

    runs: tuple[RunRow, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, in rising order."""
        return tuple(sorted({run.seed for run in self.runs}))

    def figure(self, name: str) -> Spread | None:
        """A figure over the runs that have it, None if fewer than two do, or not of one version of their evaluator."""
        found = [run.figures[name] for run in self.runs if name in run.figures]
        if len({(figure.evaluator, figure.version) for figure in found}) > 1:
            return None
        spread = spread_over_seeds(figure.mean for figure in found)
        return spread if spread.n > 1 else None

    def fact(self, name: str) -> float | None:
        """The mean of a fact over the runs that have it."""
        values = [value for run in self.runs if (value := run.facts.get(name)) is not None]
        return statistics.fmean(values) if values else None


def system_of(run: RunRow) -> tuple[str, ...]:
    """What two runs of one system have in common, last a digest of their settings, those of the training included."""
    variant = run.study.variant if run.study else ""
    settings = {name: value for name, value in deciding(run.config).items() if name not in _OF_ONE_RUN}
    model = run.config.get("model")
    if isinstance(model, dict):
        settings["model"] = {name: model.get(name) for name in _OF_THE_MODEL}
    settings["training"] = _training_of(run)
    return (run.kind, run.dataset, run.model, run.method, run.framework, variant, digest_of(settings))


def _training_of(run: RunRow) -> dict[str, object]:
    """How a run's student was trained, whatever the seed: by which settings, on chains that were collected how.

    Within a study that is settled by the variant, though its teacher may have been forgotten and asked again.
    """
    teacher = None if run.study else run.training.get("teacher") or run.training.get("teacher_run")
    if isinstance(teacher, dict):
        teacher = deciding(teacher)
    decided = {
        f"{section}.{key}": value
        for section in _OF_A_TRAINING
        for key, value in _entries(run.training.get(section))
        if f"{section}.{key}" not in _OF_NO_SYSTEM
    }
    return {**decided, "teacher": teacher}


def deciding(config: Mapping[str, Any]) -> dict[str, Any]:
    """Of a run's settings those that decide what it holds: not how files and servers are called, nor how much at once.

    What stands in files is known by digests; runs of earlier versions have none.
    """
    kept = dict(config)
    if {"questions", "corpus"} <= kept.keys():
        kept.pop("data", None)
    if isinstance(reasoning := kept.get("reasoning"), dict):
        kept["reasoning"] = {name: value for name, value in reasoning.items() if name != "window"}
    if isinstance(teacher := kept.get("teacher"), dict) and teacher.get("backend") == "openai":
        kept["teacher"] = {name: value for name, value in teacher.items() if name not in OF_A_SERVER}
    return kept


def _entries(section: object) -> Iterable[tuple[str, object]]:
    return section.items() if isinstance(section, dict) else [("", section)]


def seed_groups(runs: Iterable[RunRow]) -> dict[tuple[str, ...], SeedGroup]:
    """Systems that were evaluated with more than one seed.

    Two runs of one system and one seed, such as the checkpoints of a training run, make it none: the spread of these is
    not that of seeds.
    """
    groups: dict[tuple[str, ...], list[RunRow]] = {}
    for run in runs:
        if run.kind == "evaluate" and run.status == "finished":
            groups.setdefault(system_of(run), []).append(run)
    return {system: SeedGroup(tuple(rows)) for system, rows in groups.items() if _differ(rows)}


def _differ(rows: Sequence[RunRow]) -> bool:
    return len({row.seed for row in rows}) == len(rows) > 1
