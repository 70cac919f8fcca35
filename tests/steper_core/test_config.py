"""Recipes: defaults, typed overrides, and mistakes answered with the nearest right name."""

from __future__ import annotations

from pathlib import Path

import pytest

from steper_core.config import RECIPES, Recipe, load_recipe
from steper_core.errors import UserError


def recipe(tmp_path: Path, text: str) -> str:
    file = tmp_path / "mine.toml"
    file.write_text(text, "utf-8")
    return str(file)


def fault(name: str, *overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        load_recipe(name, overrides)
    return str(caught.value)


def test_an_empty_recipe_has_the_defaults(tmp_path: Path) -> None:
    found = load_recipe(recipe(tmp_path, ""))
    assert found == Recipe()
    # What the paper states: K = 4, S = 5, two epochs, learned weights; the teacher is the gold one.
    assert (found.retrieval.top_k, found.reasoning.max_steps, found.train.epochs) == (4, 5, 2)
    assert (found.train.method, found.train.weighting) == ("steper", "learned")
    assert (found.teacher.backend, found.student.backend) == ("gold", "local")


@pytest.mark.parametrize("name", RECIPES.names())
def test_every_builtin_recipe_loads_by_its_name(name: str) -> None:
    assert load_recipe(name).name == name


def test_the_demo_and_the_files_recipe_are_built_in() -> None:
    assert {"demo", "files"} <= set(RECIPES.names())


def test_a_file_sets_what_it_names_and_leaves_the_rest(tmp_path: Path) -> None:
    found = load_recipe(
        recipe(tmp_path, 'name = "mine"\n[train]\nepochs = 7\nweighting = "fixed"\nweights = [1.5, 1.0, 0.5]\n')
    )
    assert (found.name, found.train.epochs, found.train.weights) == ("mine", 7, (1.5, 1.0, 0.5))
    assert found.train.learning_rate == Recipe().train.learning_rate


def test_overrides_are_typed_and_win_over_the_file(tmp_path: Path) -> None:
    file = recipe(tmp_path, "[train]\nepochs = 7\nbatch_chains = 3\n")
    found = load_recipe(
        file,
        [
            "train.epochs=3",
            "train.learning_rate=2e-5",
            "train.seeds=[1, 2, 3]",
            "train.gradient_checkpointing=true",
            "reasoning.framework=rag",
            'data.paths=["a b.json", "c.json"]',
            "student.base_url=http://127.0.0.1:8000/v1",
            "seed = 9",
        ],
    )
    assert (found.train.epochs, found.train.batch_chains, found.train.learning_rate) == (3, 3, 2e-5)
    assert (found.train.seeds, found.train.gradient_checkpointing) == ((1, 2, 3), True)
    assert (found.reasoning.framework, found.data.paths) == ("rag", ("a b.json", "c.json"))
    assert (found.student.base_url, found.seed) == ("http://127.0.0.1:8000/v1", 9)


def test_the_last_of_two_overrides_holds(tmp_path: Path) -> None:
    assert load_recipe(recipe(tmp_path, ""), ["train.epochs=3", "train.epochs=4"]).train.epochs == 4


@pytest.mark.parametrize(
    ("override", "unknown", "nearest"),
    [
        ("train.epoch=3", "train.epoch", "train.epochs"),
        ("retrieval.topk=3", "retrieval.topk", "retrieval.top_k"),
        ("trian.epochs=3", "trian", "train"),
        ("worlds.pasages=30", "worlds.pasages", "worlds.passages"),
        # What is like it in the same section comes before the same name in another one.
        ("train.seed=1", "train.seed", "train.seeds"),
        ("train.batch_size=8", "train.batch_size", "train.batch_chains"),
        ("train.temperature=2", "train.temperature", "train.logits.temperature"),
        ("train.logits.temp=2", "train.logits.temp", "train.logits.temperature"),
        ("student.url=http://a", "student.url", "student.base_url"),
        # What is like nothing there has its name elsewhere, least deep first.
        ("train.max_steps=3", "train.max_steps", "reasoning.max_steps"),
        ("student.learning_rate=1e-4", "student.learning_rate", "train.learning_rate"),
        ("teacher.max_tokens=9", "teacher.max_tokens", "reasoning.max_new_tokens"),
        ("epochs=3", "epochs", "train.epochs"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest_one(override: str, unknown: str, nearest: str) -> None:
    assert f"unknown key {unknown!r}; did you mean {nearest!r}?" in fault("demo", override)


@pytest.mark.parametrize("key", ["zzzzqqqq", "train.lr"])
def test_an_unknown_key_like_no_other_gets_no_suggestion(key: str) -> None:
    assert fault("demo", f"{key}=1").endswith(f"unknown key {key!r}")


@pytest.mark.parametrize(
    ("override", "field", "given"),
    [
        ("train.epochs=many", "train.epochs", "'many'"),
        ("train.epochs=0", "train.epochs", "0"),
        ("retrieval.b=1.5", "retrieval.b", "1.5"),
        ("reasoning.framework=cot", "reasoning.framework", "'cot'"),
        ("train.weights=[-1.0]", "train.weights", "-1.0"),
        ("name=../run", "name", "'../run'"),
        ("train.seeds=[]", "train.seeds", "got"),
        ("train.abilities=5", "train.abilities", "5"),
        ("train.method=[1]", "train.method", "[1]"),
        ("train.method={a = 1}", "train.method", "{'a': 1}"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_with_what_was_given(override: str, field: str, given: str) -> None:
    message = fault("demo", override)
    assert field in message and given in message


def test_bad_toml_is_named_with_its_position(tmp_path: Path) -> None:
    file = recipe(tmp_path, "[train]\nepochs = = 3\n")
    message = fault(file)
    assert message.startswith(f"{file}: ") and "line 2" in message and "column" in message


@pytest.mark.parametrize("override", ["train.epochs", "=3", "epochs"])
def test_an_override_without_a_value_or_a_key_shows_how_to_write_one(override: str) -> None:
    assert "write section.key=value" in fault("demo", override)


def test_an_override_into_a_value_is_refused() -> None:
    assert "'seed' is a value, not a section" in fault("demo", "seed=1", "seed.more=2")


def test_an_unknown_recipe_lists_the_builtin_ones(tmp_path: Path) -> None:
    message = fault(str(tmp_path / "none.toml"))
    assert "neither a readable TOML file nor a built-in recipe" in message and ", ".join(RECIPES.names()) in message


@pytest.mark.parametrize(
    ("method", "weighting", "loss"),
    [
        ("answer-kd", "uniform", "cross-entropy"),
        ("logit-kd", "uniform", "logits"),
        ("feature-kd", "uniform", "features"),
        ("multitask-kd", "uniform", "cross-entropy"),
        ("vanilla-kd", "uniform", "cross-entropy"),
        ("steper", "learned", "cross-entropy"),
    ],
)
def test_weighting_and_loss_follow_from_the_method(method: str, weighting: str, loss: str) -> None:
    found = load_recipe("demo", [f"train.method={method}"]).train
    assert (found.weighting, found.loss) == (weighting, loss)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["train.method=vanilla-kd", "train.weighting=learned"], "set weighting=uniform"),
        (["train.abilities=['aggregation']", "train.weighting=learned"], "set weighting=uniform"),
        (["train.method=logit-kd", "train.loss=features"], "logit-kd has loss = logits"),
        (["train.method=vanilla-kd", "train.abilities=['aggregation']"], "leave train.abilities out"),
        (["train.weighting=fixed"], "as many weights as tasks: 3, not 0"),
        (["train.method=multitask-kd", "train.weighting=fixed", "train.weights=[1, 2, 3]"], "tasks: 2, not 3"),
        (["train.weights=[1, 2, 3]"], "weighting is learned"),
        (["train.abilities=['expansion', 'expansion']"], "stands twice"),
        (["train.expansion_steps=1", "train.abilities=['aggregation']"], "none are learned here"),
        (["train.expansion_steps=1", "train.method=vanilla-kd"], "none are learned here"),
    ],
)
def test_training_settings_that_do_not_fit_together_are_refused(overrides: list[str], words: str) -> None:
    assert words in fault("demo", *overrides)


def test_stepwise_logit_distillation_is_one_setting() -> None:
    found = load_recipe("demo", ["train.loss=logits"]).train
    assert (found.method, found.loss, found.weighting) == ("steper", "logits", "learned")


def test_a_student_behind_a_server_is_refused() -> None:
    assert "student.backend must be 'local'" in fault("demo", "student.backend=openai")


def test_a_key_in_the_wrong_section_is_told_the_right_one() -> None:
    with pytest.raises(UserError, match=r"retrieval\.top_k"):
        load_recipe("demo", ["train.top_k=2"])


@pytest.mark.parametrize(
    ("override", "field"),
    [
        ("train.weights=[nan, 1, 1]", "train.weights.0"),
        ("train.weights=[-1, 1, 1]", "train.weights.0"),
        ("retrieval.k1=inf", "retrieval.k1"),
        ("student.temperature=inf", "student.temperature"),
        ("seed=-1", "seed"),
        ("train.seeds=[-1]", "train.seeds.0"),
        ("train.seeds=[0, 4294967296]", "train.seeds.1"),
        ("train.batch_chains=2147483648", "train.batch_chains"),
        ("train.max_length=2147483648", "train.max_length"),
        ("train.learning_rate=inf", "train.learning_rate"),
        ("train.sigma_learning_rate=1e300", "train.sigma_learning_rate"),
        ("train.features.learning_rate=1001", "train.features.learning_rate"),
        ("train.weight_decay=1e300", "train.weight_decay"),
        ("train.logits.temperature=1e300", "train.logits.temperature"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(override: str, field: str) -> None:
    assert fault("demo", override).startswith(f"recipe demo: {field}: Input should be")


def test_the_largest_numbers_are_taken() -> None:
    found = load_recipe(
        "demo", ["train.seeds=[4294967295]", "train.batch_chains=2147483647", "train.learning_rate=1e3"]
    )
    assert (found.train.seeds, found.train.batch_chains, found.train.learning_rate) == ((4294967295,), 2147483647, 1e3)


@pytest.mark.parametrize("value", ["9" * 5000, "0x" + "f" * 5000, "[" * 5000 + "]" * 5000])
def test_values_beyond_all_measure_are_refused_in_few_words(tmp_path: Path, value: str) -> None:
    message = fault("demo", f"train.epochs={value}")
    assert "train.epochs: " in message and len(message) < 300
    message = fault(recipe(tmp_path, f"[train]\nepochs = {value}\n"))
    assert "mine.toml: " in message and len(message) < 300


def test_a_name_that_no_file_can_have_is_no_recipe() -> None:
    assert "neither a readable TOML file nor a built-in recipe" in fault("a\0b")


@pytest.mark.parametrize("url", ["http://me:hunter2@host/v1", "http://host/v1?key=hunter2"])
def test_an_address_with_a_secret_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UserError, match="OPENAI_BASE_URL") as caught:
        load_recipe("demo", [f"teacher.base_url={url}"])
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("recipe", "overrides", "expected"),
    [
        ("demo", ["teacher.batch_size=8"], ("gold", "gold")),
        ("demo", ["teacher.backend=gold"], ("gold", "gold")),
        ("paper", ["teacher.backend=gold"], ("gold", "gold")),
        ("demo", ["teacher.model=folder"], ("local", "folder")),
        ("demo", ["teacher.backend=local"], ("local", "SmolLM2-135M-Instruct")),
    ],
)
def test_a_setting_of_the_teacher_makes_it_no_other_teacher(
    recipe: str, overrides: list[str], expected: tuple[str, str]
) -> None:
    teacher = load_recipe(recipe, overrides).teacher
    assert (teacher.backend, teacher.model) == expected


def test_a_server_needs_the_name_of_its_model() -> None:
    with pytest.raises(UserError, match=r"teacher.backend = openai needs teacher.model"):
        load_recipe("demo", ["teacher.backend=openai"])
