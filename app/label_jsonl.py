"""Labels as JSON lines shaped like PRM800K (Lightman et al. 2023), one line a person and item.

A line reads as in that dataset: labeler, timestamp, question, label.steps with one completion each. `finish_reason` is
"found_error" where a step of a submitted item is rated below 0, "solution" where none is, "give_up" where the item was
skipped, and null where the person has not finished it. Unlike there, steps after the first error are labelled too.

What the shape has no place for stands under the key "steper": the project with its rubric, which chain it is, role and
state, tags, comments, all verdicts, and the whole history. The first line lists all items of the project, so that a
file brings back those too that nobody has begun.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field, ValidationError, field_validator

from app.label_records import (
    MOST_SECONDS,
    FilePart,
    ForeignShare,
    ItemName,
    LabelChange,
    LabelFile,
    Number,
    Problem,
    ProjectSettings,
    ReadLabels,
    ReadShare,
    Share,
    State,
    in_order,
    in_utc,
)
from db.annotation_views import Role
from evaluators.label_rubric import parse_label_rubric
from steper_core.errors import UserError
from steper_core.jsonl import explain

_FINISH: Mapping[str, State] = {"solution": "submitted", "found_error": "submitted"}
"""What a foreign line's finish_reason says; every other one (give_up, bad_problem) is a skipped item."""


def write_jsonl(labels: LabelFile) -> Iterator[str]:
    """The lines of the file, each with its line break; none where nobody holds an item."""
    rating = _first_verdict(labels.project.rubric, "steps")
    for place, share in enumerate(labels.shares):
        row = _row(labels, share, rating)
        if place == 0:
            row["steper"]["items"] = [item.model_dump(mode="json") for item in labels.items]
        yield json.dumps(row, ensure_ascii=False) + "\n"


def _row(labels: LabelFile, share: Share, rating: str | None) -> dict[str, Any]:
    words = labels.words.get(share.item.chain)
    current = {place: change.value for place, change in share.current.items()}
    steps = words.steps if words else ()
    ratings = [current.get((step.number, rating or "")) for step in steps]
    return {
        "labeler": share.annotator,
        "timestamp": share.ended.isoformat() if share.ended else None,
        "generation": None,
        "is_quality_control_question": share.item.control,
        "is_initial_screening_question": False,
        "question": {
            "problem": words.problem if words else None,
            "ground_truth_answer": words.gold if words else None,
            "pre_generated_steps": [step.text for step in steps],
            "pre_generated_answer": words.answer if words else None,
            "pre_generated_verifier_score": None,
        },
        "label": {
            "steps": [
                {
                    "completions": [{"text": step.text, "rating": _whole(value), "flagged": None}],
                    "human_completion": None,
                    "chosen_completion": 0,
                }
                for step, value in zip(steps, ratings, strict=True)
            ],
            "total_time": round(share.seconds * 1000),
            "finish_reason": _finish_reason(share.state, ratings),
        },
        "steper": {
            "project": labels.project.model_dump(mode="json"),
            "item": share.item.model_dump(mode="json"),
            "words_known": words is not None,
            "role": share.role,
            "state": share.state,
            **_by_step(current),
            "history": [change.model_dump(mode="json") for change in share.changes],
        },
    }


def _by_step(current: Mapping[tuple[int, str], Any]) -> dict[str, Any]:
    """Current labels for readers: the chain's verdicts and comment, and those of each step with its tags."""
    steps: dict[str, dict[str, Any]] = {}
    chain: dict[str, Any] = {}
    for (number, field), value in sorted(current.items()):
        (steps.setdefault(str(number), {}) if number else chain)[field] = value
    return {"chain": chain, "steps": steps}


def _finish_reason(state: str, ratings: list[Any]) -> str | None:
    if state == "submitted":
        return "found_error" if any(isinstance(value, float) and value < 0 for value in ratings) else "solution"
    return "give_up" if state == "skipped" else None


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _first_verdict(rubric: Mapping[str, Any], part: str) -> str | None:
    return next((str(verdict["name"]) for verdict in rubric.get(part, ())), None)


class _Completion(FilePart):
    text: str
    rating: Number | None = None


class _Step(FilePart):
    completions: tuple[_Completion, ...] = ()
    chosen_completion: int | None = None


class _Label(FilePart):
    steps: tuple[_Step, ...]
    total_time: Number | None = Field(None, ge=0, le=MOST_SECONDS * 1000)
    finish_reason: str | None = None


class _Question(FilePart):
    problem: str | None
    pre_generated_steps: tuple[str, ...] | None = None


class _Own(FilePart):
    project: ProjectSettings
    item: ItemName
    words_known: bool = True
    role: Role
    state: State
    history: tuple[LabelChange, ...]
    items: tuple[ItemName, ...] = ()

    @field_validator("project")
    @classmethod
    def _can_be_asked(cls, project: ProjectSettings) -> ProjectSettings:
        try:
            parse_label_rubric(project.rubric)
        except UserError as error:
            raise ValueError(str(error)) from error
        return project


class _Line(FilePart):
    labeler: str
    timestamp: datetime.datetime | None = None
    question: _Question
    label: _Label
    steper: _Own | None = None


def read_jsonl(text: str) -> ReadLabels:
    """Read a file of such lines, our own and foreign ones; a line at fault is a problem and costs only itself."""
    shares: list[ReadShare] = []
    foreign: list[ForeignShare] = []
    projects: dict[str, ProjectSettings] = {}
    items: dict[str, tuple[tuple[int, ItemName], ...]] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = _Line.model_validate_json(line)
            if row.steper is None:
                foreign.append(_foreign(number, row))
                continue
        except (ValidationError, ValueError) as error:
            reason = explain(error) if isinstance(error, ValidationError) else str(error)
            problems.append(Problem(number, reason))
            continue
        own = row.steper
        projects.setdefault(own.project.name, own.project)
        items[own.project.name] = items.get(own.project.name, ()) + tuple((number, item) for item in own.items)
        share = Share(own.item, row.labeler, own.role, own.state, in_order(own.history))
        texts = tuple(step.completions[0].text for step in row.label.steps if step.completions)
        lines = (number,) * len(share.changes)
        shares.append(ReadShare(own.project.name, share, number, lines, texts if own.words_known else None))
    return ReadLabels(tuple(shares), projects, items, tuple(problems), tuple(foreign))


def _foreign(number: int, row: _Line) -> ForeignShare:
    if row.question.problem is None or row.timestamp is None:
        raise ValueError("neither a line of ours (no key 'steper') nor one with question.problem and timestamp")
    chosen = [_chosen(place, step) for place, step in enumerate(row.label.steps, start=1)]
    labelled = tuple(completion.text for completion in chosen)
    texts = row.question.pre_generated_steps or labelled
    if texts[: len(labelled)] != labelled:
        raise ValueError("the labelled steps are not the first of question.pre_generated_steps")
    at = in_utc(row.timestamp if row.timestamp.tzinfo else row.timestamp.replace(tzinfo=datetime.UTC))
    time = row.label.total_time
    return ForeignShare(
        line=number,
        problem=row.question.problem,
        texts=texts,
        ratings=tuple(completion.rating for completion in chosen),
        annotator=row.labeler,
        at=at,
        state=_FINISH.get(row.label.finish_reason or "", "skipped"),
        seconds=None if time is None else time / 1000,
    )


def _chosen(place: int, step: _Step) -> _Completion:
    chosen = step.chosen_completion
    if chosen is None and len(step.completions) == 1:
        chosen = 0
    if chosen is None or not 0 <= chosen < len(step.completions):
        raise ValueError(
            f"step {place} has no chosen completion (a step that a person wrote belongs to no stored chain)"
        )
    return step.completions[chosen]
