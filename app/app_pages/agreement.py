"""Agreement: how far people agree with each other, and judges and metrics with people."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.agreeing import Findings, subjects
from app.plain import one_line
from app.standing import control_shares, given_labels
from app.state import AgreementState, run_tokens
from app.store import Store
from app.urls import enter, href, read, while_shown, write
from app.views.agreement_tables import (
    confusion_data,
    draw,
    machine_table,
    pairs_of,
    people_table,
    sentences,
    sides_of,
    units_in,
)
from app.views.component import Event
from app.views.frame import begin
from app.views.widgets import names_apart
from db.annotation_views import ProjectRow
from db.queries_annotations import item_row, labels, list_projects
from evaluators.label_rubric import LabelRubric, parse_label_rubric
from evaluators.people import place_in


def show() -> None:
    """Draw the page."""
    store = begin("Agreement", of_labels=True)
    state = enter(AgreementState)
    projects = {project.name: project for project in list_projects(store.database())}
    if not projects:
        st.write("Agreement is about labels that people gave. Create a labelling project from the chains of some runs:")
        st.code("steper annotate create NAME --run RUN --items 50 --overlap 2", language=None)
        st.page_link("app_pages/annotate.py", label="Annotate", icon=":material/edit_note:")
        return
    if state.project and state.project not in projects:
        st.warning("The link names a project that is not in this database.", icon=":material/link_off:")
        st.code(one_line(state.project, 80), language=None)
    project = projects.get(state.project) or next(iter(projects.values()))
    rubric = parse_label_rubric(project.rubric)
    known = subjects(rubric)
    subject = state.subject if state.subject in known else next(iter(known))
    with st.container(horizontal=True, key="agreement_choice"):
        _choose("Project", {name: name for name in projects}, project.name, "project", 320)
        _choose("About", known, subject, "subject", 240)
    if not project.submitted:
        st.info("Nobody has submitted an item of this project yet: agreement begins with the first ones.")
        st.page_link("app_pages/annotate.py", label="Annotate", icon=":material/edit_note:")
        return
    _show(store, project, rubric, store.findings(project.id, subject), state)


def _show(store: Store, project: ProjectRow, rubric: LabelRubric, found: Findings, state: AgreementState) -> None:
    _show_sentences(found)
    given = given_labels(labels(store.database(), project.id), rubric) if project.controls else ()
    controls = control_shares(store.database(), project, given)
    draw(people_table(found, controls), key="agreement_people", on_event=_handle)
    if len(found.people.raters) < 2:
        st.caption("One person alone has nobody to agree with: the ceiling needs labels of two on the same items.")
    if found.machines:
        draw(machine_table(found.machines), key="agreement_machines", on_event=_handle)
    else:
        st.caption(
            "No judge gave a verdict of this name and these values on the project's runs, and no metric speaks of it."
        )
    pairs = pairs_of(found)
    if not pairs:
        return
    pair = (state.first, state.second) if (state.first, state.second) in pairs else pairs[0]
    cell = _cell(state.cell) if pair == (state.first, state.second) or not state.first else None
    data = confusion_data(found, *pair, rubric, cell)
    links = _links(store, found, pair, rubric, cell) if cell else []
    draw({**data, "links": links}, key="agreement_confusion", on_event=lambda event: _handle(event, pair))
    if project.disputed:
        st.link_button(
            f"{project.disputed:,} items in dispute",
            href("annotate", {"project": [project.name], "view": ["disagreements"]}),
            icon=":material/gavel:",
        )


def _show_sentences(found: Findings) -> None:
    said = sentences(found.machines)
    if said:
        draw({"kind": "sentences", "title": "In a sentence", "sentences": said}, key="agreement_sentences")


def _links(
    store: Store, found: Findings, pair: tuple[str, str], rubric: LabelRubric, cell: tuple[float, float]
) -> list[dict[str, str]]:
    tokens = {run.id: token for token, run in run_tokens(store.runs()).items()}
    links = []
    for unit in units_in(*sides_of(found, *pair, rubric), cell):
        item, number = place_in(unit)
        row = item_row(store.database(), item)
        if row is None or row.run_id is None:
            continue
        view = store.question(row.question_id, (row.run_id,))
        params = {
            "run": [tokens[row.run_id]],
            "q": [str(row.question_id)],
            **({"step": [str(number)]} if number else {}),
        }
        links.append(
            {
                "href": href("chains", params),
                "text": one_line(view.text if view else row.question_key, 120),
                "step": f"step {number}" if number else "whole chain",
            }
        )
    return links


def _choose(label: str, options: Mapping[str, str], chosen: str, field: str, width: int) -> None:
    key = f"agreement_{field}"
    st.session_state[key] = chosen
    st.selectbox(
        label,
        list(options),
        key=key,
        format_func=names_apart(options, 60).__getitem__,
        on_change=while_shown(lambda: _change(**{field: st.session_state[key], "first": "", "second": "", "cell": ""})),
        width=width,
    )


def _handle(event: Event, pair: tuple[str, str] | None = None) -> None:
    kind, value = event
    if kind == "pair" and isinstance(value, list) and len(value) == 2:
        _change(first=str(value[0]), second=str(value[1]), cell="")
    elif kind == "cell" and isinstance(value, list) and len(value) == 2 and pair is not None:
        _change(first=pair[0], second=pair[1], cell=f"{value[0]}|{value[1]}")


def _cell(text: str) -> tuple[float, float] | None:
    try:
        row, _, column = text.partition("|")
        return float(row), float(column)
    except ValueError:
        return None


def _change(**changes: Any) -> None:
    write(dataclasses.replace(read(AgreementState), **changes))


show()
