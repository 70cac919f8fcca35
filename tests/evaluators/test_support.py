from typing import Any

import pytest

from evaluators.support import gold_facts, score_facts, score_paragraphs, set_score

GOLD = gold_facts([["Lake Tiv", 0], ["Ona", 2]])


def test_agreement_by_hand() -> None:
    # 2 of 3 said are right, 2 of 4 gold ones were said: F1 = 2 * 2/3 * 1/2 / (7/6) = 4/7
    assert set_score(2, 1, 2) == (0.0, pytest.approx(4 / 7), 2 / 3, 0.5)
    assert set_score(2, 0, 0) == (1.0, 1.0, 1.0, 1.0)
    assert set_score(0, 1, 1) == (0.0, 0.0, 0.0, 0.0)
    assert set_score(0, 0, 0) == (1.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([["Ona", 2], ["Lake Tiv", 0]], (1.0, 1.0, 1.0, 1.0)),
        ([["Ona", 2], ["Ona", 2]], (0.0, 2 / 3, 1.0, 0.5)),
        ([["Ona", 1], ["Ona", 2], ["lake tiv", 0]], (0.0, 0.4, 1 / 3, 0.5)),
        ([], (0.0, 0.0, 0.0, 0.0)),
    ],
)
def test_facts_are_a_set_and_case_matters(said: Any, expected: tuple[float, ...]) -> None:
    assert score_facts(said, GOLD, fold_case=False) == pytest.approx(expected)


def test_facts_with_folded_case() -> None:
    assert score_facts([["ONA", 2], ["lake tiv", 0]], GOLD, fold_case=True) == (1.0, 1.0, 1.0, 1.0)
    # As in the script: two spellings are two right ones of the two said, and one gold fact is missed.
    precision, recall = 1.0, 2 / 3
    expected = (0.0, 2 * precision * recall / (precision + recall), precision, recall)
    assert score_facts([["ONA", 2], ["ona", 2]], GOLD, fold_case=True) == pytest.approx(expected)


@pytest.mark.parametrize("said", [None, "Ona", {"Ona": 2}, ["Ona"], [["Ona"]], [["Ona", 2, 3]], [["Ona", [2]]], [2]])
@pytest.mark.parametrize("fold_case", [False, True])
def test_facts_at_fault(said: Any, fold_case: bool) -> None:
    with pytest.raises(ValueError, match="pairs"):
        score_facts(said, GOLD, fold_case=fold_case)


def test_a_title_that_is_no_text_cannot_be_folded() -> None:
    with pytest.raises(ValueError, match="pairs"):
        score_facts([[3, 2]], GOLD, fold_case=True)


@pytest.mark.parametrize("value", [[["Ona", "2"]], [[1, 2]], [["Ona"]], "Ona"])
def test_gold_facts_at_fault(value: Any) -> None:
    with pytest.raises(ValueError, match="pairs"):
        gold_facts(value)


@pytest.mark.parametrize(
    ("said", "gold", "em", "f1"),
    [
        ([3, 1, 3], {1, 3}, 1.0, 1.0),
        ([1, 2, 4], {1, 3}, 0.0, 0.4),
        (["1", 3.0], {1, 3}, 1.0, 1.0),
        ([], {1}, 0.0, 0.0),
        ([1], set(), 0.0, 0.0),
        ([], set(), 1.0, 1.0),
    ],
)
def test_paragraphs(said: Any, gold: set[int], em: float, f1: float) -> None:
    assert score_paragraphs(said, frozenset(gold))[:2] == (em, pytest.approx(f1))


@pytest.mark.parametrize("said", [None, 3, "3", [None], ["one"], [[1]], [float("inf")]])
def test_paragraphs_at_fault(said: Any) -> None:
    with pytest.raises(ValueError, match="paragraph numbers"):
        score_paragraphs(said, frozenset({1}))
