"""Studies: variants of a recipe over several seeds, side by side."""

from __future__ import annotations

import dataclasses

import streamlit as st

from app.plain import one_line
from app.state import StudiesState, run_tokens
from app.study_table import COLUMNS, StudyResult, headline, studies_of
from app.urls import enter, read, while_shown, write
from app.views.frame import begin, chart_colours
from app.views.study import show_variants, study_figure
from app.views.widgets import names_apart

_LABELS = {" ".join(filter(None, name)): title for name, title in COLUMNS.items()}
_NAMES = {" ".join(filter(None, name)): name for name in COLUMNS}


def show() -> None:
    """Draw the page."""
    store = begin("Studies")
    state = enter(StudiesState)
    known = studies_of(store.runs())
    if not known:
        st.info("No study is in this database yet. `steper study` lists those that can be run.")
        return
    if state.study and state.study not in known:
        st.warning("The link names a study that is not in this database.", icon=":material/link_off:")
        st.code(one_line(state.study, 80), language=None)
    chosen = state.study if state.study in known else next(iter(known))
    _choose_study(list(known), chosen)
    result = store.study(tuple(run.id for run in known[chosen]))
    # Titles and sentences hold names from files: they are shown as text, never read as markdown.
    st.text(one_line(headline(result.study), 200))
    for note in result.notes:
        st.text(one_line(note, 400))
    show_variants(result, {run.id: token for token, run in run_tokens(store.runs()).items()})
    _draw(result, state)


def _choose_study(names: list[str], chosen: str) -> None:
    st.session_state["studies_study"] = chosen
    st.selectbox(
        "Study",
        names,
        key="studies_study",
        format_func=names_apart({name: name for name in names}, 60).__getitem__,
        width=380,
        on_change=while_shown(lambda: _change(study=st.session_state["studies_study"])),
    )


def _draw(result: StudyResult, state: StudiesState) -> None:
    asked = (state.score, state.ability)
    score = asked if asked in COLUMNS else ("em", "")
    st.session_state["studies_score"] = " ".join(filter(None, score))
    st.selectbox(
        "Score",
        list(_LABELS),
        key="studies_score",
        format_func=lambda name: _LABELS[name],
        width=380,
        on_change=while_shown(_take_score),
    )
    st.plotly_chart(study_figure(result, score, *chart_colours()), config={"displayModeBar": False}, key="study_chart")


def _take_score() -> None:
    name, ability = _NAMES[st.session_state["studies_score"]]
    _change(score=name, ability=ability)


def _change(**changes: str) -> None:
    write(dataclasses.replace(read(StudiesState), **changes))


show()
