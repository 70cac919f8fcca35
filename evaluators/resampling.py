"""Means of bootstrap samples: questions drawn with replacement, from a seed, in whatever order they stand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

_CELLS_AT_ONCE = 100_000
"""What fits into a processor's cache."""
_NARROW = 2
"""Up to so many columns, looking rows up one by one and adding them costs less than counting them."""
_ROWS_LOOKED_UP, _ROWS_COUNTED = 16, 7
"""Drawing how often one distinct row occurs costs about as much as to draw and look up, or count, so many rows."""


def resampled_means(rows: Values, seed: int, resamples: int) -> Values:
    """Means of rows (n, columns) drawn n at a time with replacement, as (resamples, columns).

    Equal rows in any order give equal means. How often each distinct row is drawn is multinomial: the same distribution
    as drawing rows one by one, at a cost that grows with the number of distinct rows (three for differences of EM) and
    not of questions. Where many rows differ, drawing them one by one is cheaper; of wide rows it is then counted how
    often each was drawn, so that a single product of matrices adds them up.
    """
    rng = np.random.default_rng(seed)
    distinct, counts = _distinct(rows)
    total, columns = rows.shape
    wide = columns > _NARROW
    few = len(distinct) * (_ROWS_COUNTED if wide else _ROWS_LOOKED_UP) < total
    ordered = np.ascontiguousarray(np.repeat(distinct, counts, axis=0).T)
    at_once = max(1, _CELLS_AT_ONCE // (len(distinct) if few else total))
    means = np.empty((resamples, columns))
    for start in range(0, resamples, at_once):
        size = min(at_once, resamples - start)
        if few:
            means[start : start + size] = rng.multinomial(total, counts / total, size=size) @ distinct
        elif wide:
            means[start : start + size] = _counted(rng.integers(total, size=(size, total)), counts) @ distinct
        else:
            drawn = rng.integers(total, size=(size, total))
            for column, values in enumerate(ordered):
                means[start : start + size, column] = values.take(drawn).sum(axis=1)
    means /= total
    return means


def _distinct(rows: Values) -> tuple[Values, npt.NDArray[np.int64]]:
    """The distinct rows in order, and how often each occurs: numpy's `unique` takes ten times as long over rows."""
    ordered = rows[np.lexsort(rows.T[::-1])]
    first = np.flatnonzero(np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1)))
    return ordered[first], np.diff(np.append(first, len(rows)))


def _counted(drawn: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> Values:
    """How often each distinct row was drawn, (resamples, distinct); `drawn` are places in rows repeated by `counts`."""
    kinds = np.repeat(np.arange(len(counts)), counts)[drawn] + np.arange(len(drawn))[:, np.newaxis] * len(counts)
    size = len(drawn) * len(counts)
    return np.bincount(kinds.ravel(), minlength=size).reshape(len(drawn), len(counts)).astype(np.float64)
