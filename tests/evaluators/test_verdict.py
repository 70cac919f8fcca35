import numpy as np
import pytest

from evaluators.significance import Effect, Flow, PairedResult, SeedsResult, over_seeds, paired
from evaluators.verdict import Unit, format_p, matrix_note, signed, verdict, verdict_over_seeds

NAN = float("nan")


def shares(fixed: int, broken: int, low: float, high: float, p: float, dropped: int = 0) -> PairedResult:
    """84 questions answered right or wrong."""
    difference = (fixed - broken) / 84
    return PairedResult(
        n=84,
        dropped=dropped,
        differing=fixed + broken,
        mean_a=0.5,
        mean_b=0.5 + difference,
        difference=difference,
        low=low,
        high=high,
        bootstrap_p=0.5,
        flow=Flow(fixed, broken, 20, 64 - fixed - broken, p),
        effect=Effect("Cohen's g", 0.1),
        detectable=0.118,
    )


def fractions(difference: float, low: float, high: float, p: float) -> PairedResult:
    return PairedResult(84, 0, 60, 0.5, 0.5 + difference, difference, low, high, p, None, None, 0.084)


WIN = shares(14, 2, 0.059, 0.226, 0.0042)
TIE = shares(9, 7, -0.06, 0.107, 0.63)


def test_a_difference() -> None:
    assert verdict("vanilla-s1", "steper-s1", "em", WIN) == (
        "steper-s1 is right (em) on 12 questions more than vanilla-s1 of 84: +14.3 points [5.9, 22.6], McNemar p = .004"
    )
    assert verdict("vanilla-s1", "steper-s1", "em", shares(2, 3, -0.2, -0.01, 0.03)) == (
        "steper-s1 is right (em) on 1 question fewer than vanilla-s1 of 84: -1.2 points [-20.0, -1.0], McNemar p = .030"
    )


def test_no_difference_says_what_would_have_been_found() -> None:
    assert verdict("vanilla-s1", "steper-s1", "em", TIE) == (
        "84 questions cannot tell vanilla-s1 and steper-s1 apart by em: +2.4 points [-6.0, 10.7], McNemar p = .63; "
        "a true difference of about 12 points would be found with 80 % power"
    )


def test_a_score_that_is_not_about_right_answers_claims_no_right_answer() -> None:
    assert verdict("a", "b", "premature_answer", shares(2, 14, -0.226, -0.059, 0.0042)).startswith(
        "premature_answer is 1 for b on 12 questions fewer than for a of 84: -14.3 points"
    )


def test_fractions_and_counts() -> None:
    assert verdict("a", "b", "f1", fractions(0.05, 0.01, 0.09, 0.012)) == (
        "mean f1 of b is higher than that of a on 84 questions: +5.0 points [1.0, 9.0], paired bootstrap p = .012"
    )
    assert verdict("a", "b", "extra_steps", fractions(-0.4, -0.7, -0.1, 0.0004), unit="count") == (
        "mean extra_steps of b is lower than that of a on 84 questions: -0.40 [-0.70, -0.10], paired bootstrap p < .001"
    )
    assert verdict("a", "b", "extra_steps", fractions(0.0, -0.1, 0.1, 0.9), unit="count").endswith(
        "a true difference of about 0.08 would be found with 80 % power"
    )


def test_one_of_several_comparisons_is_decided_by_its_adjusted_p() -> None:
    assert verdict("a", "b", "em", WIN, adjusted_p=0.0126, comparisons=3).endswith(
        "McNemar p = .004 (p = .013 after Holm's correction for 3 comparisons)"
    )
    lost = verdict("a", "b", "em", WIN, adjusted_p=0.06, comparisons=15)
    assert lost.startswith("84 questions cannot tell a and b apart by em once 15 comparisons are allowed for: +14.3")
    with pytest.raises(ValueError, match="adjusted p"):
        verdict("a", "b", "em", WIN, comparisons=2)


def test_what_was_left_out_is_told() -> None:
    assert verdict("a", "b", "em", shares(14, 2, 0.059, 0.226, 0.0042, dropped=3)).endswith(
        "p = .004; 3 questions not scored in both left out"
    )


def test_nothing_one_and_equal() -> None:
    nothing = paired(np.array([NAN, 1.0]), np.array([1.0, NAN]))
    assert verdict("a", "b", "em", nothing, comparisons=3) == (
        "no question is scored by em for both a and b: nothing can be said; 2 questions not scored in both left out"
    )
    one = paired(np.array([0.0]), np.array([1.0]))
    assert verdict("a", "b", "em", one) == "1 question is too few to compare a and b by em: +100.0 points"
    equal = paired(np.array([0.0] * 80 + [1.0] * 4), np.array([0.0] * 80 + [1.0] * 4))
    assert verdict("a", "b", "em", equal) == (
        "a and b have the same em on each of 84 questions; "
        "a true difference of about 9.2 points would be found with 80 % power"
    )
    few = paired(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    assert verdict("a", "b", "em", few) == "a and b have the same em on each of 2 questions"


def test_seeds() -> None:
    result = SeedsResult(84, 0, 3, 2, 0.3, 0.4, 0.1, 0.02, 0.18, 0.02)
    assert verdict_over_seeds("vanilla", "steper", "em", result) == (
        "mean em of steper (2 seeds) is higher than that of vanilla (3 seeds) on 84 questions: "
        "+10.0 points [2.0, 18.0], p = .020 (bootstrap over questions, Student's t over seeds)"
    )
    single = SeedsResult(84, 0, 1, 2, 0.3, 0.4, 0.1, -0.02, 0.18, 0.2)
    assert verdict_over_seeds("vanilla", "steper", "em", single) == (
        "84 questions cannot tell vanilla (1 seed) and steper (2 seeds) apart by em: +10.0 points [-2.0, 18.0], "
        "p = .20 (bootstrap over questions, Student's t over seeds); how other seeds of vanilla would do is not in it"
    )
    one = over_seeds([np.array([0.0])] * 2, [np.array([1.0])] * 2)
    assert verdict_over_seeds("a", "b", "em", one) == (
        "1 question cannot tell a (2 seeds) and b (2 seeds) apart by em: +100.0 points, "
        "p > .99 (bootstrap over questions, Student's t over seeds)"
    )
    alone = over_seeds([np.zeros(20)], [np.ones(20)])
    assert verdict_over_seeds("a", "b", "em", alone).endswith(
        "(bootstrap over questions); how other seeds of a and b would do is not in it"
    )
    unscored = over_seeds([np.array([NAN])], [np.array([NAN])])
    assert verdict_over_seeds("a", "b", "em", unscored) == (
        "no question is scored by em in every run of a and b: nothing can be said"
    )


def test_a_table_of_comparisons() -> None:
    weak = shares(11, 3, 0.01, 0.18, 0.04)
    assert matrix_note([WIN, weak, TIE]) == (
        "1 of 3 comparisons shows a difference after Holm's correction; 1 more would alone, but not among so many; "
        "the other 2 do not show that the runs are equal: "
        "a true difference below about 12 points is likely to be missed"
    )
    assert matrix_note([WIN]) == "1 of 1 comparison shows a difference"
    assert matrix_note([TIE]).startswith("0 of 1 comparison shows a difference; it does not show that the runs are")
    assert matrix_note([TIE, fractions(0.0, -0.1, 0.1, 0.9)]) == (
        "0 of 2 comparisons show a difference after Holm's correction; these 2 do not show that the runs are equal: "
        "a true difference below about 8.4 to 12 points is likely to be missed"
    )


def test_a_table_with_gaps_and_counts() -> None:
    nothing = paired(np.array([NAN]), np.array([1.0]))
    units: list[Unit] = ["share", "count", "share"]
    assert matrix_note([WIN, fractions(0.0, -0.1, 0.1, 0.9), nothing], units=units) == (
        "1 of 2 comparisons shows a difference after Holm's correction; "
        "the other does not show that the runs are equal; "
        "1 could not be made for want of questions scored in both runs"
    )
    assert matrix_note([nothing]) == matrix_note([]) != ""


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0042, "p = .004"),
        (0.63, "p = .63"),
        (0.0009, "p < .001"),
        (1.0, "p > .99"),
        (0.0496, "p = .0496"),
        (0.0504, "p = .0504"),
        (0.0999, "p = .100"),
    ],
)
def test_p_values_as_people_write_them(p: float, text: str) -> None:
    assert format_p(p) == text


def test_differences_carry_a_sign() -> None:
    assert (signed(0.1426), signed(-0.024), signed(0.0)) == ("+14.3 points", "-2.4 points", "+0.0 points")
    assert signed(-1.5, "count") == "-1.50"
