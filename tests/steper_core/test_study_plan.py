"""Studies as files: variants one by one and by a grid, and mistakes told with their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from steper_core.config import RECIPES, load_recipe
from steper_core.errors import UserError
from steper_core.study_plan import STUDIES, load_study

TRAINED = "[[variants]]\nname = 'a'\n"
HEAD = 'name = "mine"\ntitle = "Mine"\nrecipe = "demo"\n'


def written(folder: Path, text: str) -> str:
    file = folder / "mine.toml"
    file.write_text(HEAD + text)
    return str(file)


def test_variants_stand_one_by_one_and_by_a_grid(tmp_path: Path) -> None:
    text = """
    set = ["train.epochs=1"]
    seeds = [4, 5]
    [[variants]]
    name = "base"
    train = false
    [grid]
    "train.method" = ["vanilla-kd", "steper"]
    "data.train_questions" = [100, 200]
    """
    study = load_study(written(tmp_path, text), ["train.learning_rate=0.001"])
    names = ["base", "vanilla-kd-100", "vanilla-kd-200", "steper-100", "steper-200"]
    assert [variant.name for variant in study.variants] == names
    assert study.seeds == (4, 5)
    last = study.variants[-1]
    recipe = load_recipe(study.recipe, (*study.set, *last.set))
    assert (recipe.train.method, recipe.data.train_questions) == ("steper", 200)
    assert (recipe.train.epochs, recipe.train.learning_rate) == (1, 0.001)
    reference = study.reference(last)
    assert (reference.name, reference.variant, reference.place) == ("mine", "steper-200", 4)


def test_a_grid_over_lists_has_readable_names(tmp_path: Path) -> None:
    text = """
    [grid]
    "train.abilities" = [["aggregation"], ["initialization", "aggregation"]]
    """
    found = load_study(written(tmp_path, text)).variants
    assert [variant.name for variant in found] == ["aggregation", "initialization.aggregation"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "variants: "),
        ("[[variants]]\nname = 'a'\n[[variants]]\nname = 'a'\n", "two variants are named 'a'"),
        ("[[variants]]\nname = '../a'\n", "variants.0.name"),
        ("[[variants]]\nname = 'a'\ngold = true\n", "set train = false"),
        ("[[variants]]\nname = 'a'\nset = ['train.metod=steper']\n", "variant a: recipe demo: unknown key"),
        (f"set = ['train.seeds=[7]']\n{TRAINED}", "a study trains with its own seeds"),
        ("[[variants]]\nname = 'a'\nsets = []\n", "unknown key 'variants.0.sets'"),
        ("[[variants]\n", "line 4"),
        ("[[variants]]\nname = 'a'\nstudent = 'b'\n", "'b' is no variant that trains a student"),
        (f"{TRAINED}student = 'b'\n[[variants]]\nname = 'b'\nstudent = 'a'\n", "is no variant that trains a student"),
        (f"{TRAINED}[[variants]]\nname = 'b'\nstudent = 'a'\nset = ['seed=1']\n", "takes settings as evaluate"),
        ("seeds = []\n[[variants]]\nname = 'a'\n", "seeds: "),
        (f"seeds = [4294967296]\n{TRAINED}", "seeds.0: Input should be less than or equal to 4294967295"),
        (f"seeds = [{'9' * 5000}]\n{TRAINED}", "limit (4300 digits)"),
        (f"seeds = {'[' * 5000}{']' * 5000}\n{TRAINED}", "nested too deeply"),
        ("variants = 5\n", "variants: "),
        ("grid = [1, 2]\n", "grid: write a table"),
        ("grid = 'x'\n", "grid: write a table"),
        ("[grid]\n'train.method' = 'steper'\n", "grid.train.method: write a list of values"),
        ("[grid]\n'train.epochs' = 3\n", "grid.train.epochs: write a list of values"),
        ("[grid]\n'train.epochs' = []\n", "grid.train.epochs: write a list of values"),
        ("[grid]\ntrain.method = ['steper']\n", 'grid.train: write a list of values, like "train.method" = ['),
        ("[grid]\n'train.epochs' = [2020-01-01]\n", "grid.train.epochs: Object of type date"),
        ("[grid]\nseed = [-1, 1]\n", "grid: seed=-1 and seed=1 would both be named '1'"),
        ("[grid]\n'student.model' = ['a/b', 'a-b']\n", "would both be named 'a-b': drop one, or list them"),
        ("[[variants]]\nname = '1'\n[grid]\nseed = [1]\n", "two variants are named '1'"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        load_study(written(tmp_path, text))
    assert words in str(caught.value) and "mine.toml" in str(caught.value)


def test_a_variant_may_evaluate_the_student_of_another(tmp_path: Path) -> None:
    text = (
        "[[variants]]\nname = 'a'\nset = ['seed=3']\n[[variants]]\nname = 'b'\nstudent = 'a'\nevaluate = ['seed=4']\n"
    )
    study = load_study(written(tmp_path, text))
    own, borrowed = study.variants
    assert study.owner(own) == study.owner(borrowed) == own


def test_a_recipe_that_no_file_can_be_named_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(f"name = 'm'\ntitle = 'M'\nrecipe = \"a\\u0000b\"\n{TRAINED}")
    with pytest.raises(UserError, match="neither a readable TOML file nor a built-in recipe"):
        load_study(str(tmp_path / "mine.toml"))


def test_another_recipe_may_take_the_place_of_a_studys_own(tmp_path: Path) -> None:
    assert load_study(written(tmp_path, TRAINED)).recipe == "demo"
    assert load_study(written(tmp_path, TRAINED), (), "paper").recipe == "paper"
    with pytest.raises(UserError, match="neither a readable TOML file nor a built-in recipe"):
        load_study(written(tmp_path, TRAINED), (), "nowhere")


def test_an_unknown_study_lists_the_builtin_ones() -> None:
    with pytest.raises(UserError, match="ablation, methods, out-of-domain, scaling, weighting"):
        load_study("nowhere")


@pytest.mark.parametrize("recipe", RECIPES.names())
@pytest.mark.parametrize("name", STUDIES.names())
def test_every_builtin_study_takes_every_builtin_recipe(name: str, recipe: str) -> None:
    assert load_study(name, (), recipe).recipe == recipe


@pytest.mark.parametrize("name", STUDIES.names())
def test_every_builtin_study_is_sound(name: str) -> None:
    study = load_study(name)
    assert study.title and study.paper and len(study.variants) >= 4
