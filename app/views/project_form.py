"""The form that makes a labelling project, as `steper annotate create` does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast, get_args

import streamlit as st

from app.annotation_projects import ProjectOrder, plan_project
from app.plain import one_line
from app.state import AnnotateState
from app.store import open_store
from app.urls import read, write
from app.views.project_words import show_fault
from db.annotations import create_project
from db.clean import clean_name
from db.queries import RunRow
from db.queries_annotations import get_project
from db.queries_texts import Database
from evaluators.label_rubric import LABEL_RUBRICS, load_label_rubric
from evaluators.sampling import Sample
from steper_core.errors import UserError

LONGEST = 80
_USUAL = "steps"
SAMPLES: Mapping[Sample, str] = {
    "random": "any chains",
    "stratified": "as many of each kind of question and outcome",
    "disagreements": "questions that some of the runs get right and others wrong",
    "judge-against-metric": "chains on which a judge and the metrics differ",
    "low-judge-agreement": "chains on which a judge's votes differ most",
}
"""The samples in words."""

_FAULTS = "new_project_faults"


@dataclass(frozen=True)
class Filled:
    """The form as it was filled in."""

    name: str
    runs: tuple[str, ...]
    rubric: str
    sample: Sample
    count: int
    overlap: int
    blind: bool
    seed: int


def show_form(known: Mapping[str, RunRow]) -> None:
    """Draw the form; `known` are the runs with chains by their short names."""
    if not known:
        st.info("No run of this database holds chains to label. `steper evaluate` makes such runs.")
        return
    faults: Mapping[str, str] = st.session_state.get(_FAULTS, {})
    with st.form("new_project", border=False, enter_to_submit=False):
        st.text_input("Name", key="new_name", max_chars=LONGEST, width=480)
        _fault(faults, "name")
        st.multiselect(
            "Runs whose chains are to be labelled",
            list(known),
            key="new_runs",
            format_func=lambda token: f"{one_line(known[token].name, 40)} ({token})",
            placeholder="choose runs",
            width=720,
        )
        _fault(faults, "runs")
        with st.container(horizontal=True):
            rubrics = LABEL_RUBRICS.names()
            st.selectbox("Rubric", rubrics, rubrics.index(_USUAL), key="new_rubric", width=220)
            st.selectbox("Which chains", get_args(Sample), key="new_sample", format_func=sample_words, width=460)
        _fault(faults, "sample")
        with st.container(horizontal=True):
            st.number_input("How many chains", 1, 100_000, 50, key="new_count", width=160)
            st.number_input("People an item", 1, 50, 1, key="new_overlap", width=160)
            st.number_input("Seed", 0, 2**31 - 1, 0, key="new_seed", width=160, help="Of the sample and its order.")
        st.toggle("Blind: run, gold answer and judge are hidden until an item is submitted", True, key="new_blind")
        _fault(faults, "form")
        st.form_submit_button("Create project", type="primary", on_click=_create, args=(dict(known),))
    st.caption(
        "A rubric of your own, or control items with known labels: `steper annotate create` takes them as files. "
        "`steper annotate rubrics steps` prints a rubric to start from."
    )


def sample_words(sample: str) -> str:
    """A sample with what it draws."""
    return f"{sample}: {SAMPLES[cast(Sample, sample)]}"


def create(engine: Database, filled: Filled, known: Mapping[str, RunRow]) -> tuple[str, dict[str, str]]:
    """Make the project; returns its name as it is stored, and what is wrong by field (then nothing was made)."""
    name = clean_name(filled.name)
    faults = _faults(engine, name, filled, known)
    if faults:
        return name, faults
    order = ProjectOrder(
        name=name,
        run_ids=tuple(known[token].id for token in filled.runs),
        rubric=load_label_rubric(filled.rubric),
        sample=filled.sample,
        count=filled.count,
        overlap=filled.overlap,
        blind=filled.blind,
        seed=filled.seed,
    )
    try:
        project = plan_project(engine, order)
    except UserError as error:
        return name, {"sample": str(error)}
    try:
        create_project(engine, project)
    except UserError as error:
        return name, {"form": str(error)}
    return name, {}


def _faults(engine: Database, name: str, filled: Filled, known: Mapping[str, RunRow]) -> dict[str, str]:
    found = {}
    if not name:
        found["name"] = "Give the project a name, so that people find it."
    elif len(name) > LONGEST:
        found["name"] = f"The name has {len(name)} characters; {LONGEST} are the most."
    elif get_project(engine, name) is not None:
        found["name"] = "There is a project of this name already; take another."
    if not filled.runs:
        found["runs"] = "Choose at least one run."
    elif any(token not in known for token in filled.runs):
        found["runs"] = "A chosen run is not in the database any more; choose again."
    return found


def _create(known: Mapping[str, RunRow]) -> None:
    values = st.session_state
    filled = Filled(
        name=values["new_name"],
        runs=tuple(values["new_runs"]),
        rubric=values["new_rubric"],
        sample=values["new_sample"],
        count=int(values["new_count"]),
        overlap=int(values["new_overlap"]),
        blind=bool(values["new_blind"]),
        seed=int(values["new_seed"]),
    )
    name, faults = create(open_store().database(), filled, known)
    values[_FAULTS] = faults
    if not faults:
        write(AnnotateState(project=name, person=read(AnnotateState).person, view="progress"))


def _fault(faults: Mapping[str, str], field: str) -> None:
    show_fault([faults[field]] if field in faults else [], key=f"new_project_{field}_fault")
