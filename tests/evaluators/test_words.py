import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.words import Kind, read_words, word_keys


def kinds(text: str, kind: Kind) -> list[str]:
    return [text[word.start : word.end] for word in read_words(text) if word.kind is kind]


def keys(text: str) -> list[str]:
    return [word.key for word in read_words(text)]


def test_kinds_and_places() -> None:
    text = "The films of Ona Brell  were shown in 1990, 4th."
    words = read_words(text)
    assert [(text[word.start : word.end], word.key, word.kind.value) for word in words] == [
        ("The", "the", "function"),
        ("films", "film", "word"),
        ("of", "of", "function"),
        ("Ona", "ona", "name"),
        ("Brell", "brell", "name"),
        ("were", "were", "function"),
        ("shown", "shown", "word"),
        ("in", "in", "function"),
        ("1990", "1990", "number"),
        ("4th", "4th", "number"),
    ]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Tiv was founded late.", ["Tiv"]),
        ("Tiv's mayor left.", ["Tiv"]),
        ("Ona Brell left.", ["Ona", "Brell"]),
        ("Saint-Denis lies north.", ["Saint", "Denis"]),
        ("Directed by Ona.", ["Ona"]),  # the first word of a sentence is no name without a sign
        ("It rained. Later Ona left.", ["Later", "Ona"]),  # two capitals in a row look like one name
        ("It rained. Born here, she left.", []),
        ("Left Of Tiv", ["Tiv"]),
        ("She met J. R. Vask there.", ["J", "R", "Vask"]),
        ("It is, as Dr. Vask says, late.", ["Dr", "Vask"]),
        ("May I see it in May?", ["May"]),
        ("Ask us in the US now.", ["US"]),
        ("He said no. It is What It Was.", []),
        ("in lower case: ona brell", []),
    ],
)
def test_names(text: str, names: list[str]) -> None:
    assert kinds(text, Kind.NAME) == names


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("12,000", "12000"),
        ("Kovač", "Kovac"),
        ("Malmo\u0308", "Malmö"),
        ("O’Brien", "O'Brien"),
        ("director’s", "director's"),
        ("Straße", "STRASSE"),
        ("stars", "starred"),
    ],
)
def test_spellings_of_one_word(one: str, other: str) -> None:
    assert keys(f"x {one}") == keys(f"x {other}")
    assert set(keys(f"x {one}")) <= word_keys(f"x {other}")


def test_different_words_stay_apart() -> None:
    assert "1980" not in word_keys("in the 1980s")
    assert "3.5" in word_keys("it is 3.5, or 4.")
    assert "35" not in word_keys("it is 3.5, or 4.")
    assert word_keys("Brell's dog") == {"brell", "s", "dog"}


def test_reading_starts_where_it_is_told() -> None:
    text = "So the answer is: Tiv"
    (word,) = read_words(text, text.index(":"))
    assert (text[word.start : word.end], word.kind) == ("Tiv", Kind.NAME)


def test_texts_without_words() -> None:
    assert read_words("") == read_words(" -- \u0301 !") == []
    assert word_keys("!?") == frozenset()


@given(st.text(max_size=60))
def test_any_text_is_read_in_order_and_its_words_are_found_in_it(text: str) -> None:
    words = read_words(text)
    places = [place for word in words for place in (word.start, word.end)]
    assert places == sorted(places)
    assert all(word.start < word.end <= len(text) for word in words)
    assert {word.key for word in words} <= word_keys(text)
