"""Choosing runs on the pages that show some."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from app.plain import one_line
from app.tokens import KINDS, RUN_LETTERS
from app.views.widgets import choose_many
from db.queries import RunRow

_NAME = 32


def choose_runs(
    label: str,
    known: Mapping[str, RunRow],
    chosen: Sequence[str],
    on_change: Callable[[tuple[str, ...]], None],
    *,
    key: str,
    most: int,
    width: int | str = "stretch",
) -> None:
    """A field for the runs to show; chosen ones carry their letter."""
    letters = dict(zip(chosen, RUN_LETTERS, strict=False))
    times = Counter(one_line(run.name, _NAME) for run in known.values())

    def name(token: str) -> str:
        short = one_line(known[token].name, _NAME)
        # The field knows its options by what it shows: two runs of one name must not look the same.
        unique = short if times[short] == 1 else f"{short} {token}"
        return f"{letters[token]}  {unique}" if token in letters else f"{unique}  ({_about(known[token])})"

    choose_many(
        label,
        list(known),
        chosen,
        on_change,
        key=key,
        name=name,
        most=most,
        placeholder="choose runs",
        width=width,
        wrap=True,
    )


def offer_newest(label: str, known: Mapping[str, RunRow], on_choose: Callable[[tuple[str, ...]], None]) -> None:
    """A button that shows the newest of these runs."""
    newest = max(known, key=lambda token: known[token].started)
    st.button(label, type="primary", on_click=on_choose, args=((newest,),))


def _about(run: RunRow) -> str:
    return ", ".join(part for part in (KINDS.get(run.kind, run.kind).lower(), run.method, run.dataset) if part)
