"""What people said of a chain or a step, as the chain component shows it."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from app.plain import one_line, plain
from app.urls import href
from app.views.label_words import label_chip, readable
from db.annotation_views import ADJUDICATE, COMMENT, TAGS, ChainLabel
from evaluators.label_rubric import parse_label_rubric

_NAME = 40


@dataclasses.dataclass(frozen=True)
class ChainLabels:
    """Labels of a question's chains by run, and the snapshots of the rubrics they were given by, by project."""

    by_run: dict[int, tuple[ChainLabel, ...]]
    rubrics: dict[str, dict[str, Any]]


def labelled(labels: Iterable[ChainLabel], rubrics: Mapping[str, Mapping[str, Any]], step: int) -> list[dict[str, Any]]:
    """The labels of one step (0: of the whole chain), one entry a person and project."""
    given: defaultdict[tuple[str, str, str], dict[str, Any]] = defaultdict(dict)
    for label in labels:
        if label.number == step:
            given[label.project, label.role, label.annotator][label.field] = label.value
    return [_person(*whose, fields, rubrics[whose[0]]) for whose, fields in given.items() if whose[0] in rubrics]


def _person(
    project: str, role: str, annotator: str, fields: Mapping[str, Any], snapshot: Mapping[str, Any]
) -> dict[str, Any]:
    rubric = parse_label_rubric(snapshot)
    return {
        "who": one_line(annotator, _NAME),
        "project": one_line(project, _NAME),
        "href": href("annotate", {"project": [project], "view": ["progress"]}),
        "decided": role == ADJUDICATE,
        "labels": [
            {**label_chip(verdict, float(fields[verdict.name])), "title": readable(verdict.name)}
            for verdict in rubric.verdicts
            if isinstance(fields.get(verdict.name), int | float)
        ],
        "tags": [readable(tag) for tag in fields.get(TAGS, ())],
        "comment": plain(fields.get(COMMENT, "")),
    }
