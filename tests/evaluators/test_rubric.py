"""Rubrics: the built-in ones, and what a file of one's own may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluators.rubric import RUBRICS, load_rubric
from steper_core.errors import UserError
from steper_core.records import ABILITIES

OWN = """
name = "tone"
version = "3"
scope = "chain"
summary = "Tone."
instructions = "Judge the tone."
[[verdicts]]
name = "calm"
asks = "Is it calm?"
labels = { yes = 1, no = 0 }
"""


def write(folder: Path, text: str) -> str:
    path = folder / "own.toml"
    path.write_text(text, "utf-8")
    return str(path)


def fault(folder: Path, text: str) -> str:
    with pytest.raises(UserError) as caught:
        load_rubric(write(folder, text))
    assert "own.toml" in str(caught.value) and len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_the_built_in_rubrics_ask_what_their_names_say() -> None:
    assert RUBRICS.names() == ("abilities", "pairwise", "steps", "subqa")
    abilities = load_rubric("abilities")
    assert [verdict.ability for verdict in abilities.verdicts] == list(ABILITIES)
    assert [abilities.score_name(figure) for figure in abilities.figures] == [
        "abilities_initialization",
        "abilities_expansion",
        "abilities_aggregation",
    ]
    assert all(verdict.labels == {"yes": 1.0, "no": 0.0} for verdict in abilities.verdicts)
    steps = load_rubric("steps")
    assert steps.verdicts[0].labels == {"good": 1.0, "neutral": 0.0, "bad": -1.0} and "unsupported" in steps.tags
    assert load_rubric("subqa").figures == ("sqa", "ri")
    assert load_rubric("pairwise").figures == ("preference", "consistency")
    assert {load_rubric(name).name for name in RUBRICS.names()} == set(RUBRICS.names())


def test_percent_is_for_figures_between_0_and_1() -> None:
    steps, pairwise = load_rubric("steps"), load_rubric("pairwise")
    assert not steps.is_share("rating") and not pairwise.is_share("preference")
    assert pairwise.is_share("consistency") and load_rubric("subqa").is_share("sqa")


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    rubric = load_rubric(write(tmp_path, OWN))
    assert (rubric.name, rubric.version, rubric.figures) == ("tone", "3", ("calm",))


def test_the_digest_tells_rubrics_apart(tmp_path: Path) -> None:
    one = load_rubric(write(tmp_path, OWN))
    assert load_rubric(write(tmp_path, OWN)).digest == one.digest
    assert load_rubric(write(tmp_path, OWN.replace("the tone", "its tone"))).digest != one.digest


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("scope =", "scop ="), "unknown key 'scop'; did you mean 'scope'?"),
        (("labels =", "lables ="), "unknown key 'verdicts.0.lables'; did you mean 'labels'?"),
        (("version =", "zzz ="), "unknown key 'zzz'; keys are name, version"),
        (('scope = "chain"', 'scope = "chains"'), "'scope'"),
        (('name = "calm"', 'name = "tags"'), "'tags' is the name of something else"),
        (('name = "calm"', 'name = "Calm down"'), "'verdicts.0.name'"),
        (("yes = 1, no = 0", "yes = 1"), "'verdicts.0.labels'"),
        (("yes = 1", "yes = nan"), "needs a number"),
        (("yes = 1", "yes = 1e300"), "needs a number"),
        (('scope = "chain"', 'scope = "pair"'), "worth 1 (the first is better)"),
        (('"Is it calm?"', '"Is it calm?'), "line"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    assert said in fault(tmp_path, OWN.replace(*change))


def test_two_verdicts_of_one_name_and_verdicts_of_the_wrong_scope_are_refused(tmp_path: Path) -> None:
    verdict = OWN[OWN.index("[[verdicts]]") :]
    assert "two verdicts have one name" in fault(tmp_path, OWN + verdict)
    other = verdict.replace("calm", "kind")
    hops = OWN.replace('"chain"', '"hops"')
    assert "has one verdict" in fault(tmp_path, hops + other)
    assert "worth 0 to 1" in fault(tmp_path, hops.replace("yes = 1", "yes = 2"))
    tied = OWN.replace('"chain"', '"step"') + 'ability = "expansion"\n'
    assert "tied to an ability" in fault(tmp_path, tied)


def test_a_name_that_leads_nowhere_is_told_the_built_in_ones(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.toml is neither .* \(abilities, pairwise, steps, subqa\)"):
        load_rubric(str(tmp_path / "nowhere.toml"))


def test_a_changed_built_in_rubric_needs_a_version_of_its_own(tmp_path: Path) -> None:
    text = RUBRICS.text("subqa")
    assert load_rubric(write(tmp_path, text)).digest == load_rubric("subqa").digest
    changed = text.replace("Do the lines answer", "Do they answer")
    assert "give this one another name or version" in fault(tmp_path, changed)
    assert load_rubric(write(tmp_path, changed.replace('version = "1"', 'version = "1-mine"'))).version == "1-mine"
