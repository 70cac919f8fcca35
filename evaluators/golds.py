"""Gold answers, supporting facts and evidence of a file: an official one of the three datasets, or our own questions.

Only what the datasets' scripts compare is read; passages are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from evaluators.answers import check_rules
from evaluators.bulk import no_collection
from evaluators.documents import read_rows
from evaluators.evidence import Aliases, GoldTriple, gold_triples
from evaluators.support import Facts, gold_facts
from steper_core.errors import UserError
from steper_core.readers import Row, RowError


class Gold(NamedTuple):
    """What is right for one question; None stands for what its file does not hold.

    `facts` are supporting sentences (HotpotQA, 2WikiMultiHopQA), `evidence` triples
    (2WikiMultiHopQA), `paragraphs` the numbers of the supporting paragraphs (MuSiQue).
    """

    id: str
    answers: tuple[str, ...]
    rules: str
    facts: Facts | None = None
    evidence: tuple[GoldTriple, ...] | None = None
    paragraphs: frozenset[int] | None = None


@dataclass(frozen=True)
class GoldFile:
    """The questions of a file in their order, ids of MuSiQue's unanswerable rows, and the rows left out with why."""

    name: str
    golds: tuple[Gold, ...]
    unanswerable: frozenset[str]
    problems: tuple[str, ...]


@no_collection()
def read_golds(path: Path, aliases: Aliases | None = None) -> GoldFile:
    """Read a gold file; with `aliases`, other names of 2WikiMultiHopQA's answers and entities count as right too.

    Raises:
        UserError: the file cannot be read, has no usable row, or is none that aliases apply to.
    """
    golds: dict[str, Gold] = {}
    unanswerable = set()
    problems = []
    for number, row in read_rows(path):
        try:
            if isinstance(row, RowError):
                raise row
            if row.get("answerable") is False:
                unanswerable.add(_identity(row))
                continue
            gold = _reader(row)(row, aliases or {})
            if gold.id in golds:
                raise RowError(f"the id {gold.id!r} already stands in an earlier row")
        except (RowError, UserError) as error:
            problems.append(f"{path}, row {number}: {error}")
        else:
            golds[gold.id] = gold
    if not golds:
        raise UserError(f"no usable question: {problems[0] if problems else f'{path} holds none that can be answered'}")
    if aliases is not None and all(gold.evidence is None for gold in golds.values()):
        raise UserError(f"{path} is no official file of 2WikiMultiHopQA: score it without its alias file")
    return GoldFile(str(path), tuple(golds.values()), frozenset(unanswerable), tuple(problems))


def read_aliases(path: Path) -> tuple[dict[str, frozenset[str]], tuple[str, ...]]:
    """Read 2WikiMultiHopQA's alias file: other names by the id of their entity, and the rows left out with why.

    Raises:
        UserError: the file cannot be read, or not one row of it is usable.
    """
    aliases: dict[str, frozenset[str]] = {}
    problems = []
    for number, row in read_rows(path):
        try:
            if isinstance(row, RowError):
                raise row
            aliases[_text(row, "Q_id")] = frozenset((*_texts(row, "aliases"), *_texts(row, "demonyms")))
        except RowError as error:
            problems.append(f"{path}, row {number}: {error}")
    if not aliases:
        raise UserError(f"no usable row, one must be {{Q_id, aliases, demonyms}}: {', '.join(problems[:1]) or path}")
    return aliases, tuple(problems)


def _reader(row: Row) -> Callable[[Row, Aliases], Gold]:
    if "dataset" in row and "text" in row:
        return _own
    if "paragraphs" in row or "question_decomposition" in row:
        return _musique
    if "evidences" in row:
        return _2wikimultihopqa
    if "supporting_facts" in row or "context" in row:
        return _hotpotqa
    keys = ", ".join(sorted(map(repr, row))[:8]) or "none"
    raise RowError(f"not a row of HotpotQA, 2WikiMultiHopQA, MuSiQue or our own questions (its keys: {keys})")


def _own(row: Row, _: Aliases) -> Gold:
    rules = _text(row, "dataset")
    check_rules(rules)
    return Gold(_identity(row), _accepted(row, _texts(row, "aliases")), rules)


def _hotpotqa(row: Row, _: Aliases) -> Gold:
    return Gold(_identity(row), _accepted(row), "hotpotqa", facts=_facts(row))


def _2wikimultihopqa(row: Row, aliases: Aliases) -> Gold:
    answer_id = row.get("answer_id")
    answers = _accepted(row, aliases.get(answer_id, ()) if isinstance(answer_id, str) else ())
    try:
        evidence = gold_triples(row["evidences"], _entity_ids(row), aliases)
    except ValueError as error:
        raise RowError(f"field 'evidences' {error}") from error
    return Gold(_identity(row), answers, "2wikimultihopqa", facts=_facts(row), evidence=evidence)


def _musique(row: Row, _: Aliases) -> Gold:
    answers = _accepted(row, _texts(row, "answer_aliases"))
    return Gold(_identity(row), answers, "musique", paragraphs=_paragraphs(row))


def _accepted(row: Row, others: Iterable[str] = ()) -> tuple[str, ...]:
    return (_text(row, "answer"), *others)


def _facts(row: Row) -> Facts | None:
    value: Any = row.get("supporting_facts")
    if value is None:
        return None
    if isinstance(value, Mapping):  # the hub's layout: one list a column
        titles, numbers = value.get("title"), value.get("sent_id")
        if not isinstance(titles, list) or not isinstance(numbers, list) or len(titles) != len(numbers):
            raise RowError("field 'supporting_facts' must hold two lists of one length: title and sent_id")
        value = [list(pair) for pair in zip(titles, numbers, strict=True)]
    try:
        return gold_facts(value)
    except ValueError as error:
        raise RowError(f"field 'supporting_facts' {error}") from error


def _entity_ids(row: Row) -> list[tuple[str, str]]:
    value = row.get("evidences_id") or []
    if not isinstance(value, list) or not all(isinstance(each, list) and len(each) == 3 for each in value):
        raise RowError("field 'evidences_id' must be a list of triples")
    return [(str(subject), str(object_)) for subject, _, object_ in value]


def _paragraphs(row: Row) -> frozenset[int] | None:
    value = row.get("paragraphs")
    if value is None:
        return None
    if not isinstance(value, list) or not all(
        isinstance(each, Mapping) and isinstance(each.get("idx"), int) for each in value
    ):
        raise RowError("field 'paragraphs' must be a list of objects, each with a whole number 'idx'")
    return frozenset(each["idx"] for each in value if each.get("is_supporting"))


def _identity(row: Row) -> str:
    return _text(row, "_id" if "_id" in row else "id")


def _text(row: Row, key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise RowError(f"field {key!r} is missing, empty or no text")
    return value


def _texts(row: Row, key: str) -> Iterable[str]:
    value = row.get(key) or []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise RowError(f"field {key!r} must be a list of texts")
    return value
