"""The frozen records that queries hand out: no ORM object leaves this package."""

from __future__ import annotations

import dataclasses
import datetime


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


@dataclasses.dataclass(frozen=True)
class RunRow:
    """A run as its run.json tells it. `chain_count` is the number of its chains that are stored."""

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
    """Which questions of some runs to list. `outcome`: "", "right", "wrong" (by em of the first run), "differs"
    (right under one run and wrong under another)."""

    outcome: str = ""
    kinds: tuple[str, ...] = ()
    hop_counts: tuple[int, ...] = ()
    text: str = ""


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
    """All steps of a chain by number, and the scores of the whole chain by name."""

    run_id: int
    answer: str | None
    stop_reason: str
    steps: tuple[StepView, ...]
    scores: tuple[ScoreView, ...]


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
