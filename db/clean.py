"""Making what models, people and files gave storable in every database."""

from __future__ import annotations

import math
import re
from typing import Any

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def clean(text: str) -> str:
    """The text with each NUL (refused by PostgreSQL) and lone surrogate (no valid UTF-8) replaced by U+FFFD."""
    if text.isascii() and "\x00" not in text:
        return text
    return _UNSTORABLE.sub(_REPLACEMENT, text)


def clean_name(text: str) -> str:
    """The same on one line and without needless space: names that look alike are equal."""
    return " ".join(clean(text).split())


def clean_optional(text: str | None) -> str | None:
    """The same for a text that may be missing."""
    return None if text is None else clean(text)


def clean_json(value: Any) -> Any:
    """The same for all texts and keys of a JSON value; a number that is not finite becomes null, as JSON has none."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {clean(str(key)): clean_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean_json(item) for item in value]
    return value


def folded(*texts: str) -> str:
    """Texts as the text filters compare them: in one, without regard to case."""
    return clean("\n".join(texts)).casefold()
