"""What surrounds every page."""

from __future__ import annotations

import streamlit as st

from app.store import Store, open_store
from app.views.messages import show_database_problem, show_empty_database
from db.queries_annotations import list_projects
from steper_core.errors import UserError

# Streamlit has no option for the side margins of a wide page; this text is fixed and holds no data.
_STYLE = """<style>
.stMainBlockContainer { padding-left: clamp(1rem, 2.5vw, 3rem); padding-right: clamp(1rem, 2.5vw, 3rem); }
@media (min-width: 641px) { /* below, Streamlit stacks columns */
  .stColumn:has(.st-key-question_column) { position: sticky; top: 4.2rem; align-self: flex-start; }
}
.st-key-chains_runs, .st-key-compare_runs, .st-key-project_heading { min-width: min(20rem, 100%); }
.stButtonGroup button[data-variant="segmented_control"][data-selected] { color: inherit; font-weight: 600; }
</style>"""


def begin(title: str, *, of_labels: bool = False) -> Store:
    """Draw the heading and return the database, or say what is missing and stop the page.

    Pages `of_labels` go on where there are projects but no runs: labels outlive what they are of.
    """
    st.html(_STYLE)
    st.header(title, anchor=False)
    try:
        store = open_store()
    except UserError as error:
        show_database_problem(str(error))
        st.stop()
    if not store.runs() and not (of_labels and list_projects(store.database())):
        show_empty_database()
        st.stop()
    return store


def chart_colours() -> tuple[str, str]:
    """The colours of text and of grids in the reader's theme."""
    theme = st.context.theme.type or "light"
    return st.get_option(f"theme.{theme}.textColor"), st.get_option(f"theme.{theme}.borderColor")
