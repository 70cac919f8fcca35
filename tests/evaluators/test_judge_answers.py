"""Which answers count as verdicts, and what is said about those that do not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evaluators.judge_answers import UnusableAnswerError, read_answer, schema_of
from evaluators.judge_prompts import Asked

ASKED = (Asked("sound", "?", {"yes": 1.0, "no": 0.0}), Asked("rating", "?", {"good": 1.0, "bad": -1.0}))
TAGS = ("made_up", "repeated")
GOOD: dict[str, Any] = {"explanation": "It  follows.", "tags": ["repeated"], "sound": "no", "rating": "bad"}


def unusable(text: str) -> str:
    with pytest.raises(UnusableAnswerError) as caught:
        read_answer(text, ASKED, TAGS)
    assert len(str(caught.value).splitlines()) == 1 and len(str(caught.value)) < 200
    return str(caught.value)


def test_the_schema_asks_for_reasons_before_verdicts_and_for_nothing_else() -> None:
    schema = schema_of(ASKED, TAGS)
    assert list(schema["properties"]) == schema["required"] == ["explanation", "tags", "sound", "rating"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["rating"] == {"type": "string", "enum": ["good", "bad"]}
    assert schema["properties"]["tags"]["items"]["enum"] == ["made_up", "repeated"]
    assert "tags" not in schema_of(ASKED, ())["properties"]


@pytest.mark.parametrize(
    "wrap",
    [
        "{}",
        "\n {}\n",
        "```json\n{}\n```",
        "```\n{}\n```\n",
        '<think>Is it {{"sound": "yes"}}?</think>\n{}',
    ],
)
def test_one_object_is_read(wrap: str) -> None:
    found = read_answer(wrap.format(json.dumps(GOOD)), ASKED, TAGS)
    assert found.values == {"sound": 0.0, "rating": -1.0}
    assert (found.tags, found.explanation) == (("repeated",), "It follows.")


def test_reasons_are_one_clean_line() -> None:
    found = read_answer(json.dumps(GOOD | {"explanation": "a\ud800b\0\nc"}), ASKED, TAGS)
    assert found.explanation == "a\ufffdb c"


def test_a_tag_given_twice_counts_once() -> None:
    assert read_answer(json.dumps(GOOD | {"tags": ["made_up"] * 2}), ASKED, TAGS).tags == ("made_up",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yes",
        "null",
        "[]",
        json.dumps([GOOD]),
        json.dumps(json.dumps(GOOD)),
        json.dumps(GOOD)[:-3],
        f"Here it is: {json.dumps(GOOD)}",
        f"{json.dumps(GOOD)} I hope this helps.",
        f"{json.dumps(GOOD)}\n{json.dumps(GOOD)}",
        f"```json\n{json.dumps(GOOD)}\n```\n```json\n{json.dumps(GOOD)}\n```",
        f"<think>{json.dumps(GOOD)}",
        '{"a":' * 100_000,
    ],
)
def test_what_is_not_one_object_gives_no_verdict(text: str) -> None:
    assert unusable(text) == "the answer is not one JSON object"


@pytest.mark.parametrize("key", list(GOOD))
def test_a_missing_field_is_named(key: str) -> None:
    assert unusable(json.dumps({name: value for name, value in GOOD.items() if name != key})) == (
        f"the answer lacks {key!r}"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sound": "maybe"}, "'sound' the unknown verdict 'maybe'"),
        ({"sound": "Yes"}, "'sound' the unknown verdict 'Yes'"),
        ({"sound": 1}, "'sound' the unknown verdict 1"),
        ({"sound": None}, "'sound' the unknown verdict None"),
        ({"sound": True}, "'sound' the unknown verdict True"),
        ({"sound": ["yes"]}, "'sound' the unknown verdict ['yes']"),
        ({"sound": "yes" * 99}, "..."),
        ({"tags": ["bad_tag\n"]}, "unknown tag"),
        ({"tags": [["made_up"]]}, "unknown tag"),
        ({"tags": "made_up"}, "the tags are not a list"),
        ({"score": 1}, "unknown key 'score'"),
        ({"explanation": " "}, "the explanation is empty"),
        ({"explanation": 3}, "the explanation is empty"),
    ],
)
def test_a_field_of_the_wrong_kind_gives_no_verdict(change: dict[str, Any], said: str) -> None:
    assert said in unusable(json.dumps(GOOD | change))


def test_a_key_given_twice_gives_no_verdict() -> None:
    text = json.dumps(GOOD)
    assert unusable(text[:-1] + ', "sound": "yes"}') == "the answer gives a key twice"


def test_a_verdict_before_its_reasons_does_not_count() -> None:
    assert "before its explanation" in unusable(json.dumps(dict(reversed(GOOD.items()))))
