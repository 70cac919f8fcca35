"""Score lines: what is gathered comes back one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from steper_core.records import Score
from steper_core.score_lines import ChainScores, gather

SCORES = st.lists(
    st.builds(
        Score,
        question_id=st.sampled_from("ab"),
        step=st.none() | st.integers(1, 3),
        name=st.sampled_from(["em", "1/em", "sub_answer"]),
        value=st.none() | st.floats(0, 1),
        reason=st.none() | st.text(max_size=4),
        evaluator=st.sampled_from("xy"),
        version=st.just("1"),
    ),
    max_size=12,
)


def identity(score: Score) -> tuple[object, ...]:
    return (score.question_id, score.step, score.name, score.evaluator, score.version)


@given(SCORES)
def test_the_last_score_of_each_thing_comes_back(scores: list[Score]) -> None:
    lines = [ChainScores.model_validate_json(line.model_dump_json()) for line in gather(scores)]
    found = {identity(score): score for line in lines for score in line.scores()}
    assert found == {identity(score): score for score in scores}


def test_one_line_holds_what_one_evaluator_says_of_one_chain() -> None:
    def score(question: str, step: int | None, evaluator: str) -> Score:
        unscored = {"value": None, "reason": "r"}
        return Score(question_id=question, step=step, name="n", evaluator=evaluator, version="1", **unscored)

    lines = list(gather([score("a", None, "x"), score("a", 2, "x"), score("a", 1, "y"), score("b", 1, "y")]))
    assert [(line.question_id, line.evaluator, line.values, line.reasons) for line in lines] == [
        ("a", "x", {0: {"n": None}, 2: {"n": None}}, {"0/n": "r", "2/n": "r"}),
        ("a", "y", {1: {"n": None}}, {"1/n": "r"}),
        ("b", "y", {1: {"n": None}}, {"1/n": "r"}),
    ]
