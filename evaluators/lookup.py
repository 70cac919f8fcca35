"""What evaluators derive from the texts of passages, computed once a passage and not once a chain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeVar

from steper_core.records import Passage

NO_TEXT = "the text of a retrieved passage is not at hand"

Derived = TypeVar("Derived")

_KEPT = 8192
"""Passages whose derived form is kept: about 100 MB of word sets at 100 words a passage."""


def once_a_passage(
    passages: Mapping[str, Passage], derive: Callable[[Passage], Derived]
) -> Callable[[str], Derived | None]:
    """A function from a passage id to what `derive` makes of that passage; None where `passages` lacks the id.

    The last 8192 results are kept, so `passages` must not change afterwards.
    """

    @lru_cache(maxsize=_KEPT)
    def look_up(passage_id: str) -> Derived | None:
        passage = passages.get(passage_id)
        return None if passage is None else derive(passage)

    return look_up
