"""A recipe as text: all of it, and read again the same."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from steper_core.config import RECIPES, load_recipe
from steper_core.recipe_text import recipe_text

METHODS = ("answer-kd", "logit-kd", "feature-kd", "multitask-kd", "vanilla-kd", "steper")


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        *((name, ()) for name in RECIPES.names()),
        *(("demo", (f"train.method={method}",)) for method in METHODS),
        ("demo", ("train.weighting=fixed", "train.weights=[1, 2, 0.5]", "train.logits.temperature=3")),
        (
            "demo",
            ("teacher.backend=local", 'data.paths=["a \\"b\\" \\u007f ü.json"]', "train.features.layers=[[1, 2]]"),
        ),
    ],
)
def test_the_text_read_again_is_the_same_recipe(tmp_path: Path, name: str, overrides: tuple[str, ...]) -> None:
    recipe = load_recipe(name, overrides)
    file = tmp_path / "mine.toml"
    file.write_text(recipe_text(recipe), "utf-8")
    assert load_recipe(str(file)) == recipe


def test_every_setting_stands_in_it_and_a_default_behind_a_hash() -> None:
    text = recipe_text(load_recipe("files"))
    assert "\ntrain_questions = 200 " in text and "\n# max_steps = 5 " in text
    # Uncommented, every line but those without a value is a setting of the section it stands in.
    lines = [line.removeprefix("# ") for line in text.splitlines()]
    sections = tomllib.loads("\n".join(line for line in lines if not line.partition("#")[0].rstrip().endswith("=")))
    whole = load_recipe("files").model_dump(mode="json")
    empty = {key for key, value in whole["train"].items() if value is None}
    assert set(sections["train"]) == set(whole["train"]) - empty
    assert all(f"\n# {key} =" in text for key in empty)


def test_another_method_may_be_put_into_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(recipe_text(load_recipe("demo")).replace('method = "steper"', 'method = "vanilla-kd"'))
    assert load_recipe(str(file)).train.weighting == "uniform"
