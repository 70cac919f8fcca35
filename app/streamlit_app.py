"""The dashboard: `streamlit run app/streamlit_app.py`."""

from __future__ import annotations

import logging
from pathlib import Path

import streamlit as st

from app.views.messages import show_failure

PAGES = (
    st.Page("app_pages/runs.py", title="Runs", icon=":material/table_rows:", url_path="start", default=True),
    st.Page("app_pages/chains.py", title="Chains", icon=":material/account_tree:", url_path="chains"),
    st.Page("app_pages/compare.py", title="Compare", icon=":material/balance:", url_path="compare"),
    st.Page("app_pages/annotate.py", title="Annotate", icon=":material/edit_note:", url_path="annotate"),
    st.Page("app_pages/agreement.py", title="Agreement", icon=":material/handshake:", url_path="agreement"),
    st.Page("app_pages/studies.py", title="Studies", icon=":material/science:", url_path="studies"),
    st.Page("app_pages/training.py", title="Training", icon=":material/show_chart:", url_path="training"),
)


def _start() -> None:
    st.switch_page(PAGES[0], query_params={name: st.query_params.get_all(name) for name in st.query_params})


# The start page answers at / alone, and people type its name.
_NAMED = st.Page(_start, title="Runs", url_path="runs", visibility="hidden")
_ASSETS = Path(__file__).parent / "views/assets"

# Before the navigation, or else the browser fetches a page's own icon from a server of others.
st.set_page_config(page_icon=str(_ASSETS / "mark.svg"), layout="wide")
st.logo(_ASSETS / "logo.svg", size="medium")
page = st.navigation([*PAGES, _NAMED], position="top")
# The page comes first: a narrow tab cuts the end of its title.
st.set_page_config(page_title=f"{page.title} · StepER")
try:
    page.run()
except Exception:
    logging.getLogger("steper").exception("The page could not be drawn")
    show_failure()
