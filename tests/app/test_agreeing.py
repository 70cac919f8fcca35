"""People, judges and metrics on the same items, by hand."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import pytest

from app.agreeing import RESOLVED, TAG, Material, findings, subjects
from app.views.agreement_tables import confusion_data, machine_table, pairs_of, people_table, sides_of, units_in
from db.annotation_views import LabelRow
from db.queries_people import ItemScore, ItemVote
from evaluators.label_rubric import load_label_rubric
from evaluators.people import Proportion, place_in

RUBRIC = load_label_rubric("steps")
AT = datetime.datetime(2026, 11, 24, tzinfo=datetime.UTC)


def label(item: int, who: str, value: Any, number: int = 1, field: str = "rating", role: str = "label") -> LabelRow:
    return LabelRow(item, "run", item, f"q{item}", number, field, value, who, role, "submitted", AT)


def vote(item: int, rating: float, number: int = 1, tags: tuple[str, ...] = (), run: str = "judge-a") -> ItemVote:
    return ItemVote(item, number, f"uid of {run}", run, {"rating": rating}, tags)


def measured(item: int, value: float | None, version: str = "1") -> ItemScore:
    return ItemScore(item, 1, "sub_answer", value, version)


def material(labels: list[LabelRow], votes: list[ItemVote] | None = None, scores: Any = ()) -> Material:
    abilities = {(item, number): ("initialization", "expansion")[number - 1] for item in range(20) for number in (1, 2)}
    return Material(RUBRIC, tuple(labels), abilities, tuple(votes or ()), tuple(scores))


ANN = [label(item, "ann", 1.0 if item % 2 else -1.0) for item in range(12)]
BOB = [label(item, "bob", 1.0 if item % 2 or item == 0 else -1.0) for item in range(12)]
"""They differ on item 0 alone."""


def test_everything_that_was_asked_can_be_asked_about() -> None:
    assert list(subjects(RUBRIC))[:3] == ["rating", "verdict", "tag:unsupported"]
    assert subjects(RUBRIC)["tag:wrong_entity"] == "tag wrong entity"


def test_people_are_the_ceiling_and_decisions_are_no_part_of_it() -> None:
    found = findings(material([*ANN, *BOB, label(0, "zoe", -1.0, role="adjudicate")]), "rating")
    assert found.people.raters == ("ann", "bob")
    assert found.people.overall.raw.value == pytest.approx(11 / 12)
    (pair,) = found.people.overall.pairs
    # Chance: ann has 6 of 12 good, bob 7: (6*7 + 6*5) / 144 = 1/2; kappa is (11/12 - 1/2) / (1/2).
    assert pair.kappa.value == pytest.approx(5 / 6)
    resolved = {place_in(unit): value for unit, value in found.ratings[RESOLVED].items()}
    assert resolved[0, 1] == -1.0 and len(resolved) == 12
    assert found.machines == ()


def test_a_judge_is_held_against_what_people_say_in_the_end() -> None:
    # Two votes of three say what ann says; of other runs' rubric only verdicts of the same name and values count.
    votes = [vote(item, 1.0 if item % 2 else -1.0) for item in range(12) for _ in range(2)]
    votes += [vote(item, 0.0) for item in range(12)]
    votes += [ItemVote(0, 1, "u2", "other", {"rating": 7.0}, ()), ItemVote(0, 1, "u3", "third", {"x": 1.0}, ())]
    found = findings(material([*ANN, *BOB], votes), "rating")
    (judge,) = found.machines
    assert (judge.name, judge.kind, judge.binary) == ("judge judge-a", "judge", False)
    # Item 0 has no majority among people: eleven are left, all equal.
    assert (judge.against[""].raw.value, judge.against[""].raw.units) == (1.0, 11)
    assert set(judge.against) == {"", "initialization"}
    assert judge.replacements[""].outcome == "good enough"
    assert judge.sentences[0].startswith("On all labels judge judge-a can stand in for labels: ")


def test_two_runs_of_one_name_are_two_judges() -> None:
    votes = [vote(item, 1.0 if item % 2 else -1.0) for item in range(12)]
    votes += [dataclasses.replace(each, judge_uid="0123456789", verdicts={"rating": 1.0}) for each in votes]
    first, second = findings(material([*ANN, *BOB], votes), "rating").machines
    assert (first.name, second.name) == ("judge judge-a (uid of j)", "judge judge-a (01234567)")
    assert (first.against[""].raw.units, second.against[""].raw.units) == (11, 11)
    assert first.against[""].raw.value == 1.0 and second.against[""].raw.value == pytest.approx(6 / 11)


def test_questions_of_two_worlds_that_share_a_key_are_two_questions() -> None:
    labels = [dataclasses.replace(each, question_key=f"w0-test-{each.item_id % 6}") for each in [*ANN, *BOB]]
    shared, apart = (findings(material(each), "rating").people.overall.raw for each in (labels, [*ANN, *BOB]))
    assert shared == apart


def test_votes_that_tie_are_no_label() -> None:
    votes = [vote(1, 1.0), vote(1, -1.0), vote(3, 1.0)]
    (judge,) = findings(material([*ANN, *BOB], votes), "rating").machines
    assert judge.against[""].raw.units == 1


def test_a_metric_knows_best_or_not() -> None:
    scores = [measured(item, float(item % 2)) for item in range(12)]
    scores += [ItemScore(0, 0, "em", 1.0, "1"), ItemScore(0, 1, "grounding", 1.0, "1")]
    labels = [*ANN, *BOB, label(13, "ann", 0.0), label(13, "bob", 0.0)]
    found = findings(material(labels, scores=[*scores, measured(13, 0.0)]), "rating")
    (metric,) = found.machines
    assert (metric.name, metric.binary) == ("metric sub_answer", True)
    # Neutral is not the best label, and the metric says no: equal.
    assert (metric.against[""].raw.value, metric.against[""].raw.units) == (1.0, 12)
    one, other = sides_of(found, RESOLVED, "metric sub_answer", RUBRIC)
    assert set(one.values()) == set(other.values()) == {0.0, 1.0}


def test_of_two_versions_of_a_metric_the_newer_one_holds_though_it_did_not_score() -> None:
    first = [measured(item, float(item % 2 == 0), version="1.9") for item in range(12)]
    second = [measured(item, None if item == 3 else float(item % 2), version="1.10") for item in range(12)]
    for scores in ([*first, *second], [*second, *first]):
        (metric,) = findings(material([*ANN, *BOB], scores=scores), "rating").machines
        # Item 0 is in dispute, item 3 unscored.
        assert (metric.against[""].raw.value, metric.against[""].raw.units) == (1.0, 10)


def test_a_tag_is_given_or_not_wherever_a_person_labelled_a_step() -> None:
    labels = [
        *ANN[:4],
        *BOB[:4],
        label(0, "ann", ("wrong_entity",), field="tags"),
        label(0, "bob", ("wrong_entity", "premature"), field="tags"),
        label(1, "bob", ("wrong_entity",), field="tags"),
        label(2, "ann", 1.0, number=0, field="verdict"),
    ]
    votes = [vote(0, 1.0, tags=("wrong_entity",)), vote(1, 1.0)]
    found = findings(material(labels, votes), f"{TAG}wrong_entity")
    (pair,) = found.people.overall.pairs
    assert (pair.raw.value, pair.raw.units) == (0.75, 4)
    (judge,) = found.machines
    assert (judge.against[""].raw.value, judge.against[""].raw.units) == (1.0, 1)
    assert found.level == "nominal"


def test_a_judge_that_was_not_asked_for_tags_did_not_leave_them_out() -> None:
    votes = [vote(item, 1.0) for item in range(12)] + [vote(1, 1.0, tags=("premature",), run="judge-b")]
    assert len(findings(material([*ANN, *BOB], votes), "rating").machines) == 2
    (judge,) = findings(material([*ANN, *BOB], votes), f"{TAG}wrong_entity").machines
    assert judge.name == "judge judge-b"


def test_a_decision_on_a_rating_leaves_the_tags_as_people_gave_them() -> None:
    given = [label(0, who, ("wrong_entity",), field="tags") for who in ("ann", "bob")]
    decided = label(0, "zoe", -1.0, role="adjudicate")
    found = findings(material([*ANN, *BOB, *given, decided]), f"{TAG}wrong_entity")
    resolved = {place_in(unit): value for unit, value in found.ratings[RESOLVED].items()}
    assert resolved[0, 1] == 1.0 and resolved[1, 1] == 0.0
    other = label(0, "zoe", ("premature",), field="tags", role="adjudicate")
    found = findings(material([*ANN, *BOB, *given, decided, other]), f"{TAG}wrong_entity")
    assert {place_in(unit): value for unit, value in found.ratings[RESOLVED].items()}[0, 1] == 0.0


def test_people_who_use_one_label_only_are_no_measure_for_a_judge() -> None:
    same = [label(item, who, 1.0) for item in range(12) for who in ("ann", "bob")]
    (judge,) = findings(material(same, [vote(item, 1.0) for item in range(12)]), "rating").machines
    assert judge.replacements[""].outcome == "cannot be told"
    assert "only one category was used" in judge.sentences[0]


def test_the_page_is_told_in_words() -> None:
    labels = [*ANN, *BOB, label(3, "ann", -1.0, number=2), label(3, "bob", 1.0, number=2)]
    found = findings(material(labels, [vote(item, 1.0) for item in range(12)]), "rating")
    people = people_table(found, {"ann": Proportion(3, 4, 0.3, 0.95)})
    assert [row["label"] for row in people["rows"]] == ["all people", "", "", "ann and bob"]
    assert [row["chip"]["short"] for row in people["rows"] if row["chip"]] == ["init", "exp"]
    assert people["foot"] == ["Control items: ann 75.0 [30.0, 95.0] of 4 known labels."]
    assert machine_table(found.machines)["rows"][0]["label"] == "judge judge-a"
    assert pairs_of(found) == [("ann", "bob"), (RESOLVED, "judge judge-a")]
    table = confusion_data(found, "ann", "bob", RUBRIC, (-1.0, 1.0))
    assert table["labels"] == ["bad", "good"]
    assert [[cell["count"] for cell in row] for row in table["cells"]] == [[5, 2], [0, 6]]
    assert table["cells"][0][1]["chosen"] and not table["cells"][0][1]["same"]
    places = [place_in(unit) for unit in units_in(found.ratings["ann"], found.ratings["bob"], (-1.0, 1.0))]
    assert sorted(places) == [(0, 1), (3, 2)]


def test_labels_that_are_all_equal_have_no_kappa_and_the_reason_is_told() -> None:
    found = findings(material([label(item, who, 1.0) for item in range(12) for who in ("a", "b")]), "rating")
    (row,) = [row for row in people_table(found, {})["rows"] if row["label"] == "a and b"]
    assert row["cells"][1]["main"] == "–" and "one category" in row["cells"][1]["title"]
