"""A small project labelled by hand, as files hold it."""

from __future__ import annotations

import datetime
from typing import Any

from app.label_records import ChainWords, ItemName, LabelChange, LabelFile, ProjectSettings, Share, StepWords

MOMENT = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)

RUBRIC: dict[str, Any] = {
    "name": "small",
    "version": "1",
    "summary": "s",
    "instructions": "i",
    "steps": [
        {
            "name": "rating",
            "asks": "a",
            "labels": [
                {"name": "bad", "value": -1, "key": "1"},
                {"name": "neutral", "value": 0, "key": "2"},
                {"name": "good", "value": 1, "key": "3"},
            ],
        }
    ],
    "chain": [
        {
            "name": "aggregation",
            "asks": "a",
            "ability": "aggregation",
            "labels": [{"name": "no", "value": 0, "key": "1"}, {"name": "yes", "value": 1, "key": "2"}],
        }
    ],
    "tags": [{"name": "wrong_entity", "key": "w", "means": "m"}, {"name": "premature", "key": "x", "means": "m"}],
}

FIRST = ItemName(run_uid="r1", run="eval", dataset="worlds", question="q1", position=0)
CONTROL = ItemName(
    run_uid="r1", run="eval", dataset="worlds", question="q2", position=1, control=True, reference={"1/rating": -1}
)
UNTOUCHED = ItemName(run_uid="r1", run="eval", dataset="worlds", question="q3", position=2)


def words(*lines: str) -> ChainWords:
    abilities = ("initialization", "aggregation")
    return ChainWords(
        "Who?",
        "Ann",
        "Bob",
        tuple(StepWords(n, ability, line) for n, ability, line in zip((1, 2), abilities, lines, strict=True)),
    )


def change(uid: str, number: int, field: str, value: Any = None, seconds: float | None = None) -> LabelChange:
    """A change; its time in seconds after MOMENT is the number in its uid."""
    at = MOMENT + datetime.timedelta(seconds=int(uid[1:]))
    return LabelChange(uid=uid, number=number, field=field, value=value, at=at, seconds=seconds)


ANN = Share(
    FIRST,
    "Ann",
    "label",
    "submitted",
    (
        change("a1", 1, "rating", 1.0),
        change("a2", 1, "rating", -1.0),
        change("a3", 1, "tags", ("wrong_entity",)),
        change("a4", 2, "rating", 0.0),
        change("a5", 2, "comment", '=HYPERLINK(1)\nsecond, "line"'),
        change("a6", 0, "aggregation", 0.0),
        change("a7", 0, "submit", None, 12.5),
    ),
)
BOB = Share(FIRST, "=Bob", "label", "held", (change("b1", 1, "rating", 1.0), change("b2", 1, "rating", None)))
CAROL = Share(CONTROL, "'Carol", "label", "skipped", (change("c1", 0, "skip"),))

LABELS = LabelFile(
    project=ProjectSettings(name="first", rubric=RUBRIC, overlap=2, seed=3, sample={"sample": "random"}, closed=True),
    items=(FIRST, CONTROL, UNTOUCHED),
    shares=(ANN, BOB, CAROL),
    words={FIRST.chain: words("It is here.", "So: Bob"), CONTROL.chain: words("Yes.", "So: no")},
)
