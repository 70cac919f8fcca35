"""Rubrics: what a judge is asked, as versioned TOML files.

A rubric says what is judged (`scope`), in which words, and which labels a verdict may take; each label stands for a
number. Four come with the package; a file of one's own has the same keys, and an unknown key is an error that names the
nearest right one.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from evaluators.tables import VersionedTable, load_versioned
from steper_core.builtin_files import BuiltinFiles
from steper_core.records import Ability

Scope = Literal["chain", "step", "hops", "pair"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Words = Annotated[str, Field(min_length=1)]

RUBRICS = BuiltinFiles("rubric", "evaluators", "rubrics")

SQA = "sqa"
"""Share of the sub-questions that the rationale answers (StepER, SubQA)."""
RI = "ri"
"""1 if all sub-questions of a rightly answered question are answered, else 0 (StepER, SubQA)."""
CONSISTENCY = "consistency"
"""1 if both orders of a pair lead to the same preference, else 0."""

_LARGEST_LABEL = 1e6
_RESERVED = ("explanation", "tags", SQA, RI, CONSISTENCY)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Verdict(_Part):
    """One thing a judge decides: `asks` says what, `labels` the words it may answer with and what each is worth.

    With `ability` it is asked only of chains that have a step of that ability.
    """

    name: Name
    asks: Words
    labels: dict[Words, float] = Field(min_length=2)
    ability: Ability | None = None

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name in _RESERVED:
            raise ValueError(f"{name!r} is the name of something else; take another")
        return name

    @field_validator("labels")
    @classmethod
    def _finite(cls, labels: dict[str, float]) -> dict[str, float]:
        if not all(abs(value) <= _LARGEST_LABEL for value in labels.values()):
            raise ValueError(f"each label needs a number from {-_LARGEST_LABEL:g} to {_LARGEST_LABEL:g}")
        return labels


class Rubric(VersionedTable):
    """What a judge is asked.

    `scope`: "chain" and "step" ask all verdicts in one call a chain or a step; "hops" asks its one verdict of every
    gold sub-question in one call a chain and gives sqa and ri; "pair" asks which of two chains is better, in both
    orders. `show_gold` lets the judge read the accepted answers. `tags` are error marks it may give, with what they
    mean.
    """

    scope: Scope
    summary: Words
    instructions: Words
    show_gold: bool = False
    verdicts: tuple[Verdict, ...] = Field(min_length=1)
    tags: dict[Words, Words] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _verdicts_suit_the_scope(self) -> Rubric:
        names = [verdict.name for verdict in self.verdicts]
        if len(set(names)) < len(names):
            raise ValueError("two verdicts have one name")
        if self.scope in ("hops", "pair") and len(names) > 1:
            raise ValueError(f"a rubric of scope {self.scope!r} has one verdict")
        values = set(self.verdicts[0].labels.values())
        if self.scope == "pair" and values not in ({-1.0, 1.0}, {-1.0, 0.0, 1.0}):
            raise ValueError("the labels of a pair are worth 1 (the first is better), -1 (the second) and 0 (neither)")
        if self.scope == "hops" and not (min(values) == 0 and max(values) == 1):
            raise ValueError("the labels of a sub-question are worth 0 to 1")
        if self.scope != "chain" and any(verdict.ability for verdict in self.verdicts):
            raise ValueError("only a verdict on a whole chain can be tied to an ability")
        return self

    @property
    def figures(self) -> tuple[str, ...]:
        """What a chain, step or pair gets from this rubric; a score is named after the rubric and its figure."""
        if self.scope == "hops":
            return (SQA, RI)
        names = tuple(verdict.name for verdict in self.verdicts)
        return (*names, CONSISTENCY) if self.scope == "pair" else names

    def score_name(self, figure: str) -> str:
        """The name of the score that a figure becomes."""
        return f"{self.name}_{figure}"

    def is_share(self, figure: str) -> bool:
        """Whether a figure lies between 0 and 1, so that its mean reads as percent."""
        found = next((verdict for verdict in self.verdicts if verdict.name == figure), None)
        return found is None or (min(found.labels.values()) >= 0 and max(found.labels.values()) <= 1)


def load_rubric(name: str) -> Rubric:
    """Read a rubric by the name of a built-in one or by path.

    Raises:
        UserError: no such rubric, no TOML, an unknown key (with the nearest right one), a wrong value, or a file that
            says something else under a built-in rubric's name and version.
    """
    return load_versioned(RUBRICS, name, Rubric, Verdict, "scores")
