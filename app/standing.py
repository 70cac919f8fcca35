"""How a labelling project stands: its people, their control accuracy, agreement as it forms, and what is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from db.annotation_views import ItemRow, LabelRow, ProgressRow, ProjectRow
from db.queries_annotations import item_rows, labels
from db.queries_progress import progress
from db.queries_texts import Database
from evaluators.agreement import Agreement, krippendorff_alpha, raw_agreement
from evaluators.label_rubric import LabelRubric, parse_label_rubric
from evaluators.people import GivenLabel, Proportion, control_accuracy, ratings_of


@dataclass(frozen=True)
class Agreed:
    """How far people agree on a verdict."""

    verdict: str
    raw: Agreement
    alpha: Agreement


@dataclass(frozen=True)
class Standing:
    """People's progress, their share of right labels on controls, and agreement by verdict (two people or more)."""

    people: tuple[ProgressRow, ...]
    accuracy: dict[str, Proportion]
    agreed: tuple[Agreed, ...]


def given_labels(rows: Sequence[LabelRow], rubric: LabelRubric) -> tuple[GivenLabel, ...]:
    """Current verdicts as the measures of agreement take them; tags and comments are none."""
    names = {verdict.name for verdict in rubric.verdicts}
    return tuple(
        given_label(row, row.field, float(row.value))
        for row in rows
        if row.field in names and isinstance(row.value, int | float)
    )


def given_label(row: LabelRow, field: str, value: float, ability: str = "") -> GivenLabel:
    """A label as the measures of agreement take it: questions of two worlds may share a key, so their id tells them."""
    return GivenLabel(
        item=row.item_id,
        question=str(row.question_id),
        number=row.number,
        field=field,
        value=value,
        annotator=row.annotator,
        role=row.role,
        ability=ability,
    )


def references_of(items: Sequence[ItemRow]) -> dict[int, dict[tuple[int, str], float]]:
    """The known labels of the control items, by item."""
    return {
        item.id: {
            (int(number), name): float(value)
            for place, value in item.reference.items()
            for number, _, name in (place.partition("/"),)
        }
        for item in items
        if item.control
    }


def control_shares(engine: Database, project: ProjectRow, given: Sequence[GivenLabel]) -> dict[str, Proportion]:
    """Each person's share of right labels on the control items; nothing where the project has none."""
    return control_accuracy(given, references_of(item_rows(engine, project.id))) if project.controls else {}


def standing(engine: Database, project: ProjectRow) -> Standing:
    """How a project stands by what was submitted."""
    rubric = parse_label_rubric(project.rubric)
    given = given_labels(labels(engine, project.id), rubric)
    rated = {verdict.name: ratings_of(given, verdict.name) for verdict in rubric.verdicts}
    return Standing(
        people=progress(engine, project.id),
        accuracy=control_shares(engine, project, given),
        agreed=tuple(
            Agreed(name, raw_agreement(ratings), krippendorff_alpha(ratings, rubric.level(name)))
            for name, ratings in rated.items()
            if len(ratings) > 1
        ),
    )


def left(project: ProjectRow) -> int:
    """How many slots of items are still to be submitted."""
    return max(0, project.items * project.overlap - project.submitted)


def seconds_left(project: ProjectRow, people: Sequence[ProgressRow]) -> float | None:
    """Active seconds for what is left at the mean pace so far; None while no pace is known."""
    seconds, timed = sum(row.seconds for row in people), sum(row.timed for row in people)
    return left(project) * seconds / timed if seconds and timed else None
