"""Predictions of any system as the datasets' own scripts take them, or as plain JSON lines; told apart by content.

HotpotQA          {"answer": {ID: TEXT}, "sp": {ID: [[TITLE, SENTENCE], ...]}}
2WikiMultiHopQA   the same with "evidence": {ID: [[SUBJECT, RELATION, OBJECT], ...]}
MuSiQue           one line each: {"id", "predicted_answer", "predicted_support_idxs"}
plain             one line each: {"id", "prediction"}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluators.bulk import no_collection
from evaluators.documents import NumberedRow, read_rows
from steper_core.errors import UserError
from steper_core.readers import Row, RowError

_FORMATS = (
    "one object {answer: {id: text}, sp: ..., evidence: ...} (HotpotQA, 2WikiMultiHopQA), or a line for each question: "
    "{id, predicted_answer, predicted_support_idxs} (MuSiQue) or {id, prediction}"
)


@dataclass(frozen=True)
class Predictions:
    """What a file predicts, by question id.

    `facts`, `evidence` and `paragraphs` are as the file holds them, to be checked where they are compared; None where
    its format has no place for them or it leaves them out. `repeated` are ids of several rows, of which the first
    counts. `problems` are the rows left out, with why.
    """

    name: str
    answers: Mapping[str, str]
    facts: Mapping[str, object] | None = None
    evidence: Mapping[str, object] | None = None
    paragraphs: Mapping[str, object] | None = None
    repeated: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()


@no_collection()
def read_predictions(path: Path) -> Predictions:
    """Read a file of predictions; a row at fault is reported and left out.

    Raises:
        UserError: the file cannot be read, is of no known format, or has no usable row.
    """
    rows = list(read_rows(path))
    if len(rows) == 1 and isinstance(rows[0][1], Mapping) and isinstance(rows[0][1].get("answer"), Mapping):
        return _from_tables(str(path), rows[0][1])
    return _from_rows(str(path), rows)


def _from_tables(name: str, tables: Row) -> Predictions:
    for key in ("sp", "evidence"):
        if not isinstance(tables.get(key, {}), Mapping):
            raise UserError(f"{name}, field {key!r}: must be an object with an entry for each question id")
    answers = tables["answer"]
    problems = [
        f"{name}, answer of {identity!r}: must be a text"
        for identity, answer in answers.items()
        if not isinstance(answer, str)
    ]
    if problems:
        answers = {identity: answer for identity, answer in answers.items() if isinstance(answer, str)}
    return Predictions(name, answers, facts=tables.get("sp"), evidence=tables.get("evidence"), problems=tuple(problems))


def _from_rows(name: str, rows: Sequence[NumberedRow]) -> Predictions:
    answers: dict[str, str] = {}
    paragraphs: dict[str, object] = {}
    repeated = set()
    problems = []
    for number, row in rows:
        try:
            if isinstance(row, RowError):
                raise row
            identity, answer = _answer(row)
            if identity in answers:
                repeated.add(identity)
                raise RowError(f"the id {identity!r} already stands in an earlier row")
        except RowError as error:
            problems.append(f"{name}, row {number}: {error}")
            continue
        answers[identity] = answer
        if "predicted_support_idxs" in row:
            paragraphs[identity] = row["predicted_support_idxs"]
    if not answers:
        raise UserError(f"no usable prediction: {problems[0] if problems else f'{name} holds no rows'}")
    return Predictions(
        name, answers, paragraphs=paragraphs or None, repeated=frozenset(repeated), problems=tuple(problems)
    )


def _answer(row: Row) -> tuple[str, str]:
    key = next((key for key in ("predicted_answer", "prediction") if key in row), None)
    if key is None or "id" not in row:
        keys = ", ".join(sorted(map(repr, row))[:8]) or "none"
        raise RowError(f"not a prediction (its keys: {keys}); write {_FORMATS}")
    identity, answer = row["id"], row[key]
    for field, value in (("id", identity), (key, answer)):
        if not isinstance(value, str):
            raise RowError(f"field {field!r} must be a text")
    return identity, answer
