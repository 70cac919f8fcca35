import pytest

from evaluators.lookup import NO_TEXT
from evaluators.retrieval import (
    DUPLICATES_UNKNOWN,
    EMPTY_ANSWER,
    NOTHING_NEW,
    NOTHING_RETRIEVED,
    YES_NO,
    matchable,
    measure_retrieval,
)
from evaluators.steps import NO_GOLD_PASSAGES
from evaluators.values import Measure
from steper_core.records import Chain, Passage, Question
from tests.evaluators.hand_made import BORN, DIRECTED, PASSAGES, ask, follow, of_chain, of_steps


def measure(chain: Chain, question: Question) -> list[Measure]:
    texts = {key: matchable(passage) for key, passage in PASSAGES.items()}
    return list(measure_retrieval(chain, question, texts.get))


def test_a_chain_that_finds_what_it_needs() -> None:
    chain = follow(("film other", DIRECTED), ("person", BORN), duplicates=[0, 1, 2])
    measures = measure(chain, ask())
    assert of_steps(measures, "passage_precision") == [0.5, 1.0, NOTHING_NEW]
    assert of_chain(measures, "passage_precision") == pytest.approx(2 / 3)
    assert of_steps(measures, "new_passages") == [2.0, 1.0, 0.0]
    assert of_steps(measures, "duplicate_passages") == [0.0, 1.0, 2.0]
    assert of_chain(measures, "duplicate_share") == 0.5  # 3 found again, 3 new
    assert of_steps(measures, "answer_reachable") == [0.0, 1.0, 1.0]  # Morvane stands in "person"
    assert of_chain(measures, "answer_reachable") == 1.0


def test_no_passage_is_no_precision() -> None:
    measures = measure(follow(("", DIRECTED), duplicates=[0, 0]), ask())
    assert of_steps(measures, "passage_precision") == [NOTHING_NEW, NOTHING_NEW]
    assert of_chain(measures, "passage_precision") == of_chain(measures, "duplicate_share") == NOTHING_RETRIEVED
    assert of_chain(measures, "answer_reachable") == 0.0


def test_no_gold_passage_is_no_precision() -> None:
    measures = measure(follow(("film", DIRECTED)), ask(hops=()))
    assert of_chain(measures, "passage_precision") == NO_GOLD_PASSAGES
    assert of_steps(measures, "passage_precision") == [NO_GOLD_PASSAGES, NO_GOLD_PASSAGES]


def test_one_unknown_number_of_duplicates_leaves_no_share() -> None:
    measures = measure(follow(("film", DIRECTED), ("person", BORN), duplicates=[0, None, 1]), ask())
    assert of_steps(measures, "duplicate_passages") == [0.0, DUPLICATES_UNKNOWN, 1.0]
    assert of_chain(measures, "duplicate_share") == DUPLICATES_UNKNOWN


@pytest.mark.parametrize(
    ("golds", "reachable"),
    [
        (["the MORVANE"], 1.0),
        (["Old Morvane", "Morvane"], 1.0),  # an alias counts
        (["Old Morvane"], 0.0),
        (["Morvan"], 0.0),  # on token boundaries
        (["Brell Ona"], 0.0),  # the title ends with "Brell", the text begins with "Ona": no answer spans both
        (["Ona Brell"], 1.0),
        (["9 June 1956"], 1.0),
        (["June 9, 1956"], 0.0),
        (["Yes"], YES_NO),
        (["no"], YES_NO),
        (["The The"], EMPTY_ANSWER),
        (["The", "Morvane"], 1.0),
    ],
)
def test_which_answers_are_reachable(golds: list[str], reachable: float | str) -> None:
    assert of_chain(measure(follow(("person", BORN)), ask(*golds)), "answer_reachable") == reachable


def test_an_answer_in_the_question_alone_is_not_reachable() -> None:
    question = ask("Tor Vask", text="Who is older, Ona Brell or Tor Vask?")
    assert of_steps(measure(follow(("film", DIRECTED), ("other", BORN)), question), "answer_reachable") == [0, 1, 1]


def test_a_passage_whose_text_is_missing_leaves_open_what_stands_in_it() -> None:
    chain = follow(("film lost", DIRECTED), ("person", BORN))
    assert of_steps(measure(chain, ask()), "answer_reachable") == [NO_TEXT, 1.0, 1.0]
    assert of_chain(measure(chain, ask("Tiv")), "answer_reachable") == NO_TEXT


def test_a_passage_as_answers_are_looked_for_in_it() -> None:
    assert matchable(Passage.of("The A-Team", "A  team, of an era.")) == "ateam \n team of era"
