"""What a run directory records: the run itself, a chain that was not kept, a point of a training curve."""

from __future__ import annotations

import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from steper_core.records import Chain, Record


class RunKind(StrEnum):
    """What a run computes."""

    COLLECT = "collect"
    TRAIN = "train"
    EVALUATE = "evaluate"
    JUDGE = "judge"


class RunStatus(StrEnum):
    """Where a run stands. A RUNNING run that no living process holds counts as INTERRUPTED too."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


Number = Annotated[int, Field(ge=0, le=2**63 - 1)]
"""How many there are of something."""


class Figure(Record):
    """A mean over questions with its 95 % interval, the number of scored questions and of unscored ones.

    `evaluator` and `version` say which scores it was made of: figures of two versions are not the same measure.
    """

    mean: float | None
    low: float | None
    high: float | None
    n: Number
    unscored: Number = 0
    evaluator: str = ""
    version: str = ""


class CheckpointRef(Record):
    """Which student an evaluation run used: the training run, and the training step of the weights."""

    run_uid: str
    run_name: str
    step: int


class StudyRef(Record):
    """Which study a run is part of: its name and title, what it varies, and which variant, at which place, this is.

    `paper` names the table or figure of the paper that asks the same.
    """

    name: str
    title: str
    shows: str
    variant: str
    place: int = 0
    paper: str = ""


class RunInfo(Record):
    """What `run.json` holds. `figures` are scores by name, `facts` plain measurements (units in their names).

    `judged` are the uids of the runs that a judge judged: one, or the two of a comparison in pairs.
    """

    format: Literal[1] = 1
    uid: str
    name: str
    kind: RunKind
    status: RunStatus = RunStatus.RUNNING
    dataset: str
    model: str
    method: str
    framework: str
    seed: int
    config: dict[str, Any]
    digest: str
    versions: dict[str, str]
    hardware: dict[str, Any]
    revision: str | None
    command: str
    started: datetime.datetime
    finished: datetime.datetime | None = None
    seconds: float = Field(0.0, allow_inf_nan=False)
    error: str | None = None
    checkpoint: CheckpointRef | None = None
    judged: tuple[str, ...] = ()
    study: StudyRef | None = None
    figures: dict[str, Figure] = Field(default_factory=dict)
    counts: dict[str, Number] = Field(default_factory=dict)
    facts: dict[str, float] = Field(default_factory=dict)


class Rejection(Record):
    """A chain that was not kept, and why."""

    reason: str
    chain: Chain


class TrainPoint(Record):
    """What training logged at one optimizer step.

    `losses` are raw mean losses by ability (nats a target token), `sigmas` by ability (empty unless learned), both only
    for abilities that occurred. `seconds` are those of the step itself, without saving and measuring (None in
    runs of earlier versions). `held_out` marks a measurement on the held-out questions.
    """

    step: int
    epoch: float
    losses: dict[str, float]
    sigmas: dict[str, float] = Field(default_factory=dict)
    learning_rate: float | None = None
    tokens_per_second: float | None = None
    seconds: float | None = None
    held_out: bool = False
