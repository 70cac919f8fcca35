"""People's labels of steps as a filter of training data: what `steper collect --labels` holds chains against."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.plain import one_line
from steper_core.digests import digest_of
from steper_core.errors import UserError
from steper_core.jsonl import explain
from steper_core.records import Chain, Question
from steper_core.teaching import KeepRule

_HINT = "`steper annotate export PROJECT --steps --out FILE` writes what is needed here"
_Place = tuple[str, str, int, str]
"""Dataset, question key, step number, the step's line."""


class StepLabel(BaseModel):
    """What people say of one step: `verdicts` by name, whether it may be learned from, and how that was settled."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    run_uid: str = ""
    dataset: str
    question_id: str
    step: int = Field(ge=1)
    rationale: str
    verdicts: dict[str, float] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()
    kept: bool
    by: Literal["adjudicated", "majority", "single"] = "single"
    people: int = Field(1, ge=1)

    @property
    def place(self) -> _Place:
        """What the label is about, in whatever run it occurs."""
        return self.dataset, self.question_id, self.step, self.rationale


@dataclass(frozen=True)
class StepFilter:
    """Labels of steps, held against chains. Of two labels of one place the one that rejects it counts."""

    labels: tuple[StepLabel, ...]

    @cached_property
    def _by_place(self) -> dict[_Place, StepLabel]:
        return {label.place: label for label in sorted(self.labels, key=lambda label: (not label.kept, label.tags))}

    @property
    def digest(self) -> str:
        """A digest of what the labels decide; their order does not matter."""
        decided = sorted([*label.place, label.kept, *label.tags] for label in self._by_place.values())
        return digest_of({"labels": decided})

    def rejection(self, question: Question, chain: Chain) -> str | None:
        """The first step of the chain that people rejected, in words; None if there is none."""
        for place in _places(question, chain):
            label = self._by_place.get(place)
            if label and not label.kept:
                tags = one_line(", ".join(label.tags))
                return f"step {label.step} rejected by people" + (f" ({tags})" if tags else "")
        return None

    def matching(self, chains: Iterable[tuple[Question, Chain]]) -> int:
        """How many labelled places occur in these chains."""
        met = {place for question, chain in chains for place in _places(question, chain)}
        return len(met & self._by_place.keys())

    @property
    def places(self) -> int:
        """How many steps are labelled."""
        return len(self._by_place)


def _places(question: Question, chain: Chain) -> list[_Place]:
    return [(question.dataset, question.id, step.number, step.rationale) for step in chain.steps]


def with_labels(keep: KeepRule, labels: StepFilter) -> KeepRule:
    """A rule that also leaves out every chain with a step that people rejected."""

    def rule(question: Question, chain: Chain) -> str | None:
        return keep(question, chain) or labels.rejection(question, chain)

    return rule


def read_step_labels(path: Path) -> StepFilter:
    """Read a file that `steper annotate export --steps` wrote.

    Raises:
        UserError: it cannot be read, a line is at fault (a filter must not lose a rejection), or it has no label.
    """
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text ({error})") from error
    labels: list[StepLabel] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                labels.append(StepLabel.model_validate_json(line))
            except ValidationError as error:
                raise UserError(f"{path}, line {number}: {explain(error)}; {_HINT}") from error
    if not labels:
        raise UserError(f"{path} holds no labels; {_HINT}")
    return StepFilter(tuple(labels))
