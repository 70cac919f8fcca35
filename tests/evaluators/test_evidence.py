from typing import Any

import pytest

from evaluators.evidence import gold_triples, score_evidence

TRIPLES = [["The Lake Tiv", "river", "Ona"], ["Ona", "mouth", "Sea of Mor"]]
IDS = [("Q1", "Q2"), ("Q2", "Q3")]
ALIASES = {"Q2": frozenset({"River Ona", "Onä"}), "Q3": frozenset({"Mor"}), "Q9": frozenset({"Elsewhere"})}


def test_exact_triples_keep_their_articles() -> None:
    gold = gold_triples(TRIPLES, [])
    assert score_evidence([["the lake  tiv.", "River", "ona"], TRIPLES[1]], gold) == (1.0, 1.0, 1.0, 1.0)
    assert score_evidence([["Lake Tiv", "river", "Ona"], TRIPLES[1]], gold) == (0.0, 0.5, 0.5, 0.5)


def test_aliases_count_for_subject_and_object_of_their_own_triple() -> None:
    gold = gold_triples(TRIPLES, IDS, ALIASES)
    assert score_evidence([["the lake tiv", "river", "Onä"], ["River Ona", "mouth", "Mor"]], gold)[0] == 1.0
    assert score_evidence([["Elsewhere", "river", "Ona"], ["Mor", "mouth", "Ona"]], gold) == (0.0, 0.0, 0.0, 0.0)


def test_without_ids_there_are_no_aliases() -> None:
    gold = gold_triples(TRIPLES, [], ALIASES)
    assert [(triple.subjects, triple.objects) for triple in gold] == [
        ({"the lake tiv"}, {"ona"}),
        ({"ona"}, {"sea of mor"}),
    ]


def test_partial_by_hand() -> None:
    # one of three said is right, one of two gold ones is said: 2 * 1/3 * 1/2 / (5/6) = 2/5
    said = [TRIPLES[1], ["x", "y", "z"], ["Ona", "mouth", "Tiv"], TRIPLES[1]]
    assert score_evidence(said, gold_triples(TRIPLES, [])) == (0.0, pytest.approx(0.4), pytest.approx(1 / 3), 0.5)


def test_two_names_of_one_triple_are_two_matches_as_in_the_script() -> None:
    gold = gold_triples(TRIPLES[:1], IDS[:1], ALIASES)
    said = [["The Lake Tiv", "river", "Ona"], ["The Lake Tiv", "river", "Onä"]]
    assert score_evidence(said, gold) == (0.0, pytest.approx(4 / 3), 1.0, 2.0)


def test_nothing_said() -> None:
    assert score_evidence([], gold_triples(TRIPLES, [])) == (0.0, 0.0, 0.0, 0.0)
    assert score_evidence([], ()) == (1.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("said", [None, "x", [["a", "b"]], [["a", "b", 3]], ["abc"], {"a": "b"}])
def test_triples_at_fault(said: Any) -> None:
    with pytest.raises(ValueError, match="triples"):
        score_evidence(said, gold_triples(TRIPLES, []))
    with pytest.raises(ValueError, match="triples"):
        gold_triples(said, [])


def test_ids_of_another_number_of_triples() -> None:
    with pytest.raises(ValueError, match="2 triples, but 'evidences_id' has 1"):
        gold_triples(TRIPLES, IDS[:1], ALIASES)
