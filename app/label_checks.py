"""Whether a change suits a rubric and the chain it is on: what a file gives is held against both before it comes in."""

from __future__ import annotations

from app.label_records import SLOT_FIELDS, LabelChange
from db.annotation_views import COMMENT, TAGS
from db.clean import clean
from evaluators.label_rubric import LabelRubric

LONGEST_COMMENT = 20_000
LONGEST_NAME = 60


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
    verdicts = rubric.steps if change.number else rubric.chain
    verdict = next((each for each in verdicts if each.name == field), None)
    if verdict is None:
        known = ", ".join([*(each.name for each in verdicts), TAGS, COMMENT])
        return f"unknown field {field!r} of {'a step' if change.number else 'the whole chain'}; there are {known}"
    if value is None or (isinstance(value, float) and verdict.label_of(value) is not None):
        return None
    return f"unknown value {value!r} of {field}; there are {', '.join(f'{label.value:g}' for label in verdict.labels)}"


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
