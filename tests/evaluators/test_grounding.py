import pytest

from evaluators.grounding import NO_CONTENT, NO_PASSAGES, ground, measure_grounding, passage_keys
from evaluators.lookup import NO_TEXT
from evaluators.values import Measure
from evaluators.words import Kind
from steper_core.records import Chain, Passage, Question
from tests.evaluators.hand_made import FILM, OTHER, PASSAGES, PERSON, ask, follow, of_chain, of_steps

ASKED = "Where was the director of the film Grey Salt born?"


def measure(chain: Chain, question: Question) -> list[Measure]:
    keys = {key: passage_keys(passage) for key, passage in PASSAGES.items()}
    return list(measure_grounding(chain, question, keys.get))


def test_each_word_is_found_in_its_place() -> None:
    line = "  The director of “Grey Salt” was Zor Brell, of 1990 & 1991."
    found = ground(line, [PERSON, FILM], "Who directs?")
    assert [(line[word.start : word.end], word.kind, word.passage_id) for word in found.words] == [
        ("director", Kind.WORD, "person"),  # "directed" in "film" is another word
        ("Grey", Kind.NAME, "film"),
        ("Salt", Kind.NAME, "film"),
        ("Zor", Kind.NAME, None),
        ("Brell", Kind.NAME, "film"),  # both hold it: "film" holds more words of the line
        ("1990", Kind.NUMBER, "film"),
        ("1991", Kind.NUMBER, None),
    ]
    assert [word.grounded for word in found.words] == [True, True, True, False, True, True, False]
    assert found.share == pytest.approx(5 / 7)


def test_of_two_passages_that_hold_as_much_the_first_is_named() -> None:
    line = "It is about Ona."
    assert [word.passage_id for word in ground(line, [PERSON, FILM], "").words] == ["person"]
    assert [word.passage_id for word in ground(line, [FILM, PERSON], "").words] == ["film"]


def test_the_question_grounds_too() -> None:
    (word,) = ground("It was Salt.", [OTHER], ASKED).words
    assert (word.grounded, word.in_question, word.passage_id) == (True, True, None)
    (word,) = ground("It was Salt.", [FILM], ASKED).words
    assert (word.grounded, word.in_question, word.passage_id) == (True, True, "film")


@pytest.mark.parametrize(
    ("line", "grounded"),
    [
        ("She filmed it with 12000 extras.", [True, True, True]),
        ("The extra was RED.", [True, True]),
        ("Moors, not Moorland.", [True, False]),
        ("It had 12 extras.", [False, True]),
    ],
)
def test_inflection_case_and_spelling_of_numbers(line: str, grounded: list[bool]) -> None:
    assert [word.grounded for word in ground(line, [OTHER], "").words] == grounded


def test_of_an_answer_line_the_answer_counts() -> None:
    line = "so THE answer is: Ona Zorn"
    found = ground(line, [PERSON], "")
    assert [(line[word.start : word.end], word.grounded) for word in found.words] == [("Ona", True), ("Zorn", False)]
    assert ground("So the answer is: yes", [PERSON], "").words == ()


def test_nothing_to_ground() -> None:
    assert ground("It is.", [FILM], "").share is None
    assert ground("", [], "").words == ()


def test_hostile_text_is_only_text() -> None:
    line = "<script>alert('x')</script> \u202e \x00 **Ona**"
    spans = [(line[word.start : word.end], word.passage_id) for word in ground(line, [PERSON], "").words]
    assert spans == [("script", None), ("alert", None), ("x", None), ("script", None), ("Ona", "person")]


def test_a_line_is_compared_with_what_was_retrieved_by_then() -> None:
    line = "Ona Brell was born in Morvane."
    chain = follow(("film", line), ("person", line), answer="Morvane")
    measures = measure(chain, ask(text="Who is it?"))
    # Of Ona, Brell, born and Morvane "film" holds the first two.
    assert of_steps(measures, "grounding") == [0.5, 1.0, 1.0]
    assert of_chain(measures, "ungrounded_names") == 0.0


def test_ungrounded_names_and_numbers_are_counted_once() -> None:
    chain = follow(
        ("film", "Zor Vask left Zor Vask in 1812."),
        ("person", "It was in 1812, in Tiv, by Ona Brell of Grey Salt."),
        answer="tiv",
    )
    assert of_chain(measure(chain, ask()), "ungrounded_names") == 3.0  # Zor Vask, 1812 and Tiv


def test_a_name_must_stand_in_one_text() -> None:
    mixed = "It was Ona Vask."
    chain = follow(("film other", mixed), answer="yes")
    measures = measure(chain, ask())
    assert of_steps(measures, "grounding")[0] == 1.0  # each word stands somewhere
    assert of_chain(measures, "ungrounded_names") == 1.0
    assert of_chain(measure(chain, ask(text="Who is Ona Vask?")), "ungrounded_names") == 0.0


def test_names_end_where_a_sentence_ends() -> None:
    chain = follow(("film", "It is Grey Salt. Ona Brell made it. J. R. Zorn did not."), answer="yes")
    assert of_chain(measure(chain, ask()), "ungrounded_names") == 1.0  # J. R. Zorn, one name


def test_unscored_lines_say_why() -> None:
    chain = follow(("", "Ona."), ("film", "It is."), ("lost", "Ona."), answer="yes")
    measures = measure(chain, ask())
    assert of_steps(measures, "grounding") == [NO_PASSAGES, NO_CONTENT, NO_TEXT, NO_TEXT]
    assert of_chain(measures, "ungrounded_names") == NO_TEXT
    assert of_chain(measure(follow(("", "Ona.")), ask()), "ungrounded_names") == NO_PASSAGES


def test_a_passage_is_its_title_and_text() -> None:
    assert passage_keys(Passage.of("Tiv", "A town.")) == {"tiv", "a", "town"}
