"""The frozen records that queries hand out: no ORM object leaves this package."""

from __future__ import annotations

import dataclasses
import datetime

import numpy as np
import numpy.typing as npt


@dataclasses.dataclass(frozen=True)
class RunFilter:
    """Which runs to list; an empty tuple or text filters nothing."""

    kinds: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    text: str = ""


@dataclasses.dataclass(frozen=True)
class FigureRow:
    """A mean over questions with its 95 % interval, the number of scored questions and of unscored ones."""

    mean: float | None
    low: float | None
    high: float | None
    n: int
    unscored: int
    evaluator: str = ""
    version: str = ""


@dataclasses.dataclass(frozen=True)
class RunRow:
    """A run as its run.json tells it.

    `chain_count` is the number of its chains that are stored; `training` the settings of the training run that its
    checkpoint is of, and under "teacher" those of the run that collected its chains, as far as these runs are stored.
    """

    id: int
    uid: str
    name: str
    kind: str
    status: str
    dataset: str
    model: str
    method: str
    framework: str
    seed: int
    started: datetime.datetime
    seconds: float
    error: str | None
    command: str
    path: str
    chain_count: int
    figures: dict[str, FigureRow]
    counts: dict[str, int]
    facts: dict[str, float]
    config: dict[str, object]
    versions: dict[str, str]
    hardware: dict[str, object]
    checkpoint_run_uid: str | None
    checkpoint_run_name: str | None
    checkpoint_step: int | None
    study: StudyRow | None = None
    training: dict[str, object] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class StudyRow:
    """The study that a run is part of, and which variant of it the run is."""

    name: str
    title: str
    shows: str
    variant: str
    place: int
    paper: str


@dataclasses.dataclass(frozen=True)
class RunChoices:
    """The values that occur, for the filter widgets."""

    kinds: tuple[str, ...]
    methods: tuple[str, ...]
    models: tuple[str, ...]
    datasets: tuple[str, ...]
    statuses: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class QuestionFilter:
    """Which questions of some runs to list.

    `outcome` by em: "", "right", "wrong" (of the first run), "differs" (right under one run and wrong under another),
    or of the first run and then the second: "fixed", "broken", "both-right", "both-wrong". `step_counts` and `marks`
    are of the first run's chain: "unscored" (its answer has no em), "wrong-path" (right by a wrong path), "annotated"
    (a person submitted labels of it), "disagreed" (people differ on one of its verdicts, undecided).
    """

    outcome: str = ""
    kinds: tuple[str, ...] = ()
    hop_counts: tuple[int, ...] = ()
    step_counts: tuple[int, ...] = ()
    marks: tuple[str, ...] = ()
    text: str = ""


@dataclasses.dataclass(frozen=True)
class QuestionChoices:
    """What the questions of some runs can be filtered by; the counts of steps are those of the first run."""

    kinds: tuple[str, ...] = ()
    hop_counts: tuple[int, ...] = ()
    step_counts: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class QuestionRow:
    """`right[i]`: whether run i of the asked runs is right (em = 1); None where it has no chain or no score."""

    id: int
    key: str
    text: str
    answer: str
    kind: str
    hop_count: int
    right: tuple[bool | None, ...]


@dataclasses.dataclass(frozen=True)
class QuestionPage:
    """One page of questions, and how many there are on all pages."""

    rows: tuple[QuestionRow, ...]
    total: int


@dataclasses.dataclass(frozen=True)
class HopView:
    """A gold sub-question. `passage_title` is None where no stored passage has the id."""

    question: str
    answer: str | None
    statement: str
    passage_id: str | None
    passage_title: str | None
    depends_on: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class PassageView:
    """A retrieved passage. `gold`: whether one of the question's hops names it."""

    id: str
    title: str
    text: str
    rank: int
    score: float
    gold: bool


@dataclasses.dataclass(frozen=True)
class ScoreView:
    """A measured value; None with a reason is unscored."""

    name: str
    value: float | None
    reason: str | None
    evaluator: str
    version: str


@dataclasses.dataclass(frozen=True)
class StepView:
    """One turn of a chain, its passages by rank, its scores by name."""

    number: int
    ability: str
    query: str
    rationale: str
    passages: tuple[PassageView, ...]
    prompt_tokens: int
    output_tokens: int
    seconds: float
    scores: tuple[ScoreView, ...]


@dataclasses.dataclass(frozen=True)
class ChainView:
    """All steps of a chain by number, the scores of the whole chain by name, and what judges said of both."""

    run_id: int
    answer: str | None
    stop_reason: str
    steps: tuple[StepView, ...]
    scores: tuple[ScoreView, ...]
    judgements: tuple[JudgementView, ...] = ()


@dataclasses.dataclass(frozen=True)
class QuestionView:
    """A question, its gold hops, and its chain under each asked run (None where there is none)."""

    id: int
    key: str
    dataset: str
    text: str
    answer: str
    aliases: tuple[str, ...]
    kind: str
    hops: tuple[HopView, ...]
    chains: tuple[ChainView | None, ...]


@dataclasses.dataclass(frozen=True)
class TrainPointRow:
    """What training logged at one optimizer step; abilities without a finite number are left out."""

    step: int
    epoch: float
    losses: dict[str, float]
    sigmas: dict[str, float]
    learning_rate: float | None
    tokens_per_second: float | None
    held_out: bool


@dataclasses.dataclass(frozen=True, eq=False)
class RunArrays:
    """Questions and costs of all chains of a run, one entry a chain; `kind_codes` are places in `kinds`."""

    run_id: int
    question_ids: npt.NDArray[np.int64]
    kinds: tuple[str, ...]
    kind_codes: npt.NDArray[np.int32]
    hop_counts: npt.NDArray[np.int32]
    steps: npt.NDArray[np.int32]
    passages: npt.NDArray[np.int32]
    prompt_tokens: npt.NDArray[np.int64]
    output_tokens: npt.NDArray[np.int64]
    seconds: npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class ScoreArray:
    """One score of all chains of a run, in the order of its RunArrays; unscored is NaN.

    `ability` is empty for a value of the whole chain; else the values are means over the chain's steps of that ability.
    `reasons` counts why chains (or steps) are unscored.
    """

    run_id: int
    name: str
    evaluator: str
    version: str
    ability: str
    values: npt.NDArray[np.float32]
    reasons: dict[str, int]


@dataclasses.dataclass(frozen=True)
class JudgementView:
    """One vote of a judge on a chain (`number` 0) or a step; `judge_run` is the run that it belongs to."""

    judge_run: str
    number: int
    vote: int
    order: str
    rubric: str
    version: str
    judge: str
    verdicts: dict[str, float]
    tags: tuple[str, ...]
    explanation: str
    unscored: str | None
