"""Training: the losses of each ability, their weights, and how fast it went."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import streamlit as st

from app.charts import training_figure
from app.state import TrainingState, find_runs, run_tokens
from app.store import Store
from app.tokens import MAX_TRAINED, RUN_LETTERS
from app.urls import enter, read, write
from app.views.compare_training import checkpoints_of
from app.views.frame import begin
from app.views.messages import show_left_out
from app.views.run_choice import choose_runs, offer_newest
from app.views.training_table import show_training_table
from db.queries import RunRow


def show() -> None:
    """Draw the page."""
    store = begin("Training")
    state = enter(TrainingState)
    every = run_tokens(store.runs())
    known = {token: run for token, run in every.items() if run.kind == "train"}
    tokens, unknown = find_runs(state.runs, known)
    show_left_out(unknown, every, "Only training runs are drawn here.")
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
    _offer_scores(store, runs)


def _offer_scores(store: Store, runs: Mapping[str, RunRow]) -> None:
    """Links to the scores over the same steps, of the runs whose checkpoints were evaluated."""
    evaluated = [run for run in store.runs() if run.kind == "evaluate" and run.chain_count > 0]
    for position, (token, run) in enumerate(runs.items()):
        count = len(checkpoints_of(run, evaluated))
        if count:
            st.page_link(
                "app_pages/compare.py",
                label=f"Scores of {RUN_LETTERS[position]} over its steps ({count} evaluated)",
                icon=":material/show_chart:",
                query_params={"train": token},
            )


def _colours() -> tuple[str, str]:
    theme = st.context.theme.type or "light"
    return st.get_option(f"theme.{theme}.textColor"), st.get_option(f"theme.{theme}.borderColor")


def _choose(tokens: tuple[str, ...]) -> None:
    write(dataclasses.replace(read(TrainingState), runs=tokens))


show()
