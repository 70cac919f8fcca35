"""Evidence triples (subject, relation, object) against the gold ones, by the rules of 2WikiMultiHopQA's script v1.1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from evaluators.answers import without_punctuation
from evaluators.support import SetScore, set_score

Aliases = Mapping[str, frozenset[str]]
"""Other names of an entity, by its id."""

_TRIPLES = "must be a list of triples: [subject, relation, object]"


class GoldTriple(NamedTuple):
    """A gold triple, normalised; any of the names of its subject and of its object is right."""

    subjects: frozenset[str]
    relation: str
    objects: frozenset[str]


def gold_triples(
    evidences: object, ids: Sequence[tuple[str, str]], aliases: Aliases | None = None
) -> tuple[GoldTriple, ...]:
    """Gold triples with the aliases of their subjects and objects; `ids` has both ids of each triple, or nothing.

    Raises:
        ValueError: the evidences are no list of triples of text, or there are ids of another number of triples.
    """
    triples = _triples(evidences)
    if ids and len(ids) != len(triples):
        raise ValueError(f"has {len(triples)} triples, but 'evidences_id' has {len(ids)}")
    known = aliases or {}
    gold = []
    for position, (subject, relation, object_) in enumerate(triples):
        subject_id, object_id = ids[position] if ids else ("", "")
        subjects = frozenset(map(_normalise, (subject, *known.get(subject_id, ()))))
        objects = frozenset(map(_normalise, (object_, *known.get(object_id, ()))))
        gold.append(GoldTriple(subjects, _normalise(relation), objects))
    return tuple(gold)


def score_evidence(said: object, gold: Sequence[GoldTriple]) -> SetScore:
    """Compare predicted triples with the gold ones.

    As in the script, two different triples may match one gold triple through its aliases, so recall may pass 1.

    Raises:
        ValueError: the prediction is no list of triples of text.
    """
    triples = {
        (_normalise(subject), _normalise(relation), _normalise(end)) for subject, relation, end in _triples(said)
    }
    right = sum(
        any(subject in one.subjects and relation == one.relation and end in one.objects for one in gold)
        for subject, relation, end in triples
    )
    return set_score(right, len(triples) - right, len(gold) - right)


def _triples(value: object) -> list[list[str]]:
    if not isinstance(value, list) or not all(isinstance(triple, list) and len(triple) == 3 for triple in value):
        raise ValueError(_TRIPLES)
    if not all(isinstance(part, str) for triple in value for part in triple):
        raise ValueError(_TRIPLES)
    return value


def _normalise(text: str) -> str:
    # Unlike an answer, a triple keeps its articles.
    return " ".join(without_punctuation(text).split())
