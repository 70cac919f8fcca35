"""People's labels of steps as training data: JSON lines that `steper collect --labels` takes as a filter.

One line a step that people agree on: the adjudicated label, else the majority of submitted ones. The first step verdict
of the rubric decides: values below 0 reject a step, and where the verdict has none below 0 its lowest value does.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.label_records import LabelFile, Share
from app.step_filter import StepLabel
from db.annotation_views import ADJUDICATE
from evaluators.label_rubric import LabelVerdict, parse_label_rubric
from evaluators.people import GivenLabel, resolve
from steper_core.errors import UserError


@dataclass(frozen=True)
class StepData:
    """Labels of steps, and how many rated steps are left out because people differ."""

    labels: tuple[StepLabel, ...]
    undecided: int

    def lines(self) -> str:
        """The file."""
        return "".join(json.dumps(label.model_dump(mode="json"), ensure_ascii=False) + "\n" for label in self.labels)


def rejecting(verdict: LabelVerdict) -> frozenset[float]:
    """The values that keep a step out of training: those below 0, or else the lowest."""
    values = [label.value for label in verdict.labels]
    return frozenset(value for value in values if value < 0) or frozenset({min(values)})


def step_data(labels: LabelFile) -> StepData:
    """The labelled steps of a project, by item and step.

    Raises:
        UserError: the project's rubric asks nothing of steps.
    """
    verdicts = parse_label_rubric(labels.project.rubric).steps
    if not verdicts:
        raise UserError(f"the rubric of {labels.project.name!r} asks nothing of steps; there is no step data to write")
    deciding, bad = verdicts[0].name, rejecting(verdicts[0])
    by_chain: dict[tuple[str, str], list[Share]] = {}
    for share in labels.shares:
        if share.state == "submitted":
            by_chain.setdefault(share.item.chain, []).append(share)
    found: list[StepLabel] = []
    undecided = 0
    for chain, shares in by_chain.items():
        words = labels.words.get(chain)
        decided = resolve(_given(shares, {verdict.name for verdict in verdicts}))
        for step in words.steps if words else ():
            raters = [share for share in shares if (step.number, deciding) in share.current]
            value = decided.get((0, step.number, deciding))
            if value is None:
                undecided += bool(raters)
                continue
            found.append(
                StepLabel(
                    run_uid=chain[0],
                    dataset=shares[0].item.dataset,
                    question_id=chain[1],
                    step=step.number,
                    rationale=step.text,
                    verdicts={name: each for (_, number, name), each in decided.items() if number == step.number},
                    tags=_tags(raters, step.number),
                    kept=value not in bad,
                    by=_settled_by(raters),
                    people=len({share.annotator for share in raters}),
                )
            )
    return StepData(tuple(found), undecided)


def _given(shares: Sequence[Share], names: set[str]) -> list[GivenLabel]:
    return [
        GivenLabel(
            item=0,
            question=share.item.question,
            number=number,
            field=field,
            value=change.value,
            annotator=share.annotator,
            role=share.role,
        )
        for share in shares
        for (number, field), change in share.current.items()
        if number and field in names and isinstance(change.value, float)
    ]


def _settled_by(raters: Sequence[Share]) -> Literal["adjudicated", "majority", "single"]:
    if any(share.role == ADJUDICATE for share in raters):
        return "adjudicated"
    return "single" if len(raters) == 1 else "majority"


def _tags(raters: Sequence[Share], number: int) -> tuple[str, ...]:
    """The tags that the adjudicator settled, else those that more than half of the others gave.

    An adjudicator decides what people differ on and starts from a blank card: to touch no tag is to decide none.
    """
    settled = [share for share in raters if share.role == ADJUDICATE and (number, "tags") in share.current]
    deciding = settled or [share for share in raters if share.role != ADJUDICATE]
    counts: Counter[str] = Counter()
    for share in deciding:
        change = share.current.get((number, "tags"))
        counts.update(change.value if change and isinstance(change.value, tuple) else ())
    return tuple(sorted(tag for tag, count in counts.items() if 2 * count > len(deciding)))
