import math

import pytest

from evaluators.efficiency import COSTS, NO_SCORE, efficiency, pareto, ratios, transformer_flops
from evaluators.values import Value

STUDENT = {
    "parameters_total": 0.5e9,
    "parameters_active": 0.5e9,
    "prompt_tokens_per_question": 2_000.0,
    "output_tokens_per_question": 50.0,
    "retrievals_per_question": 4.0,
    "seconds_per_question": 0.8,
    "seconds_p50": 0.7,
    "seconds_p95": 1.6,
    "batch_size": 16.0,
    "flops_per_question": 2e12,
    "joules_per_question": 20.0,
    "energy_estimated": 1.0,
}
TEACHER = {
    **STUDENT,
    "parameters_total": 70e9,
    "parameters_active": 35e9,
    "seconds_per_question": 12.0,
    "seconds_p95": 40.0,
    "joules_per_question": 800.0,
    "energy_estimated": 0.0,
}


def test_score_over_cost() -> None:
    result = efficiency(STUDENT, 0.4)
    assert result.per_billion_parameters == Value(pytest.approx(0.8))
    assert result.per_second == Value(pytest.approx(0.5))
    assert result.per_joule == Value(pytest.approx(0.02))


def test_a_score_of_zero_is_a_score_and_none_is_not() -> None:
    assert efficiency(STUDENT, 0.0).per_second == Value(0.0)
    assert efficiency(STUDENT, None).per_second == Value(None, NO_SCORE)


def test_missing_facts_are_told() -> None:
    result = efficiency({"seconds_per_question": 0.0, "parameters_total": math.nan}, 0.4)
    assert result.per_joule == Value(None, "the run does not say its joules a question")
    assert result.per_second == Value(None, "the run has no seconds a question")
    assert result.per_billion_parameters == Value(None, "the run has no usable number for its parameters")


def test_times_less_than_the_teacher() -> None:
    result = ratios(STUDENT, TEACHER)
    assert result.times_less["parameters_total"] == Value(pytest.approx(140.0))
    assert result.times_less["parameters_active"] == Value(pytest.approx(70.0))
    assert result.times_less["seconds_per_question"] == Value(pytest.approx(15.0))
    assert result.times_less["seconds_p95"] == Value(pytest.approx(25.0))
    assert result.times_less["output_tokens_per_question"] == Value(1.0)
    assert result.times_less["joules_per_question"] == Value(pytest.approx(40.0))
    assert set(result.times_less) == set(COSTS)


def test_a_ratio_needs_both_sides() -> None:
    closed_book = {**STUDENT, "retrievals_per_question": 0.0}
    silent = {name: value for name, value in TEACHER.items() if name != "joules_per_question"}
    result = ratios(closed_book, silent)
    assert result.times_less["retrievals_per_question"] == Value(None, "the run has no retrievals a question")
    assert result.times_less["joules_per_question"] == Value(None, "the reference does not say its joules a question")


def test_remarks_on_unfair_ratios() -> None:
    assert ratios(TEACHER, TEACHER).remarks == {}
    server = {name: value for name, value in TEACHER.items() if name != "batch_size"} | {"concurrency": 64.0}
    assert ratios(STUDENT, server).remarks == {
        "seconds": "seconds at batch size 16 against concurrency 64",
        "energy": "energy of the run is an estimate",
    }
    assert ratios(STUDENT, STUDENT).remarks == {"energy": "energy of the run and of the reference is an estimate"}
    assert ratios(TEACHER, {}).remarks == {"seconds": "seconds at batch size 16 against an unknown load"}


def test_the_pareto_set() -> None:
    points = {
        "cheap": (1.0, 0.3),
        "twin": (1.0, 0.3),
        "dear": (5.0, 0.3),
        "worse": (1.0, 0.2),
        "best": (9.0, 0.6),
        "middle": (4.0, 0.5),
        "unscored": (0.1, None),
        "unmeasured": (None, 0.9),
        "broken": (math.nan, 0.9),
    }
    assert pareto(points) == {"cheap", "twin", "middle", "best"}
    assert pareto({}) == set()


def test_flops_by_hand() -> None:
    assert transformer_flops(10, 3, 2) == 2 * 10 * 5
    # Tokens look at 1, 2 and 3 tokens: 6 looks of 4 x layers x width.
    assert transformer_flops(10, 2, 1, layers=2, width=8) == 2 * 10 * 3 + 6 * 4 * 2 * 8


def test_a_decoder_of_known_size() -> None:
    """7 billion parameters, 32 layers of width 4096: attention over 2,048 tokens adds four percent to 2 N a token."""
    plain, whole = transformer_flops(7e9, 2_000, 48), transformer_flops(7e9, 2_000, 48, 32, 4_096)
    assert plain == pytest.approx(2.867e13, rel=1e-3)
    assert whole / plain == pytest.approx(1.0384, rel=1e-3)


def test_flops_refuse_what_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="both layers and width"):
        transformer_flops(10, 1, 1, layers=2)
    with pytest.raises(ValueError, match="negative"):
        transformer_flops(10, -1, 1)
