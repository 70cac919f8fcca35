"""Events of the workbench: what becomes a change, and what a stranger may send."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.annotating import read_events
from db.annotation_views import Change
from evaluators.label_rubric import load_label_rubric

RUBRIC = load_label_rubric("steps")
GOOD = {"uid": "u", "item": 4, "number": 1, "field": "rating", "value": 1}


def read(*events: Any) -> tuple[tuple[Change, ...], dict[str, str]]:
    return read_events({"nonce": "n", "events": list(events)}, RUBRIC)


def test_events_become_changes_in_their_order() -> None:
    events = [
        GOOD,
        {**GOOD, "uid": "t", "field": "tags", "value": ["premature", "repetition"]},
        {**GOOD, "uid": "c", "number": 0, "field": "comment", "value": "well"},
        {**GOOD, "uid": "v", "number": 0, "field": "verdict", "value": 0.5},
        {**GOOD, "uid": "x", "value": None},
        {**GOOD, "uid": "s", "number": 0, "field": "submit", "value": None, "seconds": 12.5},
    ]
    changes, refused = read(*events)
    assert refused == {}
    assert [(change.uid, change.number, change.field, change.value, change.seconds) for change in changes] == [
        ("u", 1, "rating", 1.0, None),
        ("t", 1, "tags", ("premature", "repetition"), None),
        ("c", 0, "comment", "well", None),
        ("v", 0, "verdict", 0.5, None),
        ("x", 1, "rating", None, None),
        ("s", 0, "submit", None, 12.5),
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"value": 7}, "unknown value 7.0 of rating"),
        ({"value": True}, "a label is a number"),
        ({"value": "good"}, "unknown value 'good'"),
        ({"field": "verdict"}, "unknown field 'verdict' of a step"),
        ({"field": "tags", "value": ["<b>"]}, "unknown tag '<b>'"),
        ({"field": "tags", "value": "premature"}, "tags are a list"),
        ({"field": "submit"}, "submit is of the whole item"),
        ({"number": -1}, "field 'number'"),
        ({"item": "4; DROP TABLE"}, "field 'item'"),
        ({"item": 2**70}, "field 'item'"),
        ({"field": "submit", "number": 0, "seconds": float("nan")}, "field 'seconds'"),
        ({"field": "submit", "number": 0, "seconds": 1e308}, "field 'seconds'"),
        ({"field": "comment", "value": "x" * 20_001}, "a comment of 20,001 characters"),
    ],
)
def test_what_is_no_label_is_refused_with_its_reason_and_the_rest_goes_on(change: dict[str, Any], reason: str) -> None:
    changes, refused = read({**GOOD, **change}, {**GOOD, "uid": "next"})
    assert [each.uid for each in changes] == ["next"]
    assert reason in refused["u"]


@pytest.mark.parametrize("queue", [None, 3, "x", [], {}, {"events": None}, {"events": [None, 1, {}, {"uid": 5}]}])
def test_what_is_no_queue_is_nothing(queue: Any) -> None:
    assert read_events(queue, RUBRIC) == ((), {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(st.fixed_dictionaries({"uid": JSON, "item": JSON, "number": JSON, "field": JSON, "value": JSON})))
def test_whatever_comes_is_a_change_or_refused(events: list[Any]) -> None:
    changes, refused = read(*events)
    assert len(changes) + len(refused) <= len(events)
