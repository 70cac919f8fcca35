"""Reading and writing the page's URL, and coming back to where one was."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, Self, TypeVar
from urllib.parse import urlencode

import streamlit as st

from app.state import Params


class PageState(Protocol):
    """A state that a URL can hold."""

    @classmethod
    def parse(cls, params: Params) -> Self:
        """The state in a URL."""

    def params(self) -> dict[str, list[str]]:
        """The query parameters that hold this state."""


State = TypeVar("State", bound=PageState)


def read(kind: type[State]) -> State:
    """The state that the URL holds."""
    return kind.parse({name: st.query_params.get_all(name) for name in st.query_params})


def href(page: str, params: Mapping[str, Sequence[str]]) -> str:
    """The address of another page, relative to this one."""
    return f"{page}?{urlencode(params, doseq=True)}"


def write(state: PageState) -> None:
    """Make the URL hold a state."""
    st.query_params.from_dict(state.params())


def enter(kind: type[State]) -> State:
    """The state of the page that is drawn now: what its URL holds, or what it was when it was left.

    A page reached by the menu has an empty URL; it then takes up the state of its last visit in this browser tab.
    """
    name = kind.__name__
    arrived = st.session_state.get("page") != name
    st.session_state["page"] = name
    state = read(kind)
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
