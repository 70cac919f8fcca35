"""What people said of the same things, by hand: what holds, where they differ, who is reliable, who is replaceable."""

from __future__ import annotations

import pytest

from evaluators.agreement import Unit
from evaluators.people import (
    Disagreement,
    GivenLabel,
    Proportion,
    control_accuracy,
    disagreements,
    place_in,
    ratings_of,
    resolve,
    unit_of,
)
from evaluators.replacement import replacement, sentence


def label(
    item: int, number: int, value: float, annotator: str, role: str = "label", field: str = "rating"
) -> GivenLabel:
    return GivenLabel(item, f"q{item}", number, field, value, annotator, role, "expansion")


LABELS = [
    label(1, 1, 1, "ann"),
    label(1, 1, 1, "bob"),
    label(1, 1, -1, "eve"),
    label(1, 2, 0, "ann"),
    label(1, 2, 1, "bob"),
    label(2, 1, 1, "ann"),
    label(2, 1, -1, "bob"),
    label(2, 1, -1, "zoe", "adjudicate"),
    label(2, 2, 0, "ann"),
]


def test_a_decision_holds_before_the_majority_and_a_tie_holds_nothing() -> None:
    assert resolve(LABELS) == {(1, 1, "rating"): 1, (2, 1, "rating"): -1, (2, 2, "rating"): 0}


def test_disagreements_are_told_farthest_apart_first() -> None:
    assert disagreements(LABELS) == (
        Disagreement(1, 1, "rating", {"ann": 1, "bob": 1, "eve": -1}, 2, None),
        Disagreement(2, 1, "rating", {"ann": 1, "bob": -1}, 2, -1),
        Disagreement(1, 2, "rating", {"ann": 0, "bob": 1}, 1, None),
    )


def test_control_accuracy_counts_the_known_labels_that_were_given() -> None:
    found = control_accuracy(LABELS, {1: {(1, "rating"): 1, (2, "rating"): 1, (3, "rating"): 0}})
    assert {name: (share.right, share.n) for name, share in found.items()} == {
        "ann": (1, 2),
        "bob": (2, 2),
        "eve": (0, 1),
    }
    # Wilson with z = 1.95996: (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), here p = 1/2 and n = 2.
    assert (found["ann"].low, found["ann"].high) == (pytest.approx(0.0945, abs=1e-4), pytest.approx(0.9055, abs=1e-4))
    assert control_accuracy(LABELS, {}) == {}
    assert Proportion(0, 0, None, None).n == 0


def test_ratings_leave_decisions_out_and_keep_places_of_one_question_apart() -> None:
    ratings = ratings_of([*LABELS, label(1, 1, 1, "ann", field="other")], "rating")
    assert sorted(ratings) == ["ann", "bob", "eve"]
    assert ratings["ann"] == {
        unit_of("q1", 1, 1, "expansion"): 1,
        unit_of("q1", 1, 2, "expansion"): 0,
        unit_of("q2", 2, 1, "expansion"): 1,
        unit_of("q2", 2, 2, "expansion"): 0,
    }
    assert place_in(unit_of("q", 7, 3, "")) == (7, 3)
    assert unit_of("q", 7, 3, "") != unit_of("q", 8, 3, "")


def units(values: list[float]) -> dict[Unit, float]:
    return {(f"q{place}", 1, ""): value for place, value in enumerate(values)}


ANN, BOB = [1.0, 0.0] * 20, [1.0, 0.0] * 18 + [0.0, 1.0, 0.0, 1.0]
"""Forty questions; ann and bob agree on 36."""


def test_a_judge_that_agrees_with_people_as_they_do_is_good_enough() -> None:
    found = replacement({"ann": units(ANN), "bob": units(BOB)}, units(ANN))
    # With ann on all 40 and with bob on 36: 38 of 40 on average, against 36.
    assert (found.machine, found.people, found.difference) == pytest.approx((0.95, 0.9, 0.05))
    assert found.outcome == "good enough" and (found.units, found.questions) == (40, 40)
    assert found.low is not None and found.low >= 0
    assert sentence(found, "the judge", "rating").startswith(
        "On rating the judge can stand in for labels: 95.0 % agreement with people against 90.0 % among them, +5.0"
    )


def test_a_judge_at_chance_is_not_and_a_few_questions_tell_nothing() -> None:
    always = units([1.0] * 40)
    found = replacement({"ann": units(ANN), "bob": units(BOB)}, always)
    assert found.outcome == "not good enough" and found.machine == pytest.approx(0.5)
    few = replacement({"ann": units(ANN[:9]), "bob": units(BOB[:9])}, always)
    assert (few.outcome, few.reason) == ("cannot be told", "fewer than 10 questions")
    assert "it cannot be told whether the judge can stand in" in sentence(few, "the judge", "rating")
    one = replacement({"ann": units([1.0]), "bob": units([1.0])}, always)
    assert (one.outcome, one.low, one.reason) == ("cannot be told", None, "one question")


def test_people_who_agree_by_chance_are_no_measure_for_a_judge() -> None:
    # Of each four questions the two agree on two, one of each label: as often as two coins would.
    coin = [1.0, 1.0, 0.0, 0.0] * 10
    found = replacement({"ann": units(ANN), "bob": units(coin)}, units(ANN))
    assert found.people == pytest.approx(0.5) and found.machine == pytest.approx(0.75)
    assert (found.outcome, found.reason) == ("cannot be told", "people agree with each other no better than chance")


@pytest.mark.parametrize(
    ("people", "machine", "reason"),
    [
        ({}, units(ANN), "no person labelled it"),
        ({"ann": units(ANN)}, units(ANN), "no two people labelled the same thing"),
        ({"ann": units(ANN), "bob": units(BOB)}, {}, "it labelled nothing"),
        (
            {"ann": units(ANN), "bob": units(BOB)},
            {("other", 1, ""): 1.0},
            "it labelled nothing that two people labelled",
        ),
    ],
)
def test_where_nothing_can_be_compared_the_reason_is_told(
    people: dict[str, dict[Unit, float]], machine: dict[Unit, float], reason: str
) -> None:
    found = replacement(people, machine)
    assert (found.machine, found.units, found.outcome) == (None, 0, "cannot be told")
    assert found.reason is not None and found.reason.startswith(reason)
    assert sentence(found, "the judge", "rating").startswith("On rating nothing can be said of the judge: ")


def test_steps_of_one_question_are_drawn_together() -> None:
    spread = {(f"q{place}", 1, ""): float(place % 2) for place in range(40)}
    packed = {("q0" if place < 20 else f"q{place}", place, ""): float(place % 2) for place in range(40)}
    flipped = {unit: 1 - value if index % 3 else value for index, (unit, value) in enumerate(spread.items())}
    packed_flipped = dict(zip(packed, flipped.values(), strict=True))
    wide = replacement({"a": packed, "b": packed}, packed_flipped)
    narrow = replacement({"a": spread, "b": spread}, flipped)
    assert (wide.questions, narrow.questions) == (21, 40)
    assert wide.difference == pytest.approx(narrow.difference or 0)
