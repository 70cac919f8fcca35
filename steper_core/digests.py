"""Telling whether two configs are the same, and where they differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any


def digest_of(config: dict[str, Any]) -> str:
    """A short digest of a resolved config; equal configs have equal digests."""
    return hashlib.blake2b(json.dumps(config, sort_keys=True).encode(), digest_size=8).hexdigest()


def differences(one: Any, other: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The dotted keys whose values differ, with both values; a missing key counts as None."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            yield from differences(one.get(key), other.get(key), f"{prefix}.{key}" if prefix else key)
    elif one != other:
        yield prefix, one, other
