"""What the commands share: how a name given by --data reaches the recipe."""

from __future__ import annotations

import pytest

from app.options import open_recipe


@pytest.mark.parametrize(
    "name",
    [
        "two words.json",
        r"C:\temp\new.json",
        "a\tb\nc\x01\x7f.json",
        "a\u00a0b\u2028c.json",
        """it's "both".json""",
        "läßt 湖 😀.json",
        "no utf-8 \udcff.json",
        "1 = [2], #3.json",
    ],
)
def test_data_names_reach_the_recipe_as_they_are(name: str) -> None:
    assert open_recipe("demo", (), (name, "b.json")).data.paths == (name, "b.json")
