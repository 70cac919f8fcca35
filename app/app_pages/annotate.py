"""Annotate: people label the steps of chains, by keyboard, several at once."""

from __future__ import annotations

import dataclasses
from typing import Any

import streamlit as st

from app.annotating import read_events
from app.label_checks import person_of
from app.plain import one_line
from app.state import PAGE_SIZE, AnnotateState, pages, run_tokens
from app.store import Store, open_store
from app.urls import enter, read, visit, while_shown, write
from app.views.annotate_work import Desk, draw_work, work_data
from app.views.disagreements import show_disagreements
from app.views.frame import begin
from app.views.item_history import show_history
from app.views.label_transfer import offer_import
from app.views.project_form import show_form
from app.views.project_heading import show_heading
from app.views.project_progress import show_progress
from app.views.projects import show_projects
from app.views.widgets import turn_pages
from db.annotation_views import ADJUDICATE, LABEL, ProjectRow, Role
from db.annotations import record
from db.queries_annotations import annotators, get_project, list_projects
from evaluators.label_rubric import parse_label_rubric
from steper_core.errors import UserError


def show() -> None:
    """Draw the page."""
    store = begin("Annotate", of_labels=True)
    state = enter(AnnotateState)
    state = dataclasses.replace(state, person=person_of(state.person) or "")
    project = get_project(store.database(), state.project) if state.project else None
    if project is None:
        if state.project:
            st.warning("The link names a project that is not in this database.", icon=":material/link_off:")
            st.code(one_line(state.project, 80), language=None)
        _show_projects(store, state)
        return
    show_heading(project, state)
    if state.view == "progress":
        show_progress(store, project, state)
    elif state.view == "disagreements":
        show_disagreements(store, project, state)
    elif state.view == "history":
        show_history(store, project, state)
    elif not state.person:
        _ask_who(store, project)
    else:
        _work(project, state)


def _show_projects(store: Store, state: AnnotateState) -> None:
    projects = list_projects(store.database())
    if projects:
        count = pages(len(projects))
        page = min(state.page, count)
        show_projects(projects[(page - 1) * PAGE_SIZE : page * PAGE_SIZE], len(projects), state.person)
        turn_pages(count, page, lambda number: _change(page=number), key="projects_page")
    else:
        st.write("Nothing is to be labelled yet. Create a project from the chains of some runs.")
    with st.expander("New project", expanded=not projects, icon=":material/add:"):
        show_form({token: run for token, run in run_tokens(store.runs()).items() if run.chain_count > 0})
    with st.expander("Import a project", icon=":material/upload:"):
        offer_import(store, None)


def _ask_who(store: Store, project: ProjectRow) -> None:
    st.selectbox(
        "Who are you?",
        annotators(store.database(), project.id),
        index=None,
        key="annotate_person",
        placeholder="choose your name or type a new one",
        accept_new_options=True,
        on_change=while_shown(lambda: _change(person=st.session_state["annotate_person"] or "")),
        width=380,
    )
    st.caption("Until there is a sign-in, the name says who you are. It stands in the history of every label you give.")


@st.fragment
def _work(project: ProjectRow, state: AnnotateState) -> None:
    role: Role = ADJUDICATE if state.item is not None else LABEL
    desk = Desk(project, parse_label_rubric(project.rubric), state.person, role, state.item, state.place, visit())
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


def _change(**changes: Any) -> None:
    write(dataclasses.replace(read(AnnotateState), **changes))


show()
