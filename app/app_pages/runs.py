"""Runs: what ran, on what, and how well it did."""

from __future__ import annotations

import dataclasses
from typing import Any

import streamlit as st

from app.seeds import seed_groups
from app.state import RunsState, pages, run_tokens
from app.store import Store
from app.tokens import KINDS
from app.urls import enter, read, write
from app.views.component import Event
from app.views.frame import begin
from app.views.messages import show_mixed_versions, show_no_match
from app.views.run_order import next_sort
from app.views.run_table import listed, mixed_versions, show_runs
from app.views.widgets import choose_many, search, turn_pages
from db.queries import RunFilter

_PAGE_SIZE = 50


def show() -> None:
    """Draw the page."""
    store = begin("Runs")
    state = enter(RunsState)
    _filters(store, state)
    where = RunFilter(state.kinds, state.methods, state.models, state.datasets, state.statuses, state.text)
    rows = listed(store.runs(where), state.sort)
    if not rows:
        show_no_match("run")
        return
    count = pages(len(rows), _PAGE_SIZE)
    page = min(state.page, count)
    shown = rows[(page - 1) * _PAGE_SIZE : page * _PAGE_SIZE]
    show_runs(run_tokens(store.runs()), shown, seed_groups(rows), state, on_event=_handle)
    show_mixed_versions(mixed_versions(rows))
    turn_pages(count, page, lambda number: _change(page=number), key="runs_page")


def _filters(store: Store, state: RunsState) -> None:
    choices = store.run_choices()
    with st.container(horizontal=True, key="run_filters"):
        choose_many(
            "Kind",
            choices.kinds,
            state.kinds,
            _filter("kinds"),
            key="runs_kinds",
            name=lambda kind: KINDS.get(kind, kind),
        )
        choose_many("Method", choices.methods, state.methods, _filter("methods"), key="runs_methods")
        choose_many("Model", choices.models, state.models, _filter("models"), key="runs_models")
        choose_many("Data", choices.datasets, state.datasets, _filter("datasets"), key="runs_datasets")
        choose_many("Status", choices.statuses, state.statuses, _filter("statuses"), key="runs_statuses")
        search("Search runs", state.text, _filter("text"), key="runs_text")


def _filter(field: str) -> Any:
    return lambda value: _change(**{field: value}, page=1)


def _change(**changes: Any) -> None:
    write(dataclasses.replace(read(RunsState), **changes))


def _handle(event: Event) -> None:
    kind, value = event
    if kind == "sort":
        _change(sort=next_sort(read(RunsState).sort, value), page=1)
    elif kind == "tick":
        _change(ticked=tuple(value))
    elif kind == "open":
        _change(opened=value)


show()
