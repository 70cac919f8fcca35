"""The row above all views of a labelling project: its name, its parts, who is looking, and the way back."""

from __future__ import annotations

import dataclasses
from typing import Any

import streamlit as st

from app.plain import one_line
from app.state import AnnotateState
from app.store import open_store
from app.urls import read, while_shown, write
from app.views.component import Component, Event
from app.views.disagreements import all_differences, deciding, next_open
from db.annotation_slots import to_label
from db.annotation_views import ProjectRow
from db.queries_annotations import get_project

_HEADING = Component("project_heading")
_TAB = "project_tab"
_TABS = {"work": "Label", "progress": "Progress", "disagreements": "Disagreements"}


def show_heading(project: ProjectRow, state: AnnotateState) -> None:
    """Draw the row."""
    with st.container(horizontal=True, vertical_alignment="center", key="project_heading_row"):
        _HEADING.draw(heading_data(project, state), key="project_heading", on_event=_handle)
        st.session_state[_TAB] = _tab(state)
        st.segmented_control(
            "Part of the project",
            tuple(_TABS),
            key=_TAB,
            format_func=_TABS.__getitem__,
            label_visibility="collapsed",
            on_change=while_shown(_turn_to),
        )


def heading_data(project: ProjectRow, state: AnnotateState) -> dict[str, Any]:
    """What the component draws."""
    decides = state.view == "work" and state.item is not None
    return {
        "name": one_line(project.name),
        "closed": project.closed,
        "person": one_line(state.person, 60),
        "deciding": decides,
        "item": state.item,
    }


def _tab(state: AnnotateState) -> str | None:
    """The part that is shown: deciding belongs to the disagreements, an item's history to none."""
    if state.view == "work" and state.item is not None:
        return "disagreements"
    return state.view if state.view in _TABS else None


def _turn_to() -> None:
    """To the part that was pressed; pressing the one that is shown goes back to its beginning."""
    now = read(AnnotateState)
    tab = st.session_state[_TAB] or _tab(now) or "work"
    write(AnnotateState(project=now.project, person=now.person, view=tab))


def _handle(event: Event) -> None:
    now = read(AnnotateState)
    kind, item = event
    if kind == "projects":
        write(AnnotateState(person=now.person))
    elif kind == "person":
        write(dataclasses.replace(now, person=""))
    elif kind == "list":
        write(AnnotateState(project=now.project, person=now.person, view="disagreements"))
    elif kind == "history":
        write(AnnotateState(project=now.project, person=now.person, view="history", item=now.item))
    elif kind == "next" and item == now.item:
        # A second click was meant for the item that the first one left.
        _go_on(now)


def _go_on(now: AnnotateState) -> None:
    """To the next open disagreement that nobody else decides, or to the list where there is none."""
    store = open_store()
    project = get_project(store.database(), now.project)
    if project is None:
        return
    others = [item for item, who in deciding(store.database(), project.id).items() if who != now.person]
    own = to_label(store.database(), project.id, now.person)
    found = next_open(all_differences(store, project), now.item, {*others, *own})
    if found is None:
        write(AnnotateState(project=now.project, person=now.person, view="disagreements"))
    else:
        write(dataclasses.replace(now, item=found[0], place=found[1]))
