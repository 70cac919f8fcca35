from pathlib import Path

import pytest

from steper_core.builtin_files import BuiltinFiles
from steper_core.errors import UserError

RECIPES = BuiltinFiles("recipe", "steper_core", "recipes")


def test_a_built_in_file_is_read_by_its_name() -> None:
    source, text = RECIPES.read("demo")
    assert source == "recipe demo"
    assert text == RECIPES.text("demo") and "[train]" in text


def test_any_other_name_is_a_path(tmp_path: Path) -> None:
    own = tmp_path / "demo.toml"
    own.write_text("x = 1\n")
    assert RECIPES.read(str(own)) == (str(own), "x = 1\n")


@pytest.mark.parametrize("name", ["demoo", "../recipes/demo", "demo.toml", "\x00", ""])
def test_what_is_neither_names_the_built_in_ones(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="nor a built-in recipe") as caught:
        RECIPES.read(name)
    assert ", ".join(RECIPES.names()) in str(caught.value)
