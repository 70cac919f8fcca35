"""Label rubrics: what people are asked of a step and of a chain, with the keys they answer by, as versioned TOML files.

A judge's rubric (`rubric`) asks one thing in one call; people go through a chain step by step, so theirs has verdicts
on steps, verdicts on the whole chain, and error tags in one file. Where a verdict has the name and the values of a
judge's, the two can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from evaluators.tables import VersionedTable, load_versioned
from steper_core.builtin_files import BuiltinFiles
from steper_core.errors import UserError
from steper_core.jsonl import explain
from steper_core.records import Ability, ScoreValue

LABEL_RUBRICS = BuiltinFiles("label rubric", "evaluators", "label_rubrics")

RESERVED_KEYS = frozenset("cujksp")
"""Keys that do something else: comment, undo, next, back, skip, passages."""

Key = Annotated[str, Field(pattern=r"^[a-z0-9]$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
Words = Annotated[str, Field(min_length=1)]
_RESERVED_NAMES = ("tags", "comment", "submit", "skip", "reopen")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Label(_Part):
    """One answer: the word for it, what it is worth, and the key that gives it."""

    name: Words
    value: ScoreValue
    key: Key


class LabelVerdict(_Part):
    """One thing a person decides. With `ability` it is asked only of chains that have a step of that ability."""

    name: Name
    asks: Words
    labels: tuple[Label, ...] = Field(min_length=2)
    ability: Ability | None = None

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name in _RESERVED_NAMES:
            raise ValueError(f"{name!r} is the name of something else; take another")
        return name

    @model_validator(mode="after")
    def _labels_differ(self) -> LabelVerdict:
        if len({label.value for label in self.labels}) < len(self.labels):
            raise ValueError("two labels are worth the same")
        if len({label.name for label in self.labels}) < len(self.labels):
            raise ValueError("two labels have one name")
        return self

    def label_of(self, value: float) -> Label | None:
        """The label of a value."""
        return next((label for label in self.labels if label.value == value), None)


class ErrorTag(_Part):
    """A mark for what is wrong with a step."""

    name: Name
    key: Key
    means: Words


class LabelRubric(VersionedTable):
    """What people are asked: verdicts on each step and on the whole chain, and error tags for steps."""

    summary: Words
    instructions: Words
    steps: tuple[LabelVerdict, ...] = ()
    chain: tuple[LabelVerdict, ...] = ()
    tags: tuple[ErrorTag, ...] = ()

    @model_validator(mode="after")
    def _fits_a_keyboard(self) -> LabelRubric:
        if not self.steps and not self.chain:
            raise ValueError("a rubric asks at least one verdict, of steps or of the chain")
        _distinct("verdict", [verdict.name for verdict in (*self.steps, *self.chain)])
        _distinct("tag", [tag.name for tag in self.tags])
        tag_keys = [tag.key for tag in self.tags]
        for place, verdicts, keys in (("steps", self.steps, tag_keys), ("chain", self.chain, [])):
            used = [*(label.key for verdict in verdicts for label in verdict.labels), *keys]
            taken = sorted(set(used) & RESERVED_KEYS)
            if taken:
                raise ValueError(f"{place}: the key {taken[0]!r} does something else (reserved: c u j k s p)")
            _distinct(f"{place}: key", used)
        return self

    @property
    def verdicts(self) -> tuple[LabelVerdict, ...]:
        """All verdicts, those on steps first."""
        return (*self.steps, *self.chain)

    def verdict(self, field: str) -> LabelVerdict | None:
        """The verdict of a name."""
        return next((verdict for verdict in self.verdicts if verdict.name == field), None)

    def level(self, field: str) -> Literal["nominal", "ordinal"]:
        """The scale of a verdict: more labels than two have an order; a tag is given or not."""
        verdict = self.verdict(field)
        return "ordinal" if verdict is not None and len(verdict.labels) > 2 else "nominal"


def load_label_rubric(name: str) -> LabelRubric:
    """Read a rubric by the name of a built-in one or by path.

    Raises:
        UserError: no such rubric, no TOML, an unknown key (with the nearest right one), a wrong value, or a file that
            says something else under a built-in rubric's name and version.
    """
    return load_versioned(LABEL_RUBRICS, name, LabelRubric, LabelVerdict, "labels")


def parse_label_rubric(data: Mapping[str, Any]) -> LabelRubric:
    """The rubric in the snapshot that a project keeps.

    Raises:
        UserError: it is none.
    """
    try:
        return LabelRubric.model_validate(dict(data))
    except ValidationError as error:
        raise UserError(f"what the project keeps as its rubric is none: {explain(error)}") from error


def _distinct(what: str, given: list[str]) -> None:
    twice = sorted({each for each in given if given.count(each) > 1})
    if twice:
        raise ValueError(f"{what} {twice[0]!r} stands twice")
