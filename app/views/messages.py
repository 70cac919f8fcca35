"""What the pages say where there is nothing to draw: what is missing, and what to do."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app.plain import one_line, plain
from app.state import find_runs
from db.queries import RunRow


def show_failure() -> None:
    """Say that a page could not be drawn."""
    st.error(
        "This page could not be drawn. The reason stands in the terminal that runs the dashboard; "
        "reload the page to try again.",
        icon=":material/error:",
    )


def show_database_problem(reason: str) -> None:
    """Say that the database cannot be opened, and why."""
    st.error("The database cannot be opened.", icon=":material/database_off:")
    st.code(one_line(reason, 2000), language=None, wrap_lines=True)
    st.write("The dashboard reads the database that `STEPER_DATABASE_URL` names, else `runs/steper.db`.")


def show_empty_database() -> None:
    """Say how runs get into an empty database."""
    with st.container(key="empty_database", border=True, width=720):
        st.subheader("No runs yet", anchor=False)
        st.write("Train and evaluate small models on a generated world, and look at every step here:")
        st.code("make demo", language=None)
        st.write("The same without `make`:")
        st.code("steper demo", language=None)
        st.write("Runs that exist already come in with:")
        st.code("steper ingest runs", language=None)


def show_no_match(what: str) -> None:
    """Say that filters leave nothing."""
    st.info(f"No {what} matches these filters. Remove one to see more.", icon=":material/filter_alt_off:")


def show_unknown_runs(tokens: tuple[str, ...]) -> None:
    """Say that the URL names runs that the database does not hold (as text: anything may stand in a URL)."""
    st.warning(
        "The link names a run that is not in this database: it was deleted, or the link is cut or mistyped.",
        icon=":material/link_off:",
    )
    st.code("\n".join(one_line(token, 60) for token in tokens[:5]), language=None)


def show_left_out(unknown: tuple[str, ...], every: Mapping[str, RunRow], why: str) -> None:
    """Say which runs of a link this page cannot show and `why`, apart from those that the database does not hold."""
    others, strange = find_runs(unknown, every)
    if strange:
        show_unknown_runs(strange)
    if others:
        st.warning(f"{why} Left out:", icon=":material/filter_alt_off:")
        st.code("\n".join(one_line(every[token].name, 60) for token in others), language=None)


def show_unknown_question(token: str) -> None:
    """Say that the URL names a question that the database does not hold."""
    st.warning(
        "The link names a question that is not in this database. Pick one from the list.", icon=":material/link_off:"
    )
    st.code(one_line(token, 60), language=None)


def show_mixed_versions(evaluators: tuple[str, ...]) -> None:
    """Say that some figures of the list are not to be compared, and what to do; nothing where all are."""
    if evaluators:
        st.write("Scores of different versions stand in this list, not to be compared:")
        st.code("\n".join(plain(evaluator) for evaluator in evaluators), language=None)
        st.write("`steper rescore RUN ...` brings runs up to date, without a model.")
