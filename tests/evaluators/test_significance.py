import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.resampling import Values, resampled_means
from evaluators.significance import Effect, holm, mcnemar, over_seeds, paired

NAN = float("nan")


def outcomes(fixed: int, broken: int, both_right: int, both_wrong: int) -> tuple[Values, Values]:
    before = [0.0] * fixed + [1.0] * broken + [1.0] * both_right + [0.0] * both_wrong
    after = [1.0] * fixed + [0.0] * broken + [1.0] * both_right + [0.0] * both_wrong
    return np.array(before), np.array(after)


def test_right_and_wrong_answers() -> None:
    result = paired(*outcomes(14, 2, 30, 38))
    assert (result.n, result.dropped, result.differing) == (84, 0, 16)
    assert (result.mean_a, result.mean_b) == (32 / 84, 44 / 84)
    assert result.difference == pytest.approx(12 / 84)
    assert result.flow is not None and result.test == "McNemar"
    assert (result.flow.fixed, result.flow.broken, result.flow.both_right, result.flow.both_wrong) == (14, 2, 30, 38)
    # 0, 1 or 2 heads of 16 throws, or as many tails: 2 (1 + 16 + 120) / 2^16.
    assert result.p == result.flow.p == pytest.approx(274 / 65536)
    assert result.effect == Effect("Cohen's g", 14 / 16 - 0.5)


def test_the_interval_of_shares_has_the_width_theory_gives() -> None:
    result = paired(*outcomes(140, 20, 300, 380))
    assert result.low is not None and result.high is not None
    variance = 160 / 840 - (120 / 840) ** 2
    assert result.high - result.low == pytest.approx(2 * 1.96 * math.sqrt(variance / 840), rel=0.05)
    assert result.low < 120 / 840 < result.high


@pytest.mark.parametrize(("fixed", "broken", "p"), [(0, 0, 1.0), (1, 1, 1.0), (5, 0, 2 / 32), (0, 6, 2 / 64)])
def test_mcnemar_by_hand(fixed: int, broken: int, p: float) -> None:
    assert mcnemar(fixed, broken) == pytest.approx(p)


def test_fractions_are_compared_by_bootstrap() -> None:
    a = np.array([0.1, 0.3, 0.5, 0.2])
    result = paired(a, a + np.array([0.1, 0.3, 0.2, 0.2]))
    assert result.flow is None and result.test == "paired bootstrap" and result.p == result.bootstrap_p
    # The deviations of the differences from 0.2 are -0.1, 0.1, 0, 0.
    deviation = math.sqrt(0.02 / 3)
    assert result.effect is not None and result.effect.name == "Cohen's dz"
    assert result.effect.value == pytest.approx(0.2 / deviation)
    # t quantiles for 3 degrees of freedom: 3.1824 and 0.9785.
    assert result.detectable == pytest.approx((3.1824 + 0.9785) * deviation / 2, rel=1e-4)


def test_the_bootstrap_p_is_that_of_a_z_test_where_questions_are_many() -> None:
    noise = np.random.default_rng(5).normal(size=2_000)
    noise = (noise - noise.mean()) / noise.std()
    result = paired(np.zeros(2_000), noise + 2.0 / math.sqrt(2_000))
    assert result.p == pytest.approx(0.0455, abs=0.01)


def test_few_signs_prove_little() -> None:
    result = paired(np.array([0.1, 0.2, 0.3]), np.array([0.4, 0.6, 0.5]))
    assert result.p == 0.25
    assert (result.low or 0) > 0


def test_unscored_questions_are_left_out_and_counted() -> None:
    result = paired(np.array([1.0, NAN, 0.0, NAN]), np.array([1.0, 1.0, NAN, NAN]))
    assert (result.n, result.dropped, result.mean_a, result.mean_b) == (1, 3, 1.0, 1.0)


def test_without_questions_there_is_nothing() -> None:
    result = paired(np.array([NAN]), np.array([1.0]))
    assert (result.n, result.dropped, result.p, result.difference, result.detectable) == (0, 1, None, None, None)
    assert paired(np.array([]), np.array([])).n == 0


def test_one_question_has_no_interval_and_no_proof() -> None:
    result = paired(np.array([0.2]), np.array([0.9]))
    assert (result.low, result.high, result.p, result.effect, result.detectable) == (None, None, 1.0, None, None)
    assert result.difference == pytest.approx(0.7)


def test_equal_runs() -> None:
    values = np.array([0.0, 1.0, 1.0, 0.0])
    result = paired(values, values)
    assert (result.difference, result.low, result.high, result.p, result.differing) == (0.0, 0.0, 0.0, 1.0, 0)
    assert result.bootstrap_p == 1.0 and result.effect is None
    fractions = paired(values / 2, values / 2)
    assert (fractions.p, fractions.effect, fractions.detectable) == (1.0, None, None)


def test_constant_differences_do_not_vary() -> None:
    result = paired(np.full(20, 0.2), np.full(20, 0.5))
    assert (result.low, result.high) == (pytest.approx(0.3), pytest.approx(0.3))
    assert result.effect is None and result.detectable is None


VALUES = st.lists(st.tuples(st.sampled_from([0.0, 0.25, 1.0, NAN]), st.floats(0, 1)), min_size=1, max_size=30)


@settings(max_examples=50, deadline=None)
@given(values=VALUES, data=st.data())
def test_order_does_not_matter_and_the_interval_holds_the_difference(
    values: list[tuple[float, float]], data: st.DataObject
) -> None:
    pairs = np.array(values)
    shuffled = np.array(data.draw(st.permutations(values)))
    result = paired(pairs[:, 0], pairs[:, 1], resamples=200)
    again = paired(shuffled[:, 0], shuffled[:, 1], resamples=200)
    assert (result.low, result.high, result.p) == (again.low, again.high, again.p)
    if result.n > 1:
        assert result.difference is not None and result.low is not None and result.high is not None
        assert result.low <= result.difference <= result.high
        assert result.p is not None and 0 < result.p <= 1


def test_swapping_the_systems_mirrors_the_result_and_a_seed_repeats_it() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.random(60), rng.random(60)
    there, back = paired(a, b, seed=3), paired(b, a, seed=3)
    assert there == paired(a, b, seed=3) != paired(a, b, seed=4)
    assert there.low is not None and there.high is not None and there.difference is not None
    mirrored = (-there.difference, -there.high, -there.low)
    assert (back.difference, back.low, back.high) == pytest.approx(mirrored, abs=1e-12)
    assert back.p == there.p


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([1.0], [1.0, 0.0], "equal length"),
        ([[1.0]], [[1.0]], "flat"),
        ([1.0], [math.inf], "finite"),
    ],
)
def test_arrays_that_cannot_be_compared(a: object, b: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        paired(np.array(a), np.array(b))


def test_the_smallest_detectable_difference_by_hand() -> None:
    # Of six questions all must be fixed (2 / 2^6 < .05): share^6 = .8.
    assert paired(*outcomes(0, 0, 3, 3)).detectable == pytest.approx(0.8 ** (1 / 6), abs=1e-4)
    # Of seven at least six, none broken.
    share = paired(*outcomes(0, 0, 3, 4)).detectable
    assert share is not None and 7 * share**6 * (1 - share) + share**7 == pytest.approx(0.8, abs=1e-3)
    # Five questions can never be significant: 2 / 2^5 > .05.
    assert paired(*outcomes(0, 0, 3, 2)).detectable is None


@pytest.mark.parametrize(("n", "differing"), [(84, 16), (84, 2), (400, 120)])
def test_a_difference_of_the_detectable_size_is_found_four_times_in_five(n: int, differing: int) -> None:
    share = paired(*outcomes(differing, 0, 0, n - differing)).detectable
    assert share is not None
    discordance = max(share, differing / n)
    rng = np.random.default_rng(1)
    drawn = rng.binomial(n, discordance, size=20_000)
    fixed = rng.binomial(drawn, (1 + share / discordance) / 2)
    counts = [(int(up), int(both - up)) for up, both in zip(fixed, drawn, strict=True)]
    found = {pair: mcnemar(*pair) < 0.05 for pair in set(counts)}
    assert np.mean([found[pair] for pair in counts]) == pytest.approx(0.8, abs=0.012)


def test_very_many_questions_follow_the_normal_approximation() -> None:
    share = paired(*outcomes(30_000, 30_000, 70_000, 70_000), resamples=10).detectable
    assert share == pytest.approx((1.96 + 0.8416) * math.sqrt(0.3 / 200_000), rel=0.01)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.04, None, 0.01]) == [0.04, None, 0.02]
    assert holm([]) == []
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.5, 1.5])


def test_seeds_alone() -> None:
    """Each run answers all questions alike, so that all there is are the seeds, and those of b are all alike."""
    result = over_seeds([np.full(50, 0.2), np.full(50, 0.4)], [np.full(50, 0.5)] * 3)
    assert (result.n, result.seeds_a, result.seeds_b) == (50, 2, 3)
    assert (result.mean_a, result.mean_b, result.difference) == pytest.approx((0.3, 0.5, 0.2))
    # The two of a have a standard error of 0.1 on one degree of freedom: t_.975 is 12.71, and 2 has p = .295.
    assert (result.low, result.high) == (-1.0, 1.0)
    assert result.p == pytest.approx(0.295, abs=0.02)
    mirrored = over_seeds([np.full(50, 0.5)] * 3, [np.full(50, 0.2), np.full(50, 0.4)])
    assert (mirrored.p, mirrored.low, mirrored.difference) == pytest.approx((result.p, -1.0, -0.2))


def test_seeds_of_both_systems() -> None:
    """Welch: the means have variances 0.01 / 3 and 0.0025 / 3; (sum)^2 / (sum of squares / 2) are 2.94 degrees."""
    runs_a, runs_b = (
        [np.full(50, level + step) for step in (-width, 0.0, width)] for level, width in ((0.3, 0.1), (0.5, 0.05))
    )
    result = over_seeds(runs_a, runs_b, resamples=50_000)
    # t_.975 on 2.94 degrees of freedom is 3.22; the standard error is sqrt(0.0125 / 3) = 0.0645.
    assert (result.low, result.high) == pytest.approx((0.2 - 0.208, 0.2 + 0.208), abs=0.01)


def test_many_seeds_show_their_variance() -> None:
    levels = np.random.default_rng(7).normal(0.5, 0.05, size=8)
    result = over_seeds([np.full(20, 0.4)], [np.full(20, level) for level in levels])
    assert result.low is not None and result.high is not None
    # Of the one seed of the other system no spread is known; t_.975 on 7 degrees of freedom is 2.365.
    expected = 2 * 2.365 * levels.std(ddof=1) / math.sqrt(8)
    assert result.high - result.low == pytest.approx(expected, rel=0.1)


def test_one_seed_each_is_the_paired_bootstrap() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.random(300), rng.random(300) + 0.05
    seeds, single = over_seeds([a], [b]), paired(a, b)
    assert (seeds.low, seeds.high, seeds.difference, seeds.p) == pytest.approx(
        (single.low, single.high, single.difference, single.p)
    )


def test_a_question_unscored_in_any_run_is_left_out() -> None:
    result = over_seeds([np.array([1.0, NAN, 1.0])], [np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, NAN])])
    assert (result.n, result.dropped, result.difference) == (1, 2, -1.0)
    assert over_seeds([np.array([NAN])], [np.array([1.0])]).p is None
    with pytest.raises(ValueError, match="at least one run"):
        over_seeds([], [np.array([1.0])])


def test_wide_rows_that_are_counted_are_the_rows_drawn() -> None:
    rows = np.random.default_rng(3).random((40, 4))
    in_order = rows[np.lexsort(rows.T[::-1])]
    drawn = np.random.default_rng(7).integers(40, size=(50, 40))
    np.testing.assert_allclose(resampled_means(rows, seed=7, resamples=50), in_order[drawn].mean(axis=1))


@pytest.mark.parametrize("distinct", [3, 2_000])
def test_columns_are_drawn_together(distinct: int) -> None:
    """Whether counted or drawn one by one: a column that is twice another stays so in every resample."""
    column = np.random.default_rng(0).integers(distinct, size=500) / distinct
    means = resampled_means(np.stack([column, 2 * column], axis=1), seed=0, resamples=2_000)
    assert means.shape == (2_000, 2)
    np.testing.assert_allclose(means[:, 1], 2 * means[:, 0])
    assert means[:, 0].mean() == pytest.approx(column.mean(), rel=0.01)
    assert means[:, 0].std() == pytest.approx(column.std() / math.sqrt(500), rel=0.06)
