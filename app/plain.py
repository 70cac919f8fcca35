"""Text of models and data, made safe to show: nothing in it acts on the page, and nothing in it stays hidden."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

_BIDI = (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C)
_CONTROLS = (*(code for code in range(0x20) if chr(code) not in "\t\n"), *range(0x7F, 0xA0))
_SHOWN: dict[int, str] = {code: f"[U+{code:04X}]" for code in (*_CONTROLS, *_BIDI)}


def plain(text: str) -> str:
    """The text with control characters and changes of direction written out, and without broken characters."""
    joined = text.replace("\r\n", "\n").translate(_SHOWN)
    return joined.encode("utf-8", "replace").decode("utf-8")


def inert(text: str, limit: int = 60) -> str:
    """A name without what Plotly reads as markup."""
    return re.sub(r"[^\w .,:()@+=-]", "·", text)[:limit]


def told_apart(names: Sequence[str], suffixes: Sequence[str]) -> list[str]:
    """Names, each of those that occur more than once with its suffix."""
    often = Counter(names)
    return [name if often[name] == 1 else name + suffix for name, suffix in zip(names, suffixes, strict=True)]


def one_line(text: str, limit: int = 80) -> str:
    """The text as one line of at most `limit` characters."""
    line = " ".join(plain(text[: limit * 8]).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
