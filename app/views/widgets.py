"""Filter widgets whose values the URL holds.

A widget's value is set from the URL before each drawing, so that links, the back button and the widget agree. Options
are plain text to the widgets, unlike labels: nothing in them is interpreted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import streamlit as st

from app.plain import one_line
from app.urls import while_shown

Changed = Callable[[Any], None]
Option = TypeVar("Option")


def choose_many(
    label: str,
    options: Sequence[Any],
    chosen: Sequence[Any],
    on_change: Changed,
    *,
    key: str,
    name: Callable[[Any], str] = str,
    most: int | None = None,
    placeholder: str = "any",
    width: int | str = 170,
    wrap: bool = False,
) -> None:
    """A field that takes several options. What is chosen stays one, though nothing may be of it any more.

    With `wrap` it grows for what does not fit, and then moves what stands below while it is used.
    """
    st.session_state[key] = list(chosen)
    every = [*options, *(option for option in chosen if option not in options)]
    shown = names_apart({option: name(option) for option in every}, 80)
    st.multiselect(
        label,
        every,
        key=key,
        format_func=lambda option: shown.get(option) or one_line(name(option)),
        max_selections=most,
        placeholder=placeholder,
        wrap=wrap,
        on_change=while_shown(lambda: on_change(tuple(st.session_state[key]))),
        width=width,  # type: ignore[arg-type]
    )


def names_apart(options: Mapping[Option, str], longest: int) -> dict[Option, str]:
    """What options are shown as, on one line and cut: a field knows them by that, so no two may look alike."""
    shown: dict[Option, str] = {}
    for option, text in options.items():
        short = one_line(text, longest)
        taken = set(shown.values())
        numbered = (f"{short} ({number})" for number in range(2, len(options) + 2))
        shown[option] = short if short not in taken else next(name for name in numbered if name not in taken)
    return shown


def choose_one(
    label: str,
    options: Sequence[str],
    chosen: str,
    on_change: Changed,
    *,
    key: str,
    name: Callable[[str], str],
) -> None:
    """A row of options of which one holds; the labels are the page's own words."""
    st.session_state[key] = chosen
    st.segmented_control(
        label,
        options,
        key=key,
        format_func=name,
        required=True,
        on_change=while_shown(lambda: on_change(st.session_state[key] or "")),
    )


def search(label: str, text: str, on_change: Changed, *, key: str, width: int = 200) -> None:
    """A field for words to look for."""
    st.session_state[key] = text
    st.text_input(
        label,
        key=key,
        placeholder="text",
        icon=":material/search:",
        max_chars=200,
        on_change=while_shown(lambda: on_change(st.session_state[key])),
        width=width,
    )


def turn_pages(count: int, page: int, on_change: Changed, *, key: str) -> None:
    """Page numbers, if there is more than one page."""
    if count > 1:
        st.session_state[key] = min(page, count)
        st.pagination(count, key=key, on_change=while_shown(lambda: on_change(st.session_state[key])))
