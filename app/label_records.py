"""Labels as they stand in files: what every format writes, and what is read back before it is held against a database.

Files name a chain by its run's uid and the dataset's own question key, never by an id of one database.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from app.plain import one_line
from db.annotation_slots import LONGEST_PROJECT, fit_name
from db.annotation_views import LARGEST_OVERLAP, LARGEST_SEED, REOPEN, SKIP, SUBMIT, UNSET
from steper_core.errors import UserError

_LONGEST_FAULT = 200
SLOT_FIELDS = frozenset({SUBMIT, SKIP, REOPEN})
"""Changes that say where a person stands with an item, and label nothing."""

MOST_SECONDS = 1e7
"""Active time on an item, as the workbench bounds it too: more is a fault, and sums of it have to stay numbers."""


def in_utc(moment: datetime.datetime) -> datetime.datetime:
    """A moment as databases keep it.

    Raises:
        ValueError: in UTC it lies before the year 1 or after the year 9999.
    """
    try:
        return moment.astimezone(datetime.UTC)
    except OverflowError as error:
        raise ValueError("in UTC this moment lies outside the years 1 to 9999") from error


def _as_stored(name: str) -> str:
    try:
        return fit_name(name, "a project", LONGEST_PROJECT)
    except UserError as error:
        raise ValueError(str(error)) from error


ProjectName = Annotated[str, AfterValidator(_as_stored)]
"""A project's name in the one spelling by which it is stored and found."""

Moment = Annotated[AwareDatetime, AfterValidator(in_utc)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Value = Number | str | tuple[str, ...] | None
State = Literal["held", "submitted", "skipped", "released"]


class FilePart(BaseModel):
    """Base of what is read from a file: frozen; what a later version adds is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ProjectSettings(FilePart):
    """A project as a file tells it: everything but its items and labels. `rubric` is the snapshot of its rubric."""

    name: ProjectName
    rubric: dict[str, Any]
    blind: bool = True
    overlap: int = Field(1, ge=1, le=LARGEST_OVERLAP)
    seed: int = Field(0, ge=-LARGEST_SEED, le=LARGEST_SEED)
    sample: dict[str, Any] = Field(default_factory=dict)
    closed: bool = False


class ItemName(FilePart):
    """An item: a chain by its run's uid and its question's key, with the run's name and the dataset for readers."""

    run_uid: str
    run: str = ""
    dataset: str = ""
    question: str
    position: int = 0
    control: bool = False
    reference: dict[str, Any] = Field(default_factory=dict)

    @property
    def chain(self) -> tuple[str, str]:
        """What tells the item from others."""
        return self.run_uid, self.question


class LabelChange(FilePart):
    """One change of the history: `number` is the step (0: the whole chain), `seconds` active time, given on submit."""

    uid: str = Field(min_length=1, max_length=200)
    number: int = Field(ge=0)
    field: str = Field(min_length=1)
    value: Value = None
    at: Moment
    seconds: Number | None = Field(None, ge=0, le=MOST_SECONDS)

    @field_validator("value", mode="before")
    @classmethod
    def _no_truth(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("a label is a number, a text, a list of tags or null")
        return value


@dataclass(frozen=True)
class Share:
    """One person's work on one item; `changes` stand in the order in which they were made."""

    item: ItemName
    annotator: str
    role: str
    state: str
    changes: tuple[LabelChange, ...]

    @property
    def labelling(self) -> tuple[LabelChange, ...]:
        """The changes that set or clear a label."""
        return tuple(change for change in self.changes if change.field not in SLOT_FIELDS)

    @property
    def current(self) -> dict[tuple[int, str], LabelChange]:
        """The latest change of each label that is set, by step number and field."""
        latest = {(change.number, change.field): change for change in self.labelling}
        return {place: change for place, change in latest.items() if change.value not in UNSET}

    @property
    def seconds(self) -> float:
        """The active time that submitting gave, the latest one; 0 where none is known."""
        return next((change.seconds for change in reversed(self.changes) if change.seconds is not None), 0.0)

    @property
    def ended(self) -> datetime.datetime | None:
        """When the person last changed something."""
        return self.changes[-1].at if self.changes else None


@dataclass(frozen=True)
class StepWords:
    """The line of a step, with its ability."""

    number: int
    ability: str
    text: str


@dataclass(frozen=True)
class ChainWords:
    """What an item's chain says, and what it was asked."""

    problem: str
    gold: str
    answer: str | None
    steps: tuple[StepWords, ...]


@dataclass(frozen=True)
class LabelFile:
    """All that a project holds. `words` are missing for a chain whose run is not stored."""

    project: ProjectSettings
    items: tuple[ItemName, ...]
    shares: tuple[Share, ...]
    words: dict[tuple[str, str], ChainWords]

    def ability_of(self, item: ItemName, number: int, field: str) -> str:
        """The ability of a place: that of the step, or of the verdict on the whole chain; "" where there is none."""
        if number:
            words = self.words.get(item.chain)
            return next((step.ability for step in words.steps if step.number == number), "") if words else ""
        asked = self.project.rubric.get("chain", ())
        return next((verdict.get("ability") or "" for verdict in asked if verdict["name"] == field), "")


@dataclass(frozen=True)
class Problem:
    """A line of a file (from 1) that did not fit, wholly or in part, and why."""

    line: int
    reason: str

    def __str__(self) -> str:
        """The line and the reason, for a report."""
        return f"line {self.line}: {self.reason}"


def nothing_to_import(problems: Sequence[Problem]) -> UserError:
    """What to raise where no line of a file is a label that can come in."""
    if not problems:
        return UserError("nothing in it can be imported: it holds no labels; an export of labels has them")
    first = min(problems, key=lambda problem: problem.line)
    told = "the fault" if len(problems) == 1 else f"the first of {len(problems):,} faults"
    return UserError(f"nothing in it can be imported; {told}: {one_line(str(first), _LONGEST_FAULT)}")


VOID = "none of this person's labels of the item fits: it is left out"
"""Why a share is left out that would be taken for submitted without a label."""


@dataclass(frozen=True)
class ReadShare:
    """A share as a file gives it, at its line, with that of each change; `texts` are the step lines if it has them."""

    project: str
    share: Share
    line: int
    lines: tuple[int, ...]
    texts: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ForeignShare:
    """A line of PRM800K's shape that another tool wrote: it names its chain by the words of question and steps.

    `ratings` are those of the first steps, None where a step was not rated.
    """

    line: int
    problem: str
    texts: tuple[str, ...]
    ratings: tuple[float | None, ...]
    annotator: str
    at: datetime.datetime
    state: State
    seconds: float | None


@dataclass(frozen=True)
class ReadLabels:
    """What a file of labels holds; `projects` are the settings it gives, `items` the items with their line, by name."""

    shares: tuple[ReadShare, ...]
    projects: dict[str, ProjectSettings]
    items: dict[str, tuple[tuple[int, ItemName], ...]]
    problems: tuple[Problem, ...]
    foreign: tuple[ForeignShare, ...] = ()


def in_order(changes: Iterable[LabelChange]) -> tuple[LabelChange, ...]:
    """Changes by time; those of one moment stay in their order."""
    return tuple(sorted(changes, key=lambda change: change.at))
