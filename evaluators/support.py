"""Supporting facts and paragraphs against the gold ones, by the rules of each dataset's own evaluation script.

A prediction is whatever stood in a file: it is checked here, where it is used, and a fault raises ValueError with what
it should have been.
"""

from __future__ import annotations

from collections.abc import Iterable

SetScore = tuple[float, float, float, float]
"""Exact match, F1, precision and recall of two sets, as fractions."""

_ALL: SetScore = (1.0, 1.0, 1.0, 1.0)
_NONE: SetScore = (0.0, 0.0, 0.0, 0.0)
Facts = frozenset[tuple[str, int]]
"""Supporting facts: titles, each with the number of a sentence."""

_FACTS = "must be a list of pairs: [title, sentence number]"
_PARAGRAPHS = "must be a list of paragraph numbers"


def set_score(right: int, wrong: int, missed: int) -> SetScore:
    """The figures of a set of which `right` members agree, `wrong` are not gold, and `missed` gold ones are not in it.

    Two empty sets are an exact match, but F1, precision and recall are 0 wherever nothing is right (HotpotQA,
    2WikiMultiHopQA).
    """
    if not right:
        return _NONE if wrong or missed else (1.0, 0.0, 0.0, 0.0)
    precision, recall = right / (right + wrong), right / (right + missed)
    return float(not wrong and not missed), 2 * precision * recall / (precision + recall), precision, recall


def gold_facts(value: object) -> Facts:
    """The gold facts of a list of [title, sentence number].

    Raises:
        ValueError: it is no such list.
    """
    facts = _pairs(value)
    if not all(isinstance(title, str) and isinstance(number, int) for title, number in facts):
        raise ValueError(_FACTS)
    return frozenset(facts)  # type: ignore[arg-type]


def score_facts(said: object, gold: Facts, *, fold_case: bool) -> SetScore:
    """Compare predicted supporting facts, a list of [title, sentence number], with the gold ones.

    Case matters for HotpotQA and not (`fold_case`) for 2WikiMultiHopQA, whose script makes sets before it folds: titles
    that differ in case alone count twice.

    Raises:
        ValueError: the prediction is no list of pairs.
    """
    facts = _pairs(said)
    if fold_case:
        return _agree_folded(facts, gold)
    right = len(facts & gold)
    return set_score(right, len(facts) - right, len(gold) - right)


def score_paragraphs(said: object, gold: frozenset[int]) -> SetScore:
    """Compare predicted supporting paragraphs with the gold ones by number (MuSiQue); two empty sets agree in all.

    Raises:
        ValueError: the prediction is no list of whole numbers.
    """
    if not isinstance(said, list):
        raise ValueError(_PARAGRAPHS)
    try:
        numbers = {int(number) for number in said}
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(_PARAGRAPHS) from error
    if not numbers and not gold:
        return _ALL
    right = len(numbers & gold)
    return set_score(right, len(numbers) - right, len(gold) - right)


def _pairs(value: object) -> set[tuple[object, object]]:
    if not isinstance(value, list):
        raise ValueError(_FACTS)
    try:
        return {(title, number) for title, number in value}
    except (TypeError, ValueError) as error:
        raise ValueError(_FACTS) from error


def _agree_folded(said: Iterable[tuple[object, object]], gold: Facts) -> SetScore:
    said_facts, gold_facts = ([_folded(*fact) for fact in facts] for facts in (said, gold))
    right = sum(fact in gold_facts for fact in said_facts)
    missed = sum(fact not in said_facts for fact in gold_facts)
    return set_score(right, len(said_facts) - right, missed)


def _folded(title: object, number: object) -> tuple[str, object]:
    if not isinstance(title, str):
        raise ValueError(_FACTS)
    return title.lower(), number
