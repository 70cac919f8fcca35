"""Studies: one question, put to several variants of a recipe, each trained with several seeds.

A study is a TOML file: a recipe, what all variants set, and the variants, listed one by one or spanned by a grid. It
says which table or figure of the paper it answers to, if any, and what it varies, so that a page can show it fittingly.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from steper_core.builtin_files import BuiltinFiles
from steper_core.config import Section, Seed, load_recipe, parse_toml
from steper_core.errors import UserError
from steper_core.run_records import StudyRef

STUDIES = BuiltinFiles("study", "steper_core", "studies")

Shows = Literal["methods", "ablation", "weighting", "scaling", "out-of-domain"]
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
_GRID_LINE = '"train.method" = ["vanilla-kd", "steper"]'


class Variant(Section):
    """One system of a study: what it sets beside the study's settings, and what its evaluation alone sets."""

    name: str = Field(pattern=_NAME)
    set: tuple[str, ...] = Field((), description="overrides like train.method=steper")
    evaluate: tuple[str, ...] = Field((), description="overrides of the evaluation alone")
    train: bool = Field(True, description="false: the student as it is, untrained")
    gold: bool = Field(False, description="the gold teacher instead of a student; needs train = false")
    student: str = Field("", description="evaluate the student that this other variant trains")


class Study(Section):
    """A study as its file says it, with the grid spanned."""

    name: str = Field(pattern=_NAME)
    title: str
    paper: str = Field("", description="the table or figure of the paper that asks the same")
    shows: Shows = "methods"
    recipe: str = "files"
    set: tuple[str, ...] = ()
    seeds: tuple[Seed, ...] = Field((0, 1, 2), min_length=1)
    variants: tuple[Variant, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> Study:
        names = [variant.name for variant in self.variants]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"two variants are named {twice!r}")
        wrong = next((variant.name for variant in self.variants if variant.gold and variant.train), None)
        if wrong:
            raise ValueError(f"variant {wrong!r} is the gold teacher, which is not trained: set train = false")
        for variant in self.variants:
            if variant.student:
                self._check_borrowed(variant)
        return self

    def _check_borrowed(self, variant: Variant) -> None:
        owner = next((other for other in self.variants if other.name == variant.student), None)
        if owner is None or owner.student or not owner.train:
            raise ValueError(f"variant {variant.name!r}: {variant.student!r} is no variant that trains a student")
        if variant.set or not variant.train:
            raise ValueError(
                f"variant {variant.name!r} evaluates the student of {owner.name!r}: it takes settings as evaluate, "
                "and neither set nor train = false"
            )

    def owner(self, variant: Variant) -> Variant:
        """The variant whose training gives a variant its student: itself, if it does not name another."""
        return next((other for other in self.variants if other.name == variant.student), variant)

    def reference(self, variant: Variant) -> StudyRef:
        """What a run of a variant says of the study it is part of."""
        place = self.variants.index(variant)
        return StudyRef(
            name=self.name, title=self.title, paper=self.paper, shows=self.shows, variant=variant.name, place=place
        )


def load_study(name: str, overrides: Iterable[str] = (), recipe: str | None = None) -> Study:
    """Read a study by the name of a built-in one or by path; overrides are set for all of its variants.

    A `recipe` takes the place of the study's own.

    Raises:
        UserError: no such study, no TOML, an unknown key, or settings of a variant that its recipe does not take.
    """
    source, text = STUDIES.read(name)
    values = parse_toml(source, text)
    try:
        spanned, listed = _spanned(values.pop("grid", {})), values.get("variants", [])
        # What is no list is left to the schema, which says so.
        values["variants"] = [*listed, *spanned] if isinstance(listed, list) else listed
        study = Study.model_validate(values)
    except ValueError as error:
        raise UserError(f"{source}: {_words(error)}") from error
    study = study.model_copy(update={"set": (*study.set, *overrides), "recipe": recipe or study.recipe})
    for variant in study.variants:
        if any(_sets_seeds(each) for each in (*study.set, *variant.set, *variant.evaluate)):
            raise UserError(
                f"{source}: a study trains with its own seeds, not train.seeds: write them as seeds = [...]"
            )
        try:
            load_recipe(study.recipe, (*study.set, *study.owner(variant).set, *variant.evaluate))
        except UserError as error:
            raise UserError(f"{source}, variant {variant.name}: {error}") from error
    return study


def _sets_seeds(override: str) -> bool:
    return override.partition("=")[0].strip() == "train.seeds"


def _spanned(grid: Any) -> list[dict[str, Any]]:
    """A variant for each combination of the grid's values: {"train.method": ["vanilla-kd", "steper"], ...}.

    Raises:
        ValueError: no such table, a value that no override can set, or combinations whose names are equal.
    """
    if not isinstance(grid, dict):
        raise ValueError(f"grid: write a table, with lines like {_GRID_LINE}")
    if not grid:
        return []
    sets: dict[str, list[str]] = {}
    for chosen in itertools.product(*(_axis(key, values) for key, values in grid.items())):
        name, own = "-".join(slug for slug, _ in chosen), [setting for _, setting in chosen]
        if name in sets:
            both = f"{' '.join(sets[name])} and {' '.join(own)}"
            raise ValueError(f"grid: {both} would both be named {name!r}: drop one, or list them as [[variants]]")
        sets[name] = own
    return [{"name": name, "set": own} for name, own in sets.items()]


def _axis(key: str, values: Any) -> list[tuple[str, str]]:
    """What each value of one setting adds to a name, and the override that sets it."""
    if not isinstance(values, list) or not values:
        raise ValueError(f"grid.{key}: write a list of values, like {_GRID_LINE}")
    try:
        return [(_slug(value), f"{key}={json.dumps(value)}") for value in values]
    except (TypeError, ValueError) as error:
        raise ValueError(f"grid.{key}: {error}") from error


def _slug(value: Any) -> str:
    text = ".".join(map(str, value)) if isinstance(value, list) else str(value)
    return "".join(letter if letter.isalnum() or letter in "._" else "-" for letter in text).strip("-._") or "none"


def _words(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    fault = error.errors()[0]
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"unknown key {place!r}; a study has {', '.join(Study.model_fields)}, grid"
    words = fault["msg"].removeprefix("Value error, ")
    return f"{place}: {words}" if place else words
