"""Annotate: people label the steps of chains, by keyboard, several at once."""

from __future__ import annotations

import dataclasses
from typing import Any

import streamlit as st

from app.annotating import read_events
from app.plain import one_line
from app.state import AnnotateState
from app.store import Store, open_store
from app.urls import enter, read, write
from app.views.annotate_work import Desk, draw_work, work_data
from app.views.frame import begin
from db.annotation_views import ADJUDICATE, LABEL, ProjectRow, Role
from db.annotations import record
from db.queries_annotations import annotators, get_project, list_projects
from evaluators.label_rubric import parse_label_rubric
from steper_core.errors import UserError


def show() -> None:
    """Draw the page."""
    store = begin("Annotate")
    state = enter(AnnotateState)
    if not state.project:
        _show_projects(store)
        return
    project = get_project(store.database(), state.project)
    if project is None:
        st.warning("The link names a project that is not in this database.", icon=":material/link_off:")
        st.code(one_line(state.project, 80), language=None)
        _show_projects(store)
        return
    _show_heading(project)
    if not state.person:
        _ask_who(store, project)
        return
    _work(project, state)


def _show_projects(store: Store) -> None:
    projects = list_projects(store.database())
    if not projects:
        st.write("Nothing is to be labelled yet. Create a project from the chains of some runs:")
        st.code("steper annotate create NAME --run RUN --items 50 --overlap 2", language=None)
        return
    for project in projects:
        st.button(one_line(project.name), key=f"project_{project.id}", on_click=_open, args=(project.name,))


def _show_heading(project: ProjectRow) -> None:
    with st.container(horizontal=True, key="project_heading"):
        st.button("All projects", icon=":material/arrow_back:", type="tertiary", on_click=_open, args=("",))


def _ask_who(store: Store, project: ProjectRow) -> None:
    st.selectbox(
        "Who are you?",
        annotators(store.database(), project.id),
        index=None,
        key="annotate_person",
        placeholder="choose your name or type a new one",
        accept_new_options=True,
        on_change=lambda: _change(person=st.session_state["annotate_person"] or ""),
        width=380,
    )
    st.caption("Until there is a sign-in, the name says who you are. It stands in the history of every label you give.")


@st.fragment
def _work(project: ProjectRow, state: AnnotateState) -> None:
    role: Role = ADJUDICATE if state.item is not None else LABEL
    desk = Desk(project, parse_label_rubric(project.rubric), state.person, role, state.item, state.place)
    key = f"work_{project.id}_{role}_{state.item or 0}"
    answered: tuple[tuple[str, ...], dict[str, str]] = st.session_state.get(f"{key}_answered", ((), {}))
    try:
        data = work_data(open_store(), desk, *answered)
    except UserError as error:
        st.error("This cannot be labelled:", icon=":material/error:")
        st.code(one_line(str(error), 300), language=None)
        return

    def take(queue: Any) -> None:
        changes, refused = read_events(queue, desk.rubric)
        found = record(open_store().database(), project.id, desk.person, changes, role)
        st.session_state[f"{key}_answered"] = (found.stored, {**refused, **found.refused})

    draw_work(data, key=key, on_queue=take)


def _open(name: str) -> None:
    write(AnnotateState(project=name, person=read(AnnotateState).person if name else ""))


def _change(**changes: Any) -> None:
    write(dataclasses.replace(read(AnnotateState), **changes))


show()
