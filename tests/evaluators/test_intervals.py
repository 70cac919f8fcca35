import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.intervals import Spread, figure_of, figures_of, spread_over_seeds
from steper_core.errors import UserError
from steper_core.records import Score
from steper_core.run_records import Figure

FRACTIONS = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))


def score(question: str, name: str, value: float | None, step: int | None = None, evaluator: str = "e") -> Score:
    return Score(question_id=question, step=step, name=name, value=value, evaluator=evaluator, version="1")


@settings(max_examples=50)
@given(values=st.lists(st.one_of(st.none(), FRACTIONS), max_size=40))
def test_the_interval_contains_the_mean(values: list[float | None]) -> None:
    figure = figure_of(values, resamples=200)
    scored = [value for value in values if value is not None]
    assert (figure.n, figure.unscored) == (len(scored), len(values) - len(scored))
    if len(scored) < 2:
        assert (figure.low, figure.high) == (None, None)
        assert figure.mean == (scored[0] if scored else None)
    else:
        assert figure.mean is not None and figure.low is not None and figure.high is not None
        assert min(scored) - 1e-12 <= figure.low <= figure.mean <= figure.high <= max(scored) + 1e-12


def test_order_does_not_matter_and_the_seed_does() -> None:
    rng = random.Random(1)
    values: list[float | None] = [rng.random() for _ in range(50)]
    assert figure_of(values) == figure_of(values[::-1])
    assert figure_of(values, seed=1) != figure_of(values, seed=2)


@pytest.mark.parametrize("distinct", [2, 1000])
def test_the_interval_has_the_width_theory_gives(distinct: int) -> None:
    rng = np.random.default_rng(3)
    values = rng.integers(distinct, size=1000) / (distinct - 1)
    figure = figure_of([float(value) for value in values])
    assert figure.low is not None and figure.high is not None
    expected = 2 * 1.96 * values.std() / math.sqrt(len(values))
    assert figure.high - figure.low == pytest.approx(expected, rel=0.05)


def test_equal_values_have_no_width() -> None:
    assert figure_of([0.1] * 30) == Figure(mean=0.1, low=0.1, high=0.1, n=30)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        figure_of([1.0, value])


def test_figures_count_missing_questions_as_unscored() -> None:
    scores = [score("1", "em", 1.0), score("2", "em", 0.0), score("3", "em", None), score("other", "em", 1.0)]
    figure = figures_of(scores, ["1", "2", "3", "4", "1"])["em"]
    assert (figure.mean, figure.n, figure.unscored) == (0.5, 2, 2)


def test_steps_are_averaged_within_their_question_first() -> None:
    scores = [score("1", "sub_answer", value, step) for step, value in enumerate([1.0, 1.0, 1.0, None], start=1)]
    scores += [score("2", "sub_answer", 0.0, 1), score("3", "sub_answer", None, 1)]
    figure = figures_of(scores, ["1", "2", "3"])["sub_answer"]
    assert (figure.mean, figure.n, figure.unscored) == (0.5, 2, 1)


def test_a_chain_level_name_wins_over_the_same_name_of_steps() -> None:
    scores = [score("1", "gold_recall", 0.0, 1), score("1", "gold_recall", 1.0)]
    assert figures_of(scores, ["1"])["gold_recall"].mean == 1.0


def test_chains_that_hold_only_reasons_do_not_hide_the_values_of_steps() -> None:
    scores = [score("1", "rating", 1.0, 1), score("1", "rating", 0.0, 2), score("2", "rating", None)]
    figure = figures_of(scores, ["1", "2"])["rating"]
    assert (figure.mean, figure.n, figure.unscored) == (0.5, 1, 1)
    assert figures_of(scores[2:], ["1", "2"])["rating"].unscored == 2


def test_the_later_of_two_scores_holds() -> None:
    scores = [score("1", "em", 0.0), score("1", "em", 1.0), score("1", "s", 1.0, 1), score("1", "s", 0.0, 1)]
    figures = figures_of(scores, ["1"])
    assert (figures["em"].mean, figures["s"].mean) == (1.0, 0.0)


def test_one_name_from_two_evaluators_is_refused() -> None:
    with pytest.raises(UserError, match="both a and b"):
        figures_of([score("1", "em", 1.0, evaluator="a"), score("1", "em", 1.0, evaluator="b")], ["1"])


def test_spread_over_seeds() -> None:
    assert spread_over_seeds([0.1, 0.3, None]) == Spread(pytest.approx(0.2), pytest.approx(math.sqrt(0.02)), 2)
    assert spread_over_seeds([0.5]) == Spread(0.5, None, 1)
    assert spread_over_seeds([None]) == Spread(None, None, 0)


def versioned(question: str, value: float, version: str, evaluator: str = "steps") -> Score:
    return Score(question_id=question, name="grounding", value=value, evaluator=evaluator, version=version)


def test_scores_of_two_versions_are_never_mixed() -> None:
    scores = [versioned("a", 1.0, "1"), versioned("b", 1.0, "1"), versioned("a", 0.0, "2")]
    figure = figures_of(scores, ["a", "b"])["grounding"]
    assert (figure.mean, figure.n, figure.unscored) == (0.0, 1, 1)
    assert (figure.evaluator, figure.version) == ("steps", "2")
    # Whoever goes back to a version has all that was scored by it.
    back = figures_of([*scores, versioned("a", 0.5, "1")], ["a", "b"])["grounding"]
    assert (back.mean, back.n, back.version) == (0.75, 2, "1")


def test_each_judge_has_a_figure_of_its_own() -> None:
    scores = [versioned("a", 1.0, "1", "judge:small"), versioned("a", 0.0, "1", "judge:large")]
    figures = figures_of(scores, ["a"])
    assert {name: figure.mean for name, figure in figures.items()} == {
        "grounding@judge:small": 1.0,
        "grounding@judge:large": 0.0,
    }


def test_an_array_gives_the_same_figure_as_a_list() -> None:
    values = [1.0, None, 0.0, 0.5, None, 1.0]
    array = np.array([np.nan if value is None else value for value in values], dtype=np.float32)
    assert figure_of(array) == figure_of(values)
    assert figure_of(np.array([np.nan])) == figure_of([None])
    with pytest.raises(ValueError, match="finite"):
        figure_of(np.array([np.inf]))
