import pytest

from evaluators.path import (
    FORCED_ANSWER,
    NO_ANSWER,
    NO_GOLD_PATH,
    NO_RATIONALE,
    WRONG_ANSWER,
    first_wrong_step,
    measure_path,
)
from evaluators.steps import NO_HOPS, NO_SUB_ANSWERS, score_steps
from steper_core.records import Chain, Question, StopReason
from tests.evaluators.hand_made import BORN, DIRECTED, HOPS, ask, follow, of_chain

GOOD = (("film", DIRECTED), ("person", BORN))


def path(chain: Chain, question: Question) -> list[float | str | None]:
    """[steps_before_error, extra_steps, premature_answer, right_by_wrong_path]"""
    measures = measure_path(chain, question, score_steps(chain, question))
    names = ("steps_before_error", "extra_steps", "premature_answer", "right_by_wrong_path")
    return [of_chain(measures, name) for name in names]


def test_the_gold_path() -> None:
    assert path(follow(*GOOD), ask()) == [1.0, 0.0, 0.0, 0.0]


def test_a_detour_is_the_first_wrong_step() -> None:
    detour = ("other", "Red Moor is a film by Tor Vask.")
    assert path(follow(detour, *GOOD), ask()) == [0.0, 1.0, 0.0, 0.0]
    assert path(follow(GOOD[0], detour, GOOD[1]), ask())[:2] == [pytest.approx(1 / 3), 1.0]
    assert path(follow(*GOOD, detour), ask())[:2] == [1.0, 1.0]  # all hops were reached: nothing was due any more


def test_an_answer_before_the_last_hop() -> None:
    assert path(follow(GOOD[0]), ask()) == [1.0, -1.0, 1.0, 1.0]
    assert path(follow(GOOD[0], answer="Tiv"), ask()) == [1.0, -1.0, 1.0, WRONG_ANSWER]


def test_a_hop_stated_without_its_passage_is_not_taken() -> None:
    assert path(follow(GOOD[0], ("", BORN)), ask()) == [1.0, 0.0, 1.0, 1.0]


def test_two_hops_on_one_line_save_a_step() -> None:
    both = ("film person", "The director of Grey Salt is Ona Brell, who was born in Morvane.")
    assert path(follow(both), ask()) == [1.0, -1.0, 0.0, 0.0]


def test_an_answer_that_was_forced_is_not_premature() -> None:
    assert path(follow(GOOD[0], stop=StopReason.FORCED), ask()) == [1.0, -1.0, FORCED_ANSWER, 1.0]


def test_a_chain_of_the_answer_alone() -> None:
    assert path(follow(), ask()) == [NO_RATIONALE, -2.0, 1.0, 1.0]


def test_no_answer() -> None:
    chain = follow(GOOD[0], answer=None, stop=StopReason.REFUSED)
    assert path(chain, ask()) == [1.0, NO_ANSWER, NO_ANSWER, WRONG_ANSWER]


def test_without_sub_answers_the_passages_decide() -> None:
    hops = [hop.model_copy(update={"answer": None}) for hop in HOPS]
    assert path(follow(*GOOD), ask(hops=hops)) == [NO_SUB_ANSWERS, 0.0, 0.0, 0.0]
    assert path(follow(GOOD[0], ("other", BORN)), ask(hops=hops)) == [NO_SUB_ANSWERS, 0.0, 1.0, 1.0]


def test_without_passages_the_sub_answers_decide() -> None:
    hops = [hop.model_copy(update={"passage_id": None}) for hop in HOPS]
    assert path(follow(("", DIRECTED), ("", BORN)), ask(hops=hops)) == [1.0, 0.0, 0.0, 0.0]
    assert path(follow(("", DIRECTED)), ask(hops=hops)) == [1.0, -1.0, 1.0, 1.0]


def test_a_question_without_hops_has_no_path() -> None:
    assert path(follow(*GOOD), ask(hops=())) == [NO_HOPS, NO_HOPS, NO_GOLD_PATH, NO_GOLD_PATH]


def test_right_is_what_the_rules_of_the_dataset_call_right() -> None:
    assert path(follow(*GOOD, answer="the morvane."), ask("Tiv", "Morvane"))[3] == 0.0


@pytest.mark.parametrize(
    ("sub_answers", "first"),
    [
        ({1: 1.0, 2: 0.0, 3: 0.0, 4: None}, 2),
        ({3: 0.0, 2: 0.0, 1: 1.0}, 2),  # in any order
        ({1: 1.0, 2: None}, None),
        ({}, None),
    ],
)
def test_the_first_wrong_step(sub_answers: dict[int, float | None], first: int | None) -> None:
    assert first_wrong_step(sub_answers) == first
