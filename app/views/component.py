"""The components that show text of models and data: they receive JSON and build text nodes, never HTML."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

_ASSETS = Path(__file__).parent / "assets"

Event = tuple[str, Any]
"""What a reader did in a component: the kind of event and what it is about."""


class Component:
    """A component whose parts lie in assets/NAME.css and assets/NAME.js."""

    def __init__(self, name: str) -> None:
        self._mount = mounted(name)

    def draw(self, data: dict[str, Any], *, key: str, on_event: Callable[[Event], None] | None = None) -> None:
        """Draw the data; `on_event` is called with what a reader did, before the page is drawn again."""

        def called() -> None:
            event = _event(st.session_state.get(key))
            if event is not None and on_event is not None:
                on_event(event)

        self._mount(key=key, data=data, on_event_change=called)


def mounted(name: str, *before: str) -> Any:
    """What draws the component of assets/NAME.css and assets/NAME.js; the scripts `before` come before its own."""
    css = _joined("base.css", f"{name}.css")
    return st.components.v2.component(f"steper.{name}", css=css, js=_joined("dom.js", *before, f"{name}.js"))


def _joined(*parts: str) -> str:
    return "\n".join((_ASSETS / part).read_text("utf-8") for part in parts)


def _event(result: Any) -> Event | None:
    event = result.get("event") if isinstance(result, dict) else None
    if not isinstance(event, dict) or not isinstance(event.get("kind"), str):
        return None
    return event["kind"], event.get("value")
