import numpy as np
import pytest

from evaluators.agreement import (
    NO_OVERLAP,
    OFTEN_UNDEFINED,
    ONE_CATEGORY,
    ONE_QUESTION,
    TOO_MANY_LABELS,
    Agreement,
    Confusion,
    Labels,
    Level,
    Unit,
    Weights,
    agree,
    cohen_kappa,
    confusion,
    krippendorff_alpha,
    raw_agreement,
)

N = None
PUBLISHED = {
    "A": [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
    "B": [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
    "C": [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
    "D": [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
}
"""Four observers, twelve units: the example of K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011)."""


def chains(labels: list[int | None]) -> Labels:
    """One label a question, of the whole chain."""
    return {(f"q{place}", 0, ""): float(label) for place, label in enumerate(labels) if label is not None}


def two_raters(both_yes: int, only_first: int, only_second: int, both_no: int) -> tuple[Labels, Labels]:
    first = [1] * (both_yes + only_first) + [0] * (only_second + both_no)
    second = [1] * both_yes + [0] * only_first + [1] * only_second + [0] * both_no
    return chains(first), chains(second)


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_of_the_published_example(level: Level, alpha: float) -> None:
    result = krippendorff_alpha({rater: chains(labels) for rater, labels in PUBLISHED.items()}, level)
    assert result.value == pytest.approx(alpha, abs=0.0005)
    # The twelfth unit has one label: nothing to agree with.
    assert (result.units, result.questions, result.reason) == (11, 11, None)


def test_kappa_by_hand() -> None:
    result = cohen_kappa(*two_raters(20, 5, 10, 15))
    # Observed agreement 35/50; by chance .5 x .6 + .5 x .4 = .5.
    assert result.value == pytest.approx((0.7 - 0.5) / (1 - 0.5))
    assert result.low is not None and result.high is not None
    # Fleiss, Cohen and Everitt (1969): the large-sample standard error here is .127.
    assert (result.high - result.low) / (2 * 1.96) == pytest.approx(0.127, rel=0.05)


@pytest.mark.parametrize(("weights", "kappa"), [(None, 1 - 2 / 4), ("linear", 1 - 4 / (32 / 6)), ("quadratic", 0.0)])
def test_weighted_kappa_by_hand(weights: Weights, kappa: float) -> None:
    """Each label twice by both raters; two of six units differ, by two steps each.

    Of the 36 crossed pairs 12 are equal, 16 one step and 8 two steps apart: 24, 32 and 48 by the three weights.
    """
    first, second = chains([-1, -1, 0, 0, 1, 1]), chains([-1, 1, 0, 0, 1, -1])
    assert cohen_kappa(first, second, weights).value == pytest.approx(kappa)


def test_raw_agreement_of_two_and_of_three() -> None:
    first, second = two_raters(20, 5, 10, 15)
    two = raw_agreement({"a": first, "b": second})
    assert two.value == pytest.approx(0.7)
    assert two.low is not None and two.high is not None
    assert two.high - two.low == pytest.approx(2 * 1.96 * np.sqrt(0.7 * 0.3 / 50), rel=0.07)
    # Of the three pairs of one question one agrees, of the other's one pair none: (3 x 1/3 + 2 x 0) / 5.
    three = raw_agreement({"a": chains([1, 1]), "b": chains([1, 0]), "c": chains([0])})
    assert three.value == pytest.approx(0.2)


def test_the_confusion_table() -> None:
    table = confusion(*two_raters(20, 5, 10, 15))
    assert table.labels == (0.0, 1.0)
    assert [[cell.count for cell in row] for row in table.cells] == [[15, 10], [5, 20]]
    cell = table.cells[1][1]
    assert cell.share == 0.4 and cell.low is not None and cell.high is not None
    assert cell.high - cell.low == pytest.approx(2 * 1.96 * np.sqrt(0.4 * 0.6 / 50), rel=0.07)
    assert confusion({}, {}).cells == ()
    single = confusion(chains([1]), chains([0]))
    assert (single.cells[0][1].count, single.cells[1][0].low) == (0, None) and single.cells[1][0].count == 1


def test_steps_of_one_question_are_drawn_together() -> None:
    """Five steps labelled as their question is are no more evidence than the question."""
    first, second = two_raters(20, 5, 10, 15)
    steps = [
        {(unit[0], number, ""): label for unit, label in labels.items() for number in range(1, 6)}
        for labels in (first, second)
    ]
    once, five = cohen_kappa(first, second), cohen_kappa(*steps)
    assert (five.units, five.questions) == (250, 50)
    assert (five.low, five.high) == pytest.approx((once.low, once.high))


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_alpha_agrees_with_the_library(level: Level) -> None:
    library = pytest.importorskip("krippendorff")
    rng = np.random.default_rng(4)
    truth = rng.integers(1, 6, size=60)
    table = np.stack([np.where(rng.random(60) < 0.7, truth, rng.integers(1, 6, size=60)) for _ in range(4)]) * 1.0
    table[rng.random(table.shape) < 0.25] = np.nan
    ratings = {
        str(rater): {(f"q{place}", 0, ""): label for place, label in enumerate(row) if not np.isnan(label)}
        for rater, row in enumerate(table.tolist())
    }
    expected = library.alpha(table, level_of_measurement=level)
    assert krippendorff_alpha(ratings, level, resamples=100).value == pytest.approx(expected)


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_kappa_agrees_with_the_library(weights: Weights) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(6)
    first = rng.integers(-1, 2, size=80)
    second = np.where(rng.random(80) < 0.6, first, rng.integers(-1, 2, size=80))
    result = cohen_kappa(chains(first.tolist()), chains(second.tolist()), weights, resamples=100)
    assert result.value == pytest.approx(metrics.cohen_kappa_score(first, second, weights=weights))


def test_weights_count_distances_between_labels_and_not_between_those_in_use() -> None:
    first, second = chains([1, 1, 5, 4, 5, 1]), chains([1, 4, 5, 5, 5, 1])
    result = cohen_kappa(first, second, "linear", resamples=100)
    # Distances 0 3 0 1 0 0; crossed 3x{1} 1x{4} 2x{5} with 2x{1} 1x{4} 3x{5}: (3x3 + 9x4 + 2x3 + 3x1 + 4x4 + 2x1) / 6.
    assert result.value == pytest.approx(1 - 4 / (72 / 6))


def test_what_cannot_be_said_has_a_reason() -> None:
    nothing = Agreement(None, None, None, 0, 0, NO_OVERLAP)
    assert raw_agreement({}) == krippendorff_alpha({"a": chains([1])}) == cohen_kappa({}, {}) == nothing
    assert cohen_kappa(chains([1, N]), chains([N, 1])) == nothing
    same = chains([1, 1, 1])
    assert cohen_kappa(same, same) == Agreement(None, None, None, 3, 3, ONE_CATEGORY)
    assert krippendorff_alpha({"a": same, "b": same}).reason == ONE_CATEGORY
    assert raw_agreement({"a": same, "b": same}) == Agreement(1.0, 1.0, 1.0, 3, 3)


def test_an_interval_needs_questions_that_differ() -> None:
    steps: list[Unit] = [("q", 1, ""), ("q", 2, "")]
    single = cohen_kappa(dict(zip(steps, [0.0, 1.0], strict=True)), dict(zip(steps, [0.0, 1.0], strict=True)))
    assert single == Agreement(1.0, None, None, 2, 1, ONE_QUESTION)
    # One question in twenty has the other label: a third of the resamples miss it.
    rare = chains([1] * 19 + [0])
    assert cohen_kappa(rare, rare) == Agreement(1.0, None, None, 20, 20, OFTEN_UNDEFINED)


def test_labels_must_be_finite_and_of_a_few_kinds() -> None:
    with pytest.raises(ValueError, match="finite"):
        agree({"a": {("q", 0, ""): float("nan")}})
    many = {(f"q{place}", 0, ""): float(place) for place in range(50)}
    assert cohen_kappa(many, many) == Agreement(None, None, None, 50, 50, TOO_MANY_LABELS)
    assert raw_agreement({"a": many, "b": many}).reason == TOO_MANY_LABELS
    assert confusion(many, many) == Confusion((), ())


def test_the_report_tells_raters_and_abilities_apart() -> None:
    abilities = ["initialization", "aggregation"]
    units: list[Unit] = [(f"q{place // 2}", place % 2 + 1, abilities[place % 2]) for place in range(40)]
    right = [float(place % 3 == 0) for place in range(40)]
    # The second judge errs on every answer line, the third has judged no answer line.
    judges = {
        "one": dict(zip(units, right, strict=True)),
        "two": {
            unit: 1 - label if unit[2] == "aggregation" else label for unit, label in zip(units, right, strict=True)
        },
        "three": {unit: label for unit, label in zip(units, right, strict=True) if unit[2] == "initialization"},
    }
    report = agree(judges, level="ordinal", resamples=500)
    assert report.raters == ("one", "two", "three")
    assert [(pair.first, pair.second) for pair in report.overall.pairs] == [
        ("one", "two"),
        ("one", "three"),
        ("two", "three"),
    ]
    assert report.overall.pairs[0].raw.value == 0.5
    assert list(report.by_ability) == sorted(abilities)
    answers, starts = report.by_ability["aggregation"], report.by_ability["initialization"]
    assert (answers.raw.value, starts.raw.value, starts.alpha.value) == (0.0, 1.0, 1.0)
    assert answers.pairs[0].kappa.value is not None and answers.pairs[0].kappa.value < 0
    assert answers.pairs[1].kappa.reason == NO_OVERLAP
    assert starts.pairs[2].confusion.cells[1][1].count == 7


def test_equal_input_gives_equal_output_in_any_order() -> None:
    first, second = two_raters(20, 5, 10, 15)
    turned = dict(reversed(list(first.items()))), dict(reversed(list(second.items())))
    assert cohen_kappa(first, second) == cohen_kappa(*turned) != cohen_kappa(first, second, seed=1)
