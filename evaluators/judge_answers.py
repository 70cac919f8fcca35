"""What a judge may answer: the JSON schema of a call, and the strict reading of what comes back.

A server that keeps the schema can answer nothing else; one that ignores it is read by the same rules. What is not
exactly one object of the right shape counts for nothing: it is unscored, never passed and never 0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from evaluators.judge_prompts import Asked
from steper_core.texts import one_line

_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_CODE_BLOCK = re.compile(r"\A```(?:json)?\s*\n(.*)\n\s*```\Z", re.DOTALL)
_SHOWN = 60


class UnusableAnswerError(Exception):
    """An answer that gives no verdict; its text says why."""


@dataclass(frozen=True)
class Verdicts:
    """What a judge decided: values by name, error tags, and its reasons."""

    values: dict[str, float]
    tags: tuple[str, ...]
    explanation: str


def schema_of(asked: Sequence[Asked], tags: Collection[str]) -> dict[str, Any]:
    """The JSON schema of an answer: the reasons first, then tags if the rubric has some, then a label a verdict."""
    properties: dict[str, Any] = {"explanation": {"type": "string"}}
    if tags:
        # A weak model held to the schema would otherwise list tags until its tokens are used up.
        items = {"type": "string", "enum": list(tags)}
        properties["tags"] = {"type": "array", "items": items, "maxItems": len(tags)}
    for each in asked:
        properties[each.name] = {"type": "string", "enum": list(each.labels)}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def read_answer(text: str, asked: Sequence[Asked], tags: Collection[str]) -> Verdicts:
    """The verdicts in an answer that is one JSON object; a code block around it or thoughts before it do no harm.

    An object inside other text is not taken: it may be an echo of what was judged.

    Raises:
        UnusableAnswerError: no such object, a missing, doubled or unknown key, or a label that the rubric lacks.
    """
    answer = _object(text)
    expected = ["explanation", *(["tags"] if tags else []), *(each.name for each in asked)]
    for key in expected:
        if key not in answer:
            raise UnusableAnswerError(f"the answer lacks {key!r}")
    for key in answer:
        if key not in expected:
            raise UnusableAnswerError(f"the answer has an unknown key {_short(key)}")
    if next(iter(answer)) != "explanation":
        raise UnusableAnswerError("the verdict stands before its explanation")
    explanation = answer["explanation"]
    if not isinstance(explanation, str) or not explanation.strip():
        raise UnusableAnswerError("the explanation is empty")
    values = {each.name: _value(answer[each.name], each) for each in asked}
    return Verdicts(values, _tags(answer["tags"], tags) if tags else (), one_line(explanation))


def _object(text: str) -> dict[str, Any]:
    bare = _THOUGHTS.sub("", text).strip()
    block = _CODE_BLOCK.match(bare)
    try:
        found = json.loads(block[1] if block else bare, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise UnusableAnswerError("the answer is not one JSON object") from error
    if not isinstance(found, dict):
        raise UnusableAnswerError("the answer is not one JSON object")
    return found


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise UnusableAnswerError("the answer gives a key twice")
    return found


def _value(label: Any, asked: Asked) -> float:
    if not isinstance(label, str) or label not in asked.labels:
        raise UnusableAnswerError(f"the answer gives {asked.name!r} the unknown verdict {_short(label)}")
    return float(asked.labels[label])


def _tags(given: Any, known: Collection[str]) -> tuple[str, ...]:
    if not isinstance(given, list):
        raise UnusableAnswerError("the tags are not a list")
    for tag in given:
        if not isinstance(tag, str) or tag not in known:
            raise UnusableAnswerError(f"the answer has an unknown tag {_short(tag)}")
    return tuple(dict.fromkeys(given))


def _short(value: Any) -> str:
    shown = one_line(repr(value))
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
