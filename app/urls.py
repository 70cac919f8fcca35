"""Reading and writing the page's URL, and coming back to where one was."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, Self, TypeVar
from urllib.parse import urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.state import Params


class PageState(Protocol):
    """A state that a URL can hold."""

    @classmethod
    def parse(cls, params: Params) -> Self:
        """The state in a URL."""

    def params(self) -> dict[str, list[str]]:
        """The query parameters that hold this state."""


State = TypeVar("State", bound=PageState)

_WRITTEN = "written_url"
_ON_ITS_WAY = 3.0
"""Seconds in which a browser may send an event with a URL that it has not replaced yet by the last written one."""
_MOST_OVER = 8


@dataclasses.dataclass(frozen=True)
class _Written:
    """What was written last: for which page, when, over which queries, and what."""

    page: str
    at: float
    over: tuple[str, ...]
    params: Params


def read(kind: type[State]) -> State:
    """The state that the URL holds, or will once the browser has heard of the last change.

    An event that a reader causes before that comes with the URL of before, and would undo the change.
    """
    return kind.parse(_current(kind.__name__))


def _current(page: str) -> Params:
    shown = _shown()
    last = _last_written(page)
    return last.params if last is not None and _spelt(shown) in last.over else shown


def _last_written(page: str) -> _Written | None:
    """What was written for this page just now, unless the reader has gone back or on since."""
    context = get_script_run_ctx()
    if context is not None and context.is_history_navigation:
        st.session_state.pop(_WRITTEN, None)
    last: _Written | None = st.session_state.get(_WRITTEN)
    fresh = last is not None and last.page == page and time.monotonic() - last.at < _ON_ITS_WAY
    return last if fresh else None


def _shown() -> Params:
    return {name: st.query_params.get_all(name) for name in st.query_params}


def _spelt(params: Params) -> str:
    return urlencode(sorted(params.items()), doseq=True)


def href(page: str, params: Mapping[str, Sequence[str]]) -> str:
    """The address of another page, relative to this one."""
    return f"{page}?{urlencode(params, doseq=True)}"


def write(state: PageState) -> None:
    """Make the URL hold a state."""
    page, params, shown = type(state).__name__, state.params(), _shown()
    last = _last_written(page)
    before = (*(last.over if last else ()), *([_spelt(last.params)] if last else []), _spelt(shown))
    over = tuple(each for each in before if each != _spelt(params))[-_MOST_OVER:]
    st.session_state[_WRITTEN] = _Written(page, time.monotonic(), over, params)
    st.query_params.from_dict(params)


def enter(kind: type[State]) -> State:
    """The state of the page that is drawn now: what its URL holds, or what it was when it was left.

    A page reached by the menu has an empty URL; it then takes up the state of its last visit in this browser tab.
    """
    name = kind.__name__
    arrived = st.session_state.get("page") != name
    st.session_state["page"] = name
    current = _current(name)
    state = kind.parse(current)
    if _spelt(current) != _spelt(_shown()):
        # What told the browser of it may have been thrown away with the run that wrote it.
        st.query_params.from_dict(current)
    left: State | None = st.session_state.get(f"left_{name}")
    if arrived and left is not None and not st.query_params:
        state = left
        write(state)
    st.session_state[f"left_{name}"] = state
    scene = (name, getattr(state, "view", ""))
    if scene != st.session_state.get("scene"):
        st.session_state["visit"] = visit() + 1
    st.session_state["scene"] = scene
    return state


def visit() -> int:
    """Which visit of a page or view this is in this browser tab: drawing it again is no new one."""
    return int(st.session_state.get("visit", 0))


def while_shown(act: Callable[[], None]) -> Callable[[], None]:
    """`act`, if the page and view on which its widget is drawn now are those of the last drawing.

    A browser that has not yet let go of a page's widgets sends their values along with the first press on the next
    page, and the server takes values it no longer knew for changed ones.
    """
    scene = st.session_state.get("scene")

    def acted() -> None:
        if st.session_state.get("scene") == scene:
            act()

    return acted
