"""Arrays as bytes: the same on every machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

INT64, INT32 = np.dtype("<i8"), np.dtype("<i4")
FLOAT64, FLOAT32 = np.dtype("<f8"), np.dtype("<f4")


def pack(values: Iterable[float], dtype: np.dtype[Any]) -> bytes:
    """Numbers as bytes."""
    return np.array(list(values), dtype).tobytes()


def unpack(data: bytes, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Numbers from bytes; the array cannot be written to."""
    return np.frombuffer(data, dtype)
