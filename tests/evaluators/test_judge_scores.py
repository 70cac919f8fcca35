"""From votes to scores, on votes written by hand."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from evaluators.judge_scores import Judged, evaluator_name, latest, scores_of, vote_ratings
from evaluators.rubric import load_rubric
from steper_core.records import Chain, Judgement, Question
from tests.fakes.judged_chains import THREE_LINES, chain, question

GOOD = chain(*THREE_LINES)
Order = Literal["", "ab", "ba"]


def vote(
    rubric: str,
    number: int = 1,
    *,
    step: int | None = None,
    order: Order = "",
    unscored: str | None = None,
    key: str = "q",
    **verdicts: float,
) -> Judgement:
    return Judgement(
        question_id=key,
        step=step,
        rubric=rubric,
        version="1",
        judge="m",
        vote=number,
        order=order,
        verdicts=verdicts,
        unscored=unscored,
        key="k",
    )


def scored(
    rubric: str, *votes: Judgement, judged: Chain = GOOD, asked: Question | None = None
) -> dict[Any, tuple[float | None, str | None]]:
    found = scores_of(load_rubric(rubric), [Judged(asked or question(), judged)], votes, "judge:m")
    assert all((each.evaluator, each.version, each.question_id) == ("judge:m", "1", "q") for each in found)
    assert all((each.value is None) == bool(each.reason) for each in found)
    prefix = len(rubric) + 1
    return {
        (each.name[prefix:], each.step) if rubric == "steps" else each.name[prefix:]: (each.value, each.reason)
        for each in found
    }


def test_the_value_is_the_mean_of_the_votes_that_count() -> None:
    found = scored(
        "abilities",
        vote("abilities", 1, initialization=1, expansion=0, aggregation=1),
        vote("abilities", 2, initialization=1, expansion=1, aggregation=0),
        vote("abilities", 3, initialization=0, expansion=0, aggregation=0),
        vote("abilities", 4, unscored="refused: no"),
    )
    assert {name: value for name, (value, _) in found.items()} == pytest.approx(
        {"initialization": 2 / 3, "expansion": 1 / 3, "aggregation": 1 / 3}
    )


def test_without_a_vote_that_counts_the_commonest_reason_is_given() -> None:
    refused = [vote("abilities", number, unscored="refused: no") for number in (1, 2)]
    found = scored("abilities", vote("abilities", 3, unscored="cut off"), *refused)
    assert set(found.values()) == {(None, "refused: no")}
    assert set(scored("abilities").values()) == {(None, "not judged")}


@pytest.mark.parametrize(
    ("lines", "missing"), [(1, ["initialization", "expansion"]), (2, ["expansion"]), (3, []), (0, None)]
)
def test_abilities_that_a_chain_does_not_have_are_unscored(lines: int, missing: list[str] | None) -> None:
    given = vote("abilities", aggregation=1) if lines else vote("steps")
    found = scored("abilities", given, judged=chain(*THREE_LINES[3 - lines :]))
    if missing is None:
        assert set(found.values()) == {(None, "the chain has no steps")}
        return
    assert found["aggregation"] == (1.0, None)
    assert [name for name, (_, reason) in found.items() if reason == f"the chain has no {name} step"] == missing


def test_each_step_has_its_own_ordinal_mean() -> None:
    found = scored(
        "steps",
        vote("steps", 1, step=1, rating=1),
        vote("steps", 2, step=1, rating=-1),
        vote("steps", 1, step=2, rating=-1),
        vote("steps", 1, step=3, unscored="cut off"),
    )
    assert found == {("rating", 1): (0.0, None), ("rating", 2): (-1.0, None), ("rating", 3): (None, "cut off")}


def test_sqa_and_ri() -> None:
    found = scored(
        "subqa", vote("subqa", 1, hop1=1, hop2=1, sqa=1, ri=1), vote("subqa", 2, hop1=1, hop2=0, sqa=0.5, ri=0)
    )
    assert found == {"sqa": (0.75, None), "ri": (0.5, None)}
    wrong = scored("subqa", vote("subqa", hop1=1, hop2=0, sqa=0.5))
    assert wrong == {"sqa": (0.5, None), "ri": (None, "the answer is wrong")}
    bare = scored("subqa", asked=question(sub_answers=False))
    assert set(bare.values()) == {(None, "the question has no sub-questions")}
    assert scored("subqa", vote("subqa", unscored="cut off"))["ri"] == (None, "cut off")


@pytest.mark.parametrize(
    ("pairs", "preference", "consistency"),
    [
        ([(1, 1)], 1.0, 1.0),
        ([(-1, -1)], -1.0, 1.0),
        ([(0, 0)], 0.0, 1.0),
        # The chain that stands first is preferred, whichever it is: a tie.
        ([(1, -1)], 0.0, 0.0),
        ([(1, 0)], 0.0, 0.0),
        ([(1, 1), (1, -1), (-1, -1), (1, 1)], 0.25, 0.75),
    ],
)
def test_a_preference_needs_both_orders_to_agree(
    pairs: list[tuple[float, float]], preference: float, consistency: float
) -> None:
    votes = [
        vote("pairwise", number, order=order, preference=value)
        for number, pair in enumerate(pairs, start=1)
        for order, value in zip(("ab", "ba"), pair, strict=True)
    ]
    assert scored("pairwise", *votes) == {"preference": (preference, None), "consistency": (consistency, None)}


def test_half_a_pair_is_no_preference() -> None:
    half = vote("pairwise", order="ab", preference=1)
    assert scored("pairwise", half)["preference"] == (None, "only one of the two orders was judged")
    lost = vote("pairwise", order="ba", unscored="cut off")
    assert set(scored("pairwise", half, lost).values()) == {(None, "cut off")}
    both = [vote("pairwise", 2, order=order, preference=-1) for order in ("ab", "ba")]
    assert scored("pairwise", half, lost, *both)["preference"] == (-1.0, None)


def test_of_two_votes_of_one_place_the_later_holds() -> None:
    failed = vote("abilities", unscored="the call failed: 500")
    good = vote("abilities", initialization=1, expansion=1, aggregation=1)
    other = vote("abilities", 2, initialization=0, expansion=0, aggregation=0)
    assert latest([failed, other, good]) == [good, other]
    assert scored("abilities", failed, good)["expansion"] == (1.0, None)


def test_a_preference_names_the_run_it_is_against() -> None:
    assert evaluator_name("gpt") == "judge:gpt" and evaluator_name("gpt", "base") == "judge:gpt:base"


def test_ratings_are_by_vote_and_unit_with_the_ability_of_the_step_or_verdict() -> None:
    judged = [Judged(question(), GOOD)]
    steps = [vote("steps", number, step=2, rating=value) for number, value in ((1, 1.0), (2, -1.0))]
    assert vote_ratings(load_rubric("steps"), judged, steps) == {
        "steps_rating": {"vote 1": {("q", 2, "expansion"): 1.0}, "vote 2": {("q", 2, "expansion"): -1.0}}
    }
    chains = [vote("abilities", aggregation=1), vote("abilities", 2, unscored="cut off")]
    assert vote_ratings(load_rubric("abilities"), judged, chains) == {
        "abilities_aggregation": {"vote 1": {("q", 0, "aggregation"): 1.0}}
    }
    pair = [vote("pairwise", order=order, preference=1) for order in ("ab", "ba")]
    assert vote_ratings(load_rubric("pairwise"), judged, pair) == {
        "pairwise_preference": {"vote 1": {("q", 0, "ab"): 1.0, ("q", 0, "ba"): 1.0}}
    }
    hops = vote_ratings(load_rubric("subqa"), judged, [vote("subqa", hop1=1, sqa=1)])
    assert hops == {"subqa_sqa": {"vote 1": {("q", 0, ""): 1.0}}}
