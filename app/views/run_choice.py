"""Choosing runs on the pages that show some."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from app.plain import one_line, told_apart
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
    names = _names(known)

    def name(token: str) -> str:
        return _lettered(letters[token], names[token]) if token in letters else _described(names[token], known[token])

    choose_many(
        label,
        list(known),
        chosen,
        lambda values: on_change(tokens_of(values, known)),
        key=key,
        name=name,
        most=most,
        placeholder="choose runs",
        width=width,
        wrap=True,
    )


def tokens_of(values: Sequence[str], known: Mapping[str, RunRow]) -> tuple[str, ...]:
    """The runs that a field's values mean.

    Its options change their text with the choice. A browser that was not drawn anew since may send the text of before,
    which the field does not know and gives as it is.
    """
    by_text = {
        text: token
        for token, name in _names(known).items()
        for text in (_described(name, known[token]), *(_lettered(letter, name) for letter in RUN_LETTERS))
    }
    return tuple(dict.fromkeys(by_text.get(value, value) for value in values))


def offer_newest(label: str, known: Mapping[str, RunRow], on_choose: Callable[[tuple[str, ...]], None]) -> None:
    """A button that shows the newest of these runs."""
    newest = max(known, key=lambda token: known[token].started)
    st.button(label, type="primary", on_click=on_choose, args=((newest,),))


def _names(known: Mapping[str, RunRow]) -> dict[str, str]:
    """Short names, no two of them alike: the field knows its options by what it shows."""
    short = [one_line(run.name, _NAME) for run in known.values()]
    return dict(zip(known, told_apart(short, [f" {token}" for token in known]), strict=True))


def _lettered(letter: str, name: str) -> str:
    return one_line(f"{letter}  {name}")


def _described(name: str, run: RunRow) -> str:
    return one_line(f"{name}  ({_about(run)})")


def _about(run: RunRow) -> str:
    return ", ".join(part for part in (KINDS.get(run.kind, run.kind).lower(), run.method, run.dataset) if part)
