"""Label rubrics: those that come with the package, and what is wrong with a file is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluators.label_rubric import (
    LABEL_RUBRICS,
    RESERVED_KEYS,
    load_label_rubric,
    parse_label_rubric,
)
from evaluators.rubric import load_rubric
from steper_core.errors import UserError


@pytest.mark.parametrize("name", LABEL_RUBRICS.names())
def test_a_built_in_rubric_survives_as_a_snapshot(name: str) -> None:
    rubric = load_label_rubric(name)
    assert rubric.name == name
    assert parse_label_rubric(rubric.model_dump(mode="json")) == rubric


def test_people_and_judges_are_asked_for_the_same_values_and_tags() -> None:
    mine, judges = load_label_rubric("steps"), load_rubric("steps")
    (rating,) = judges.verdicts
    assert {label.name: label.value for label in mine.steps[0].labels} == rating.labels
    assert {tag.name: tag.means for tag in mine.tags} == judges.tags
    abilities = load_rubric("abilities")
    for own, other in zip(load_label_rubric("abilities").chain, abilities.verdicts, strict=True):
        assert (own.name, own.ability) == (other.name, other.ability)
        assert {label.name: label.value for label in own.labels} == other.labels


def test_labels_are_found_by_value_and_verdicts_by_name() -> None:
    rubric = load_label_rubric("steps")
    rating = rubric.verdict("rating")
    assert rating is not None and [rating.label_of(value) for value in (-1.0, 7.0)] == [rating.labels[0], None]
    assert rubric.verdict("nothing") is None
    assert (rubric.level("rating"), load_label_rubric("abilities").level("expansion")) == ("ordinal", "nominal")
    assert {label.key for verdict in rubric.verdicts for label in verdict.labels}.isdisjoint(RESERVED_KEYS)


def own_file(tmp_path: Path, old: str, new: str) -> str:
    text = LABEL_RUBRICS.text("steps").replace('name = "steps"', 'name = "mine"')
    assert old in text
    file = tmp_path / "mine.toml"
    file.write_text(text.replace(old, new, 1))
    return str(file)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('key = "q"', 'key = "w"', "steps: key 'w' stands twice"),
        ('key = "q"', 'key = "u"', "the key 'u' does something else"),
        ('key = "q"', 'key = "?"', "tags.0.key"),
        ('name = "rating"', 'name = "tags"', "'tags' is the name of something else"),
        ('name = "verdict"', 'name = "rating"', "verdict 'rating' stands twice"),
        ("value = 0,", "value = 1,", "two labels are worth the same"),
        ('name = "neutral"', 'name = "good"', "two labels have one name"),
        ("value = 0,", "value = nan,", "value"),
        ("asks =", "ask =", "did you mean 'asks'?"),
        ('name = "mine"', 'name = "steps"', "a built-in label rubric is named 'steps'"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    if said.startswith("a built-in"):
        file = own_file(tmp_path, 'key = "q"', 'key = "z"')
        Path(file).write_text(Path(file).read_text().replace(old, new))
    else:
        file = own_file(tmp_path, old, new)
    with pytest.raises(UserError, match=r"mine\.toml") as error:
        load_label_rubric(file)
    assert said in str(error.value)


def test_an_unknown_name_and_a_broken_snapshot_are_errors() -> None:
    with pytest.raises(UserError, match="built-in label rubric \\(abilities, steps\\)"):
        load_label_rubric("nothing")
    with pytest.raises(UserError, match="keeps as its rubric is none"):
        parse_label_rubric({"name": "x"})
