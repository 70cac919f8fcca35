"""The frozen records of labelling: what the functions of `annotations` and `queries_annotations` take and hand out."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any, Final, Literal

LABEL: Final = "label"
ADJUDICATE: Final = "adjudicate"
"""Roles: one of the people who label an item, or the one who decides where they differ."""

HELD, SUBMITTED, SKIPPED, RELEASED = "held", "submitted", "skipped", "released"
"""States of a slot: being worked on, done, left out by the person, or taken back."""

SUBMIT, SKIP, REOPEN = "submit", "skip", "reopen"
"""Fields of changes that say where a person stands with an item, and label nothing."""

TAGS, COMMENT = "tags", "comment"
"""Fields that are no verdicts."""

UNSET: Final[tuple[Any, ...]] = (None, "", (), [])
"""Values of a label that is not set, whether read from the database or from a file."""

LARGEST_OVERLAP: Final = 2**31 - 1
LARGEST_SEED: Final = 2**63 - 1
"""The largest numbers that every database stores there; a seed may be as far below 0."""

Role = Literal["label", "adjudicate"]
Value = float | str | tuple[str, ...] | None


@dataclasses.dataclass(frozen=True)
class NewItem:
    """A chain to be labelled. A control item has `reference` labels by "number/field" (number 0: the whole chain)."""

    run_uid: str
    question_id: int
    control: bool = False
    reference: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class NewProject:
    """A project to create: the snapshot of its rubric, how its items were drawn, and the items in their order."""

    name: str
    rubric: dict[str, Any]
    blind: bool
    overlap: int
    seed: int
    sample: dict[str, Any]
    items: tuple[NewItem, ...]


@dataclasses.dataclass(frozen=True)
class ProjectRow:
    """A project. `items` are those that are no controls, `submitted` the slots of them that were submitted.

    `disputed` items have a verdict on which submitted labels differ and nobody decided.
    """

    id: int
    name: str
    rubric: dict[str, Any]
    blind: bool
    overlap: int
    seed: int
    sample: dict[str, Any]
    created: datetime.datetime
    closed: bool
    items: int
    controls: int
    submitted: int
    people: int
    disputed: int


@dataclasses.dataclass(frozen=True)
class Change:
    """A label set or cleared, or a slot submitted, skipped or reopened.

    `uid` is made by whoever makes the change: the same one sent twice is stored once. `number` is the step, 0 the whole
    chain. `seconds` of active work on the item come with its submission.
    """

    uid: str
    item_id: int
    number: int
    field: str
    value: Value
    seconds: float | None = None


@dataclasses.dataclass(frozen=True)
class Recorded:
    """The uids that are stored (now or before), and those that were refused with the reason."""

    stored: tuple[str, ...]
    refused: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Slot:
    """One person's share of an item."""

    item_id: int
    state: str
    position: int


@dataclasses.dataclass(frozen=True)
class LabelRow:
    """A label as it is now; `state` is that of the slot it was given in."""

    item_id: int
    run_uid: str
    question_id: int
    question_key: str
    number: int
    field: str
    value: Value
    annotator: str
    role: str
    state: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True)
class HistoryRow:
    """A change as it was made."""

    uid: str
    item_id: int
    run_uid: str
    question_id: int
    question_key: str
    number: int
    field: str
    value: Value
    annotator: str
    role: str
    at: datetime.datetime
    seconds: float | None


@dataclasses.dataclass(frozen=True)
class ItemRow:
    """An item; `run_id` is None where its run is not stored. `held` and `submitted` count slots of the people."""

    id: int
    project_id: int
    position: int
    run_uid: str
    run_id: int | None
    question_id: int
    question_key: str
    dataset: str
    control: bool
    reference: dict[str, Any]
    held: int
    submitted: int


@dataclasses.dataclass(frozen=True)
class ProgressRow:
    """How far a person is. `labels` were set on all items; `last` is any change.

    `seconds` are those of active work on the `timed` of the submitted items: of imported ones no time may be known.
    """

    annotator: str
    submitted: int
    skipped: int
    held: int
    labels: int
    timed: int
    seconds: float
    median_seconds: float | None
    last: datetime.datetime | None


@dataclasses.dataclass(frozen=True)
class ChainLabel:
    """A label of a person on a chain (`number` 0) or a step, as the chain's page shows it."""

    project: str
    annotator: str
    role: str
    number: int
    field: str
    value: Value
    at: datetime.datetime


@dataclasses.dataclass(frozen=True)
class RestoredSlot:
    """A slot that an import brings back; `at` is the last change in it, None where there is none."""

    item_id: int
    annotator: str
    role: str
    state: str
    at: datetime.datetime | None


@dataclasses.dataclass(frozen=True)
class Restored:
    """How many changes and slots an import added."""

    changes: int
    slots: int
