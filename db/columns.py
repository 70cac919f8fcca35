"""The scores and costs of all chains of a run as arrays: made at ingest, read whole where runs are compared."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from db.arrays import FLOAT64, INT32, INT64, pack
from db.models import CHAIN_LEVEL
from db.rows import RunRows
from steper_core.score_lines import reason_key

WHOLE_CHAIN = ""
"""The ability of a value that is not one ability's."""

_KIND, _HOP_COUNT = 7, 8
_ABILITY, _PROMPT_TOKENS, _OUTPUT_TOKENS, _SECONDS = 1, 4, 5, 6
ColumnKey = tuple[str, str, str, str]
"""Name, evaluator, version, ability."""


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
    """The rows of the table score_columns without the run's id, by name, evaluator, version and ability."""
    collected = _Columns(len(ordered))
    for place, (_, key) in enumerate(ordered):
        abilities = {step[0]: step[_ABILITY] for step in rows.chains[key].steps}
        for evaluator, scores in rows.scores.get(key, {}).items():
            for number, values in scores.values.items():
                for name, value in values.items():
                    reason = scores.reasons.get(reason_key(number, name)) if value is None else None
                    if number == CHAIN_LEVEL:
                        collected.set_whole((name, *evaluator, WHOLE_CHAIN), place, value, reason)
                    else:
                        for ability in (abilities[number], WHOLE_CHAIN):
                            collected.add_step((name, *evaluator, ability), place, value, reason)
    return list(collected.rows())


class _Columns:
    """Collects values by column. Where a score has values of chains, the mean over its steps is not asked for."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.whole: dict[ColumnKey, list[float]] = {}
        self.sums: dict[ColumnKey, tuple[list[float], list[int]]] = {}
        self.reasons: dict[tuple[ColumnKey, bool], Counter[str]] = {}

    def set_whole(self, key: ColumnKey, place: int, value: float | None, reason: str | None) -> None:
        values = self.whole.get(key)
        if values is None:
            values = self.whole[key] = [math.nan] * self.count
        if value is None:
            self._count(key, reason, step=False)
        else:
            values[place] = value

    def add_step(self, key: ColumnKey, place: int, value: float | None, reason: str | None) -> None:
        found = self.sums.get(key)
        if found is None:
            found = self.sums[key] = ([0.0] * self.count, [0] * self.count)
        if value is None:
            self._count(key, reason, step=True)
        else:
            found[0][place] += value
            found[1][place] += 1

    def rows(self) -> Iterable[dict[str, Any]]:
        for key in sorted(self.whole.keys() | self.sums.keys()):
            own = key in self.whole
            numbers = np.array(self.whole[key], FLOAT64) if own else _means(*self.sums[key])
            names = ("name", "evaluator", "version", "ability")
            reasons = self.reasons.get((key, not own), Counter())
            yield dict(zip(names, key, strict=True)) | {"numbers": numbers.tobytes(), "reasons": dict(reasons)}

    def _count(self, key: ColumnKey, reason: str | None, *, step: bool) -> None:
        self.reasons.setdefault((key, step), Counter())[reason or "no reason given"] += 1


def _means(sums: list[float], counts: list[int]) -> npt.NDArray[np.float64]:
    divisor = np.array(counts, FLOAT64)
    means: npt.NDArray[np.float64] = np.full(len(sums), np.nan)
    np.divide(np.array(sums, FLOAT64), divisor, out=means, where=divisor > 0)
    return means
