"""Training: the losses of each ability, their weights, and how fast it went."""

from __future__ import annotations

import dataclasses

import streamlit as st

from app.charts import training_figure
from app.state import TrainingState, find_runs, run_tokens
from app.tokens import MAX_TRAINED
from app.urls import enter, read, write
from app.views.frame import begin
from app.views.messages import show_unknown_runs
from app.views.run_choice import choose_runs, offer_newest
from app.views.training_table import show_training_table


def show() -> None:
    """Draw the page."""
    store = begin("Training")
    state = enter(TrainingState)
    known = {token: run for token, run in run_tokens(store.runs()).items() if run.kind == "train"}
    tokens, unknown = find_runs(state.runs, known)
    if unknown:
        show_unknown_runs(unknown)
    if not known:
        st.info(
            "No training run is in this database yet. "
            "Train a student with `steper train`, or see everything with `steper demo`."
        )
        return
    choose_runs("Training runs", known, tokens, _choose, key="training_runs", most=MAX_TRAINED)
    if not tokens:
        st.write("Choose training runs to see their losses; several seeds are drawn over each other.")
        offer_newest("Show the newest training run", known, _choose)
        return
    runs = {token: known[token] for token in tokens}
    points = [store.train_points(run.id) for run in runs.values()]
    show_training_table(runs, points)
    if not any(points):
        st.info("Nothing was logged by then.")
        return
    st.plotly_chart(training_figure(points, *_colours()), config={"displayModeBar": False}, key="training_chart")


def _colours() -> tuple[str, str]:
    theme = st.context.theme.type or "light"
    return st.get_option(f"theme.{theme}.textColor"), st.get_option(f"theme.{theme}.borderColor")


def _choose(tokens: tuple[str, ...]) -> None:
    write(dataclasses.replace(read(TrainingState), runs=tokens))


show()
