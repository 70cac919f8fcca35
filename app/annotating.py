"""What a person's keys come to: events of the workbench become changes, held against the project's rubric."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from app.label_checks import why_unfit
from app.label_records import LabelChange
from db.annotation_views import Change
from evaluators.label_rubric import LabelRubric
from steper_core.jsonl import explain

_MOST_EVENTS = 2_000
_ANY_STEP = 1_000_000
"""How many steps a chain has is known where changes are stored."""

_Seconds = Annotated[float, Field(ge=0, le=1e7)]


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    uid: str = Field(min_length=1, max_length=200)
    item: int = Field(ge=0, lt=2**31)
    number: int = Field(ge=0, lt=2**31)
    field: str = Field(min_length=1, max_length=100)
    value: Any = None
    seconds: _Seconds | None = None


_EVENT = TypeAdapter(_Event)


def read_events(queue: Any, rubric: LabelRubric) -> tuple[tuple[Change, ...], dict[str, str]]:
    """The changes in what a browser sent, and the uids of events that are none, each with the reason.

    What comes is a stranger's: an event without a usable uid cannot even be answered and is passed over.
    """
    events = queue.get("events") if isinstance(queue, dict) else None
    changes: list[Change] = []
    refused: dict[str, str] = {}
    for event in _as_list(events)[:_MOST_EVENTS]:
        uid = event.get("uid") if isinstance(event, dict) else None
        if not isinstance(uid, str):
            continue
        try:
            read = _EVENT.validate_python(event)
            label = LabelChange(
                uid=read.uid,
                number=read.number,
                field=read.field,
                value=read.value,
                at=datetime.datetime.now(datetime.UTC),
            )
        except ValidationError as error:
            refused[uid[:200]] = explain(error)
            continue
        reason = why_unfit(rubric, _ANY_STEP, label)
        if reason is None:
            changes.append(Change(read.uid, read.item, read.number, read.field, label.value, read.seconds))
        else:
            refused[read.uid] = reason
    return tuple(changes), refused


def _as_list(events: Any) -> Sequence[Any]:
    return events if isinstance(events, list) else ()
