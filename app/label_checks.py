"""Whether a change suits a rubric and the chain it is on: what a file gives is held against both before it comes in."""

from __future__ import annotations

import re

from app.label_records import SLOT_FIELDS, LabelChange
from db.annotation_views import COMMENT, TAGS
from db.clean import clean
from evaluators.label_rubric import LabelRubric, LabelVerdict

LONGEST_COMMENT = 20_000
LONGEST_NAME = 60
_PLACE = re.compile(r"(0|[1-9]\d{0,8})/(.+)", re.ASCII)
"""Where a known label stands: the step (0: the whole chain) and the verdict."""


def person_of(name: str) -> str | None:
    """A person's name as it is stored; None if it is none."""
    stored = " ".join(clean(name).split())
    return stored if 0 < len(stored) <= LONGEST_NAME else None


def why_unfit(rubric: LabelRubric, steps: int, change: LabelChange) -> str | None:
    """Why a change cannot be a label of a chain of so many steps; None if it can. Empty values clear a label."""
    if clean(change.uid) != change.uid:
        return "the uid holds characters that cannot be stored"
    if change.number > steps:
        return f"step {change.number} of a chain of {steps}"
    field, value = change.field, change.value
    if field in SLOT_FIELDS:
        return f"{field} is of the whole item, not of step {change.number}" if change.number else None
    if field == COMMENT:
        return _unfit_comment(value)
    if field == TAGS:
        return _unfit_tags(rubric, value)
    verdict = _verdict(rubric, change.number, field)
    if verdict is None:
        return _unknown_field(rubric, change.number, field, TAGS, COMMENT)
    return None if value is None else _unfit_value(verdict, value)


def why_unknown(rubric: LabelRubric, steps: int, place: str, value: object) -> str | None:
    """Why `value` cannot be the known label of a control item at a place ("2/rating"); None if it can."""
    told = _PLACE.fullmatch(place)
    if told is None:
        return 'a known label reads "2/rating": -1 (0: the whole chain)'
    number, field = int(told[1]), told[2]
    if number > steps:
        return f"step {number} of a chain of {steps}"
    verdict = _verdict(rubric, number, field)
    return _unknown_field(rubric, number, field) if verdict is None else _unfit_value(verdict, value)


def _verdict(rubric: LabelRubric, number: int, field: str) -> LabelVerdict | None:
    return next((each for each in _asked(rubric, number) if each.name == field), None)


def _asked(rubric: LabelRubric, number: int) -> tuple[LabelVerdict, ...]:
    return rubric.steps if number else rubric.chain


def _unknown_field(rubric: LabelRubric, number: int, field: str, *others: str) -> str:
    known = ", ".join([*(each.name for each in _asked(rubric, number)), *others]) or "none"
    return f"unknown field {field!r} of {'a step' if number else 'the whole chain'}; there are {known}"


def _unfit_value(verdict: LabelVerdict, value: object) -> str | None:
    # True would be found as the label 1.
    if isinstance(value, int | float) and not isinstance(value, bool) and verdict.label_of(value) is not None:
        return None
    known = ", ".join(f"{label.value:g}" for label in verdict.labels)
    return f"unknown value {value!r} of {verdict.name}; there are {known}"


def _unfit_comment(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        return "a comment is a text"
    long = len(value) > LONGEST_COMMENT
    return f"a comment of {len(value):,} characters; {LONGEST_COMMENT:,} are the most" if long else None


def _unfit_tags(rubric: LabelRubric, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, tuple):
        return "tags are a list"
    unknown = sorted(set(value) - {tag.name for tag in rubric.tags})
    return f"unknown tag {unknown[0]!r}" if unknown else None
