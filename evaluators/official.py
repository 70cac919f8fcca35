"""A whole file of predictions against a gold file: all figures of the datasets' own evaluation scripts.

HotpotQA: hotpot_evaluate_v1.py. 2WikiMultiHopQA: its evaluate script v1.1. MuSiQue: evaluate_v1.0.py. As in all three
a missing prediction counts 0. What the predictions do not hold at all is unscored.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evaluators.answers import score_answers
from evaluators.bulk import no_collection
from evaluators.evidence import score_evidence
from evaluators.golds import Gold, GoldFile
from evaluators.predictions import Predictions
from evaluators.support import SetScore, score_facts, score_paragraphs
from steper_core.errors import UserError
from steper_core.run_records import Figure

Column = npt.NDArray[np.float64]
"""A figure of each question in the order of the gold file; NaN where it is unscored."""

_JOINED = ("sp", "evidence")
_AGREEMENT = ("em", "f1", "precision", "recall")
_WRONG: SetScore = (0.0, 0.0, 0.0, 0.0)
_UNSCORED: SetScore = (np.nan, np.nan, np.nan, np.nan)
_MISSING = object()


@dataclass(frozen=True)
class FileScore:
    """The figures by name, as fractions without intervals, and what stands behind them.

    `missing` counts the questions without an answer, and those without each other thing that is scored: they count 0.
    `unknown` counts the predicted ids that are of no question. `unscored` says of each group of figures left out why.
    `problems` are the predicted facts, triples and paragraphs at fault, which count 0; what was left out when the files
    were read is not among them.
    """

    figures: dict[str, Figure]
    questions: int
    missing: dict[str, int]
    unknown: int
    unscored: dict[str, str]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class _Part:
    """What is predicted beside the answer; `field` is its name in both `Gold` and `Predictions`."""

    group: str
    field: str
    words: str
    figures: tuple[str, ...]
    compare: Callable[[object, Gold], SetScore]


@dataclass(frozen=True)
class _Compared:
    rows: list[SetScore]
    missing: int
    problems: list[str]


@no_collection()
def score_file(gold_file: GoldFile, predictions: Predictions) -> FileScore:
    """Score all predictions; the questions are those of the gold file.

    Raises:
        UserError: the two are of MuSiQue-Full, whose two rows of a question cannot be told apart by their id.
    """
    _check_one_row_a_question(gold_file, predictions)
    golds = gold_file.golds
    said = [predictions.answers.get(gold.id) for gold in golds]
    columns = score_answers(said, [gold.answers for gold in golds], [gold.rules for gold in golds])
    missing = {"answer": said.count(None)}
    problems: list[str] = []
    unscored = _why_unscored(gold_file, predictions)
    for part in _PARTS:
        table = getattr(predictions, part.field) or {}
        if any(table.values()) and part.group not in unscored:
            compared = _compare(part, golds, table, predictions.name)
            columns.update(zip(part.figures, _columns(compared.rows), strict=False))
            missing[part.words] = compared.missing
            problems += compared.problems
    if "sp_em" in columns and "joint" not in unscored:
        columns |= _joint(columns)
    return FileScore(
        figures={name: _mean(column) for name, column in columns.items() if not np.isnan(column).all()},
        questions=len(golds),
        missing=missing,
        unknown=_count_unknown(golds, predictions),
        unscored=unscored,
        problems=tuple(problems),
    )


def _why_unscored(gold_file: GoldFile, predictions: Predictions) -> dict[str, str]:
    """The groups of figures that only one of the two files has something for, with why."""
    unscored: dict[str, str] = {}
    for part in _PARTS:
        has_gold = any(getattr(gold, part.field) is not None for gold in gold_file.golds)
        has_said = any((getattr(predictions, part.field) or {}).values())
        if has_gold and not has_said:
            unscored[part.group] = f"the predictions hold no {part.words}"
            if part.group in _JOINED:
                unscored.setdefault("joint", unscored[part.group])
        elif has_said and not has_gold:
            unscored[part.group] = f"{gold_file.name} holds no {part.words}"
    return unscored


def _check_one_row_a_question(gold_file: GoldFile, predictions: Predictions) -> None:
    both = sorted(gold_file.unanswerable & predictions.repeated)
    if both:
        raise UserError(
            f"{predictions.name} has several rows of {both[0]!r}, which is also unanswerable in {gold_file.name}: "
            "MuSiQue-Full tells them apart by their place alone; keep the answerable rows of both files"
        )


def _compare(part: _Part, golds: Sequence[Gold], table: Mapping[str, object], name: str) -> _Compared:
    """The score of each question; a missing prediction and one at fault count 0."""
    rows, problems, missing = [], [], 0
    for gold in golds:
        said = table.get(gold.id, _MISSING)
        if getattr(gold, part.field) is None:
            rows.append(_UNSCORED)
        elif said is _MISSING:
            rows.append(_WRONG)
            missing += 1
        else:
            try:
                rows.append(part.compare(said, gold))
            except ValueError as error:
                rows.append(_WRONG)
                problems.append(f"{name}, {part.words} of {gold.id!r}: {error}")
    return _Compared(rows, missing, problems)


def _compare_facts(said: object, gold: Gold) -> SetScore:
    return score_facts(said, gold.facts or frozenset(), fold_case=gold.rules == "2wikimultihopqa")


def _compare_evidence(said: object, gold: Gold) -> SetScore:
    return score_evidence(said, gold.evidence or ())


def _compare_paragraphs(said: object, gold: Gold) -> SetScore:
    return score_paragraphs(said, gold.paragraphs or frozenset())


_PARTS = (
    _Part("sp", "facts", "supporting facts", tuple(f"sp_{name}" for name in _AGREEMENT), _compare_facts),
    _Part("evidence", "evidence", "evidence", tuple(f"evidence_{name}" for name in _AGREEMENT), _compare_evidence),
    # MuSiQue's script has no precision and recall.
    _Part("support", "paragraphs", "supporting paragraphs", ("support_em", "support_f1"), _compare_paragraphs),
)


def _joint(columns: dict[str, Column]) -> dict[str, Column]:
    """Answer and all that supports it at once: products of exact match, of precision and of recall, and their F1."""
    em, precision, recall = (
        np.prod(
            [columns[f"{group}{name}"] for group in ("", "sp_", "evidence_") if f"{group}{name}" in columns], axis=0
        )
        for name in ("em", "precision", "recall")
    )
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.where(np.isnan(total), np.nan, 0.0), where=total > 0)
    return {"joint_em": em, "joint_f1": f1, "joint_precision": precision, "joint_recall": recall}


def _columns(rows: Sequence[SetScore]) -> npt.NDArray[np.float64]:
    return np.fromiter(itertools.chain.from_iterable(rows), np.float64).reshape(-1, len(_AGREEMENT)).T


def _mean(column: Column) -> Figure:
    scored = column[~np.isnan(column)]
    # One after the other, as the scripts add, so that not even the last digit differs.
    total = float(np.cumsum(scored)[-1])
    return Figure(mean=total / len(scored), low=None, high=None, n=len(scored), unscored=len(column) - len(scored))


def _count_unknown(golds: Sequence[Gold], predictions: Predictions) -> int:
    known = {gold.id for gold in golds}
    tables = (predictions.answers, predictions.facts, predictions.evidence, predictions.paragraphs)
    return len({identity for table in tables if table for identity in table if identity not in known})
