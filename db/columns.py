"""The scores and costs of all chains of a run as arrays: made at ingest, read whole where runs are compared."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from db.arrays import FLOAT32, FLOAT64, INT32, INT64, pack
from db.models import CHAIN_LEVEL
from db.rows import RunRows
from steper_core.score_lines import reason_key

WHOLE_CHAIN = ""
"""The ability of a value that is not one ability's."""

_KIND, _HOP_COUNT = 7, 8
_ABILITY, _PROMPT_TOKENS, _OUTPUT_TOKENS, _SECONDS = 1, 4, 5, 6
Part = tuple[str, str, str]
"""Evaluator, version, ability."""


def run_columns(rows: RunRows, ordered: Sequence[tuple[int, str]]) -> dict[str, Any]:
    """The values of the table run_columns; `ordered` are the chains' question ids and keys."""
    questions = [rows.questions[key].columns for _, key in ordered]
    chains = [rows.chains[key] for _, key in ordered]
    kinds = sorted({columns[_KIND] for columns in questions})
    codes = {kind: code for code, kind in enumerate(kinds)}
    return {
        "question_ids": pack((number for number, _ in ordered), INT64),
        "kinds": kinds,
        "kind_codes": pack((codes[columns[_KIND]] for columns in questions), INT32),
        "hop_counts": pack((columns[_HOP_COUNT] for columns in questions), INT32),
        "steps": pack((len(chain.steps) for chain in chains), INT32),
        "passages": pack((len(chain.retrievals) for chain in chains), INT32),
        "prompt_tokens": pack((sum(step[_PROMPT_TOKENS] for step in chain.steps) for chain in chains), INT64),
        "output_tokens": pack((sum(step[_OUTPUT_TOKENS] for step in chain.steps) for chain in chains), INT64),
        "seconds": pack((math.fsum(step[_SECONDS] for step in chain.steps) for chain in chains), FLOAT64),
    }


def score_columns(rows: RunRows, ordered: Sequence[tuple[int, str]]) -> list[dict[str, Any]]:
    """The rows of the table score_columns without the run's id, by name, evaluator, version and ability.

    Where chains have a score themselves, the mean over their steps is not asked for.
    """
    found: dict[Part, dict[str, _Column]] = {}
    for place, (_, key) in enumerate(ordered):
        abilities = {step[0]: step[_ABILITY] for step in rows.chains[key].steps} | {CHAIN_LEVEL: WHOLE_CHAIN}
        for evaluator, scores in rows.scores.get(key, {}).items():
            for number, values in scores.values.items():
                columns = found.setdefault((*evaluator, abilities[number]), {})
                for name, value in values.items():
                    column = columns.get(name)
                    if column is None:
                        column = columns[name] = _Column.empty(len(ordered))
                    if value is None:
                        column.reasons[scores.reasons.get(reason_key(number, name)) or "no reason given"] += 1
                    else:
                        column.sums[place] += value
                        column.counts[place] += 1
    _add_means_over_steps(found)
    return [
        {
            "name": name,
            "evaluator": evaluator,
            "version": version,
            "ability": ability,
            "numbers": column.means().tobytes(),
            "reasons": dict(column.reasons),
        }
        for (evaluator, version, ability), columns in sorted(found.items())
        for name, column in sorted(columns.items())
    ]


@dataclasses.dataclass(frozen=True)
class _Column:
    """Sums and numbers of the values of each chain, and why values are missing."""

    sums: list[float]
    counts: list[int]
    reasons: Counter[str]

    @classmethod
    def empty(cls, count: int) -> _Column:
        return cls([0.0] * count, [0] * count, Counter())

    def plus(self, other: _Column) -> _Column:
        sums = [one + more for one, more in zip(self.sums, other.sums, strict=True)]
        counts = [one + more for one, more in zip(self.counts, other.counts, strict=True)]
        return _Column(sums, counts, self.reasons + other.reasons)

    def means(self) -> npt.NDArray[Any]:
        divisor = np.array(self.counts, FLOAT64)
        means = np.full(len(self.sums), np.nan)
        np.divide(np.array(self.sums, FLOAT64), divisor, out=means, where=divisor > 0)
        return means.astype(FLOAT32)


def _add_means_over_steps(found: dict[Part, dict[str, _Column]]) -> None:
    """Add, for scores that only steps have, what all steps of a chain together have.

    Of chains without a step such a score holds the reason only: chains as such have no value of it all the same.
    """
    own = {part: {name for name, column in columns.items() if any(column.counts)} for part, columns in found.items()}
    for evaluator, version, ability in list(found):
        if ability == WHOLE_CHAIN:
            continue
        whole = (evaluator, version, WHOLE_CHAIN)
        for name, column in found[evaluator, version, ability].items():
            if name not in own.get(whole, ()):
                columns = found.setdefault(whole, {})
                columns[name] = columns[name].plus(column) if name in columns else column
