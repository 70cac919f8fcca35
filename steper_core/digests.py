"""Telling whether two configs or files are the same, and where configs differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from steper_core.errors import UserError


def digest_of(config: dict[str, Any]) -> str:
    """A short digest of a resolved config; equal configs have equal digests."""
    return hashlib.blake2b(json.dumps(config, sort_keys=True).encode(), digest_size=8).hexdigest()


def file_digest(path: Path) -> str:
    """A short digest of what a file holds.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error


def differences(one: Any, other: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The dotted keys whose values differ, with both values; a missing key counts as None."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            yield from differences(one.get(key), other.get(key), f"{prefix}.{key}" if prefix else key)
    elif one != other:
        yield prefix, one, other
