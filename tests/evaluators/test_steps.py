import pytest

from evaluators.steps import (
    ANSWER_LINE,
    EMPTY_SUB_ANSWER,
    NO_GOLD_PASSAGES,
    NO_HOP_DUE,
    NO_HOP_LEFT,
    NO_HOPS,
    NO_PASSAGE,
    NO_SUB_ANSWERS,
    ChainResult,
    score_steps,
)
from evaluators.values import Value
from steper_core.records import Chain, Hop, Question, Retrieved, Step, StopReason, ability_of


def hop(statement: str, answer: str | None, passage: str | None, *depends_on: int) -> Hop:
    return Hop(question="?", answer=answer, statement=statement, passage_id=passage, depends_on=depends_on)


def follow(hops: list[Hop], *turns: tuple[str, str]) -> ChainResult:
    """Each turn is (ids of newly retrieved passages, line written)."""
    question = Question(id="q", dataset="worlds", text="?", answer="x", hops=tuple(hops))
    steps = tuple(
        Step(
            number=number,
            ability=ability_of(number, len(turns)),
            query="",
            retrieved=tuple(
                Retrieved(passage_id=passage, rank=rank, score=1.0)
                for rank, passage in enumerate(passages.split(), start=1)
            ),
            rationale=line,
            prompt_tokens=0,
            output_tokens=0,
            seconds=0.0,
        )
        for number, (passages, line) in enumerate(turns, start=1)
    )
    chain = Chain(question_id="q", steps=steps, answer="x", stop_reason=StopReason.ANSWERED)
    return score_steps(chain, question)


def sub_answers(result: ChainResult) -> list[float | None]:
    return [step.sub_answer.value for step in result.steps]


def gold_passages(result: ChainResult) -> list[float | None]:
    return [step.gold_passage.value for step in result.steps]


BRIDGE = [
    hop("The director of Grey Salt is Ona Brell.", "Ona Brell", "film"),
    hop("Ona Brell was born in Morvane.", "Morvane", "person", 0),
]
BRIDGE_COMPARISON = [
    hop("The director of Grey Salt is Ona Brell.", "Ona Brell", "film1"),
    hop("The director of Red Moor is Tor Vask.", "Tor Vask", "film2"),
    hop("The country of Ona Brell is Selland.", "Selland", "person1", 0),
    hop("The country of Tor Vask is Selland.", "Selland", "person2", 1),
]
ANSWER = ("", "So the answer is: x")


def test_a_straight_chain() -> None:
    result = follow(BRIDGE, ("film", "Ona Brell directed it."), ("person", "She is from Morvane."), ANSWER)
    assert sub_answers(result) == [1.0, 1.0, None]
    assert gold_passages(result) == [1.0, 1.0, None]
    assert [step.gold_recall.value for step in result.steps] == [0.5, 1.0, 1.0]
    assert result.steps[2].sub_answer.reason == result.steps[2].gold_passage.reason == ANSWER_LINE
    assert (result.gold_recall, result.hops_reached) == (Value(1.0), Value(1.0))


def test_a_hop_is_not_reached_before_what_it_depends_on() -> None:
    result = follow(BRIDGE, ("person", "Someone is from Morvane."), ("film", "Ona Brell directed it."), ANSWER)
    assert sub_answers(result) == [0.0, 1.0, None]
    assert gold_passages(result) == [0.0, 1.0, None]
    assert result.hops_reached == Value(0.5)


def test_one_rationale_may_state_several_hops_in_any_order() -> None:
    result = follow(BRIDGE, ("film", "From Morvane came Ona Brell."), ("", "More."), ANSWER)
    assert sub_answers(result) == [1.0, None, None]
    assert result.steps[1].sub_answer.reason == result.steps[1].gold_passage.reason == NO_HOP_LEFT
    assert result.hops_reached == Value(1.0)


def test_the_passage_judged_is_that_of_the_hop_the_rationale_speaks_about() -> None:
    result = follow(BRIDGE, ("film", "The director of Grey Salt is Ona Brell of Morvane."), ANSWER)
    assert gold_passages(result) == [1.0, None]
    result = follow(BRIDGE, ("film", "Ona Brell was born in Morvane."), ANSWER)
    assert gold_passages(result) == [0.0, None]


def test_independent_hops_may_come_in_any_order() -> None:
    turns = [
        ("film2", "The director of Red Moor is Tor Vask."),
        ("person2", "Tor Vask is from Selland."),
        ("film1", "The director of Grey Salt is Ona Brell."),
        ("person1", "Ona Brell is from Selland too."),
    ]
    result = follow(BRIDGE_COMPARISON, *turns, ANSWER)
    assert sub_answers(result) == [1.0, 1.0, 1.0, 1.0, None]
    assert gold_passages(result) == [1.0, 1.0, 1.0, 1.0, None]
    assert result.hops_reached == Value(1.0)


def test_equal_answers_are_told_apart_by_what_the_rationale_speaks_about() -> None:
    directors = ("film1 film2", "Ona Brell made Grey Salt and Tor Vask made Red Moor.")
    result = follow(BRIDGE_COMPARISON, directors, ("person2", "The country of Tor Vask is Selland."), ANSWER)
    assert gold_passages(result) == [1.0, 1.0, None]
    assert result.hops_reached == Value(0.75)
    both = follow(BRIDGE_COMPARISON, directors, ("person1", "Brell and Vask are of Selland."), ANSWER)
    assert both.hops_reached == Value(1.0)
    neither = follow(BRIDGE_COMPARISON, directors, ("person1", "From Selland."), ANSWER)
    assert neither.hops_reached == Value(0.75)
    assert gold_passages(neither)[1] == 1.0


NAMESAKE = [
    hop("The director of Grey Salt is Morvane Brell.", "Morvane Brell", "film"),
    hop("Morvane Brell was born in Morvane.", "Morvane", "person", 0),
]


def test_an_answer_inside_a_longer_answer_is_not_stated_by_it() -> None:
    named = ("film", "Morvane Brell directed it.")
    result = follow(NAMESAKE, named, ("", "Morvane Brell painted."), ("", "She was born in Morvane."), ANSWER)
    assert sub_answers(result) == [1.0, 0.0, 1.0, None]
    assert gold_passages(result) == [1.0, 0.0, 0.0, None]


def test_the_longest_of_undecided_answers_is_meant() -> None:
    hops = [hop("A lies in Tiv.", "Tiv", "a"), hop("B lies in Lake Tiv.", "Lake Tiv", "b")]
    result = follow(hops, ("a", "Lake Tiv."), ANSWER)
    assert gold_passages(result) == [0.0, None]
    assert result.hops_reached == Value(0.5)


def test_answers_count_on_token_boundaries_only() -> None:
    result = follow([hop("It has 12 mills.", "12", "a")], ("a", "It was in 1123."), ("", "It has 12, really."), ANSWER)
    assert sub_answers(result) == [0.0, 1.0, None]


def test_the_answer_line_states_nothing_even_if_it_holds_the_answer() -> None:
    result = follow(BRIDGE, ("film", "Ona Brell."), ("person", "So the answer is: Morvane"))
    assert result.hops_reached == Value(0.5)
    assert result.gold_recall == Value(1.0)


def test_hops_without_answers_leave_only_recall() -> None:
    result = follow([hop("One.", None, "a"), hop("Two.", None, "b")], ("a", "One."), ANSWER)
    assert result.steps[0].sub_answer == result.steps[0].gold_passage == Value(None, NO_SUB_ANSWERS)
    assert result.hops_reached == Value(None, NO_SUB_ANSWERS)
    assert (result.steps[0].gold_recall, result.gold_recall) == (Value(0.5), Value(0.5))


def test_nothing_to_score() -> None:
    result = follow([], ("a", "Line."), ANSWER)
    assert result.steps[0].sub_answer == result.hops_reached == Value(None, NO_HOPS)
    assert result.gold_recall == Value(None, NO_GOLD_PASSAGES)
    empty = follow([hop("The band is The The.", "The The", "a")], ("a", "x"), ANSWER)
    assert empty.hops_reached == Value(None, EMPTY_SUB_ANSWER)


def test_a_hop_without_a_passage() -> None:
    result = follow([hop("It is blue.", "blue", None)], ("a", "It is blue."), ANSWER)
    assert result.steps[0].gold_passage == Value(None, NO_PASSAGE)
    assert result.steps[0].sub_answer == Value(1.0)


def test_dependencies_in_a_circle_end() -> None:
    result = follow([hop("A.", "one", "a", 1), hop("B.", "two", "b", 0)], ("a", "one two"), ANSWER)
    assert result.steps[0].gold_passage == Value(None, NO_HOP_DUE)
    assert sub_answers(result) == [0.0, None]


@pytest.mark.parametrize("lines", [1, 5])
def test_silence_reaches_nothing(lines: int) -> None:
    result = follow(BRIDGE, *[("", "")] * lines, ANSWER)
    assert sub_answers(result) == [0.0] * lines + [None]
    assert result.hops_reached == result.gold_recall == Value(0.0)
