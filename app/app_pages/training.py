"""Training: the losses of each ability, their weights, what the checkpoints can do, and how fast it went."""

from __future__ import annotations

import dataclasses

import streamlit as st

from app.state import TrainingState, find_runs, run_tokens
from app.tokens import MAX_TRAINED, RUN_LETTERS
from app.training_charts import training_figure
from app.urls import enter, read, write
from app.views.checkpoints import scored_checkpoints, trained_run
from app.views.frame import begin, chart_colours
from app.views.messages import show_left_out
from app.views.run_choice import choose_runs, offer_newest
from app.views.training_table import show_training_table


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
    evaluations = [run for run in every.values() if run.kind == "evaluate"]
    checkpoints = [scored_checkpoints(store, run, evaluations) for run in runs.values()]
    trained = [trained_run(store, run, own) for run, own in zip(runs.values(), checkpoints, strict=True)]
    show_training_table(runs, [run.points for run in trained])
    figure = training_figure(trained, *chart_colours())
    if figure is None:
        st.info("Nothing was logged by then.")
        return
    st.plotly_chart(figure, config={"displayModeBar": False}, key="training_chart")
    for position, (token, own) in enumerate(zip(runs, checkpoints, strict=True)):
        if len(own) > 1:
            _offer_comparison(RUN_LETTERS[position], token, len(own))


def _offer_comparison(letter: str, token: str, count: int) -> None:
    """A link to where the evaluated checkpoints of a run are compared with each other."""
    st.page_link(
        "app_pages/compare.py",
        label=f"Compare the {count} evaluated checkpoints of {letter}",
        icon=":material/show_chart:",
        query_params={"train": token},
    )


def _choose(tokens: tuple[str, ...]) -> None:
    write(dataclasses.replace(read(TrainingState), runs=tokens))


show()
