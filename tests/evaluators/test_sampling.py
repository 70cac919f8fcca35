"""Samples for labelling: what each holds, by hand; the same for the same seed, whatever the order given."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.sampling import Candidate, Sample, choose, mix_controls
from steper_core.errors import UserError

KINDS = ("bridge", "comparison")


def candidates() -> list[Candidate]:
    """Sixteen bridge questions (12 right), four comparisons (1 right); every fourth differs between the runs."""
    return [
        Candidate(
            run_uid="r",
            question_id=number,
            stratum=(KINDS[number >= 16], "right" if number < 12 or number == 16 else "wrong"),
            differs=number % 4 == 0,
            judge_gap=None if number % 2 else number / 20,
            judge_spread=None if number % 3 else number / 20,
        )
        for number in range(20)
    ]


def ids(found: tuple[Candidate, ...]) -> list[int]:
    return [each.question_id for each in found]


def test_random_takes_so_many_and_no_more_than_there_are() -> None:
    assert len(ids(choose(candidates(), "random", 7, seed=1))) == 7
    assert sorted(ids(choose(candidates(), "random", 99, seed=1))) == list(range(20))


def test_stratified_takes_small_strata_whole_and_shares_the_rest() -> None:
    found = choose(candidates(), "stratified", 10, seed=1)
    # Strata of 12, 4, 1 and 3: one each, then 3, then 3, then 2 of the largest two left and the 3rd's last.
    assert Counter(each.stratum for each in found) == {
        ("bridge", "right"): 3,
        ("bridge", "wrong"): 3,
        ("comparison", "right"): 1,
        ("comparison", "wrong"): 3,
    }


def test_disagreements_judge_against_metric_and_low_judge_agreement() -> None:
    assert sorted(ids(choose(candidates(), "disagreements", 99, seed=1))) == [0, 4, 8, 12, 16]
    assert sorted(ids(choose(candidates(), "judge-against-metric", 99, seed=1))) == [10, 12, 14, 16, 18]
    # The farthest apart first; 0 is no disagreement.
    assert sorted(ids(choose(candidates(), "low-judge-agreement", 2, seed=1))) == [15, 18]
    assert sorted(ids(choose(candidates(), "low-judge-agreement", 99, seed=1))) == [3, 6, 9, 12, 15, 18]


@pytest.mark.parametrize("sample", ["disagreements", "judge-against-metric", "low-judge-agreement"])
def test_an_empty_sample_says_what_is_missing(sample: Sample) -> None:
    with pytest.raises(UserError, match="this sample is empty: "):
        choose([Candidate("r", 1, ("k", "right"), False, None, None)], sample, 5, seed=0)
    with pytest.raises(UserError, match="hold no chains"):
        choose([], sample, 5, seed=0)


@given(st.randoms(use_true_random=False), st.sampled_from(["random", "stratified", "disagreements"]), st.integers(0, 9))
def test_the_order_given_does_not_matter_and_the_seed_does(mixed: random.Random, sample: Sample, seed: int) -> None:
    shuffled = candidates()
    mixed.shuffle(shuffled)
    assert choose(shuffled, sample, 5, seed) == choose(candidates(), sample, 5, seed)


def test_other_seeds_draw_otherwise() -> None:
    assert len({choose(candidates(), "random", 5, seed) for seed in range(8)}) > 1


@given(st.integers(0, 30), st.integers(0, 10), st.integers(0, 99))
def test_controls_stand_one_in_each_stretch_and_the_items_in_their_order(items: int, controls: int, seed: int) -> None:
    mixed = mix_controls(list(range(items)), [-1 - number for number in range(controls)], seed)
    assert [each for each in mixed if each >= 0] == list(range(items))
    assert sorted(each for each in mixed if each < 0) == list(range(-controls, 0))
    for number in range(controls):
        stretch = mixed[len(mixed) * number // controls : len(mixed) * (number + 1) // controls]
        assert sum(each < 0 for each in stretch) == 1
