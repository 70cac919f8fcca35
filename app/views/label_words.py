"""Labels as every page shows them: the word of a value with its glyph and tone, the names of verdicts and tags."""

from __future__ import annotations

from typing import Any

from app.plain import one_line
from app.tokens import RIGHT, WRONG
from evaluators.label_rubric import LabelRubric, LabelVerdict

MIDDLE = "○"
"""Glyph of a label that is neither the best nor the worst."""

_NAME = 60


def label_chip(verdict: LabelVerdict, value: float) -> dict[str, str]:
    """Word, glyph and tone of a value; a value that the verdict does not know is shown as the number it is."""
    label = verdict.label_of(value)
    values = [each.value for each in verdict.labels]
    best, worst = value == max(values), value == min(values)
    return {
        "name": one_line(label.name, _NAME) if label else f"{value:g}",
        "glyph": RIGHT if best else WRONG if worst else MIDDLE,
        "tone": "good" if best else "bad" if worst else "grey",
    }


def readable(name: str) -> str:
    """The name of a verdict or tag in words."""
    return one_line(name.replace("_", " "), _NAME)


def rubric_data(rubric: LabelRubric) -> dict[str, Any]:
    """A rubric as the workbench takes it."""
    return {
        "instructions": rubric.instructions.strip(),
        "steps": [_verdict(verdict) for verdict in rubric.steps],
        "chain": [_verdict(verdict) for verdict in rubric.chain],
        "tags": [
            {"name": tag.name, "title": readable(tag.name), "key": tag.key, "means": tag.means} for tag in rubric.tags
        ],
    }


def _verdict(verdict: LabelVerdict) -> dict[str, Any]:
    return {
        "name": verdict.name,
        "title": readable(verdict.name),
        "asks": verdict.asks,
        "ability": verdict.ability,
        "labels": [
            {**label_chip(verdict, label.value), "value": label.value, "key": label.key} for label in verdict.labels
        ],
    }
