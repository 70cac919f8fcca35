import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.consistency import ANSWER_NOT_COMPARED, EMPTY_LINE, NO_EARLIER_LINE, measure_consistency
from tests.evaluators.hand_made import follow, of_steps


def compare(earlier: str, later: str) -> tuple[float | str | None, float | str | None]:
    """(repetition, contradiction) of the later line."""
    measures = list(measure_consistency(follow(("", earlier), ("", later))))
    return of_steps(measures, "repetition")[1], of_steps(measures, "contradiction")[1]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("The director is Ona Brell.", "the director is Ona Brell"),
        ("So: ONA, it is!", "so ona it is"),
        ("The old director of Grey Salt is Ona Brell.", "A director of Grey Salt is Ona Brell."),  # 6 of 7 words
    ],
)
def test_repetition(earlier: str, later: str) -> None:
    assert compare(earlier, later) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("Ona Brell was born in Morvane.", "Tor Vask was born in Morvane."),
        ("The director of Grey Salt is Ona Brell.", "The very old and famous director of Grey Salt is Ona Brell."),
        ("Ona Brell is the elder sister of Tor Brell.", "Tor Brell is the elder sister of Ona Brell."),
        ("Ona is known to have left the town before Tor.", "Ona is known to have left the town after Tor."),
        # One word in twelve differs, but it is a number, of a relation that may have many.
        (
            "Of old mills there are near the town now at least 12.",
            "Of old mills there are near the town now at least 14.",
        ),
    ],
)
def test_neither_repetition_nor_contradiction(earlier: str, later: str) -> None:
    assert compare(earlier, later) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("Ona Brell was born in 1956.", "Ona Brell was born in 1960."),
        ("Ona Brell was born on June 9, 1956.", "Ona Brell was born on 12 June 1956."),
        ("Ona Brell was born on June 9, 1956.", "Ona Brell was born on June 12, 1956."),
        ("The date of birth of Ona Brell is 9 June 1956.", "The date of birth of Ona Brell is 9 May 1956."),
        ("In 1956 Ona Brell was born.", "In 1960 Ona Brell was born."),
        ("Grey Salt was released in 1990.", "Grey Salt was released in May 1991."),
        ("Tiv has 12 mills.", "Tiv has 14 mills."),
        ("The capital of Selland is Tiv.", "The capital of Selland is Morvane."),
        ("The director of Grey Salt is Ona Brell.", "The director of Grey Salt was Tor Vask."),
        ("Grey Salt was directed by Ona Brell.", "Grey Salt is directed by Tor Vask."),
        ("Ona Brell is American.", "Ona Brell is not American."),
        ("Ona did not direct Grey Salt.", "Ona directed Grey Salt."),
        ("Ona doesn't live in Tiv.", "Ona lives in Tiv."),
        ("Yes, both are from Selland.", "No, both are not from Selland."),
    ],
)
def test_contradiction(earlier: str, later: str) -> None:
    assert compare(earlier, later)[1] == 1.0
    assert compare(later, earlier)[1] == 1.0


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("Ona Brell was born in 1956.", "Tor Vask was born in 1960."),  # another subject
        ("The capital of Selland is Tiv.", "The capital of Norland is Morvane."),
        ("Ona Brell was born in 1956.", "Ona Brell died in 1990."),  # another relation
        ("Ona Brell was born in 1956.", "Ona Brell was born on 9 June 1956."),  # more exact
        ("Ona Brell was born on 9 June.", "Ona Brell was born in June 1956."),
        ("Ona Brell was born on 9th June.", "Ona Brell was born on June 9."),
        ("Ona Brell was born in the 1950s.", "Ona Brell was born in 1956."),
        ("Ona Brell was born in Tiv.", "Ona Brell was born in Selland."),  # a town and its country
        ("Ona Brell was born in Tiv.", "Ona Brell was born in 1956."),
        ("Grey Salt stars Ona Brell.", "Grey Salt stars Tor Vask."),  # a relation with many values
        ("Ona Brell directed Grey Salt.", "Ona Brell directed Red Moor."),
        ("Ona is the director of Grey Salt.", "Ona is the director of Red Moor."),
        ("Ona Brell won in 1990.", "Ona Brell won in 1992."),
        ("Grey Salt 2 was released by Tiv.", "Grey Salt 3 was released by Tiv."),  # the numbers belong to the names
        ("The director of Grey Salt is P. Brell.", "The director of Grey Salt is Petra Brell."),
        ("The director of Grey Salt is Brell.", "The director of Grey Salt is Ona Brell."),
        ("The country of Ona Brell is US.", "The country of Ona Brell is United States."),
        ("It was released in 1990.", "It was released in 1991."),  # no subject is named
        ("Yes.", "No."),
    ],
)
def test_no_contradiction(earlier: str, later: str) -> None:
    assert compare(earlier, later)[1] == 0.0
    assert compare(later, earlier)[1] == 0.0


def test_a_line_is_compared_with_all_earlier_ones() -> None:
    chain = follow(("", "Tiv has 12 mills."), ("", "It rains."), ("", "Tiv has 14 mills."), ("", "it rains"))
    measures = list(measure_consistency(chain))
    assert of_steps(measures, "contradiction") == [NO_EARLIER_LINE, 0.0, 1.0, 0.0, ANSWER_NOT_COMPARED]
    assert of_steps(measures, "repetition") == [NO_EARLIER_LINE, 0.0, 0.0, 1.0, ANSWER_NOT_COMPARED]


def test_empty_lines_are_neither_compared_nor_compared_with() -> None:
    measures = list(measure_consistency(follow(("", ""), ("", "It rains."), ("", " ... "), ("", "It rains."))))
    reasons: list[float | str] = [EMPTY_LINE, NO_EARLIER_LINE, EMPTY_LINE]
    assert of_steps(measures, "repetition") == [*reasons, 1.0, ANSWER_NOT_COMPARED]
    assert of_steps(measures, "contradiction") == [*reasons, 0.0, ANSWER_NOT_COMPARED]


@given(st.lists(st.text(alphabet="Ona Brel12,.’'\u0301is no tЖß", max_size=30), max_size=4))
def test_any_text_is_compared(lines: list[str]) -> None:
    measures = list(measure_consistency(follow(*[("", line) for line in lines])))
    assert len(measures) == 2 * (len(lines) + 1)
    assert {measure.value.value for measure in measures} <= {0.0, 1.0, None}
