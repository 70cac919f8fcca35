"""Chains: what each run retrieved and wrote for a question, step by step."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.state import OUTCOMES, OUTCOMES_OF_ONE, PAGE_SIZE, ChainsState, find_runs, neighbour, pages, run_tokens
from app.store import Store, open_store
from app.tokens import MAX_COMPARED, RIGHT, WRONG
from app.urls import enter, read, write
from app.views.chain import show_chains
from app.views.component import Event
from app.views.frame import begin
from app.views.messages import show_left_out, show_unknown_question
from app.views.question_list import SEARCH_LABEL, show_questions
from app.views.run_choice import choose_runs, offer_newest
from app.views.widgets import choose_many, choose_one, search, turn_pages
from db.queries import QuestionFilter, QuestionPage, RunRow, runs_that_hold
from db.queries_questions import MARKS

_OUTCOMES = {
    "": "all",
    "right": "right",
    "wrong": "wrong",
    "differs": "differs",
    "fixed": f"fixed {WRONG}{RIGHT}",
    "broken": f"broken {RIGHT}{WRONG}",
    "both-right": f"both {RIGHT}",
    "both-wrong": f"both {WRONG}",
}

_MARKS = {
    "unscored": "not scored",
    "wrong-path": "right by a wrong path",
    "annotated": "labelled by people",
    "disagreed": "in dispute among people",
}


def show() -> None:
    """Draw the page."""
    store = begin("Chains")
    state = enter(ChainsState)
    known = _readable(store)
    tokens, unknown = find_runs(state.runs, known)
    show_left_out(unknown, run_tokens(store.runs()), "Only runs that hold chains can be read here.")
    if not known:
        st.info("No run of this database holds chains yet.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom", key="question_filters"):
        choose_runs("Runs", known, tokens, lambda runs: _restart(runs=runs), key="chains_runs", most=MAX_COMPARED)
        if tokens:
            _filters(store, state, [known[token] for token in tokens])
    if not tokens:
        st.write("Choose up to three runs to read their chains side by side, or tick them on the Runs page.")
        offer_newest("Read the newest run", known, lambda runs: _restart(runs=runs))
        return
    runs = [known[token] for token in tokens]
    found, page = _found(store, state, runs)
    left, right = st.columns([3, 8], gap="medium")
    question = _question(state, found)
    with left, st.container(key="question_column"):
        show_questions(runs, found, page, question, state.gold, on_event=_handle)
        turn_pages(pages(found.total), page, lambda number: _restart(page=number), key="chains_page")
        if not found.rows:
            st.button("Clear all filters", on_click=lambda: write(ChainsState(runs=read(ChainsState).runs)))
    with right:
        _show_question(store, state, question, runs)


def _readable(store: Store) -> dict[str, RunRow]:
    return {token: run for token, run in run_tokens(store.runs()).items() if run.chain_count > 0}


def _filters(store: Store, state: ChainsState, runs: list[RunRow]) -> None:
    choices = store.question_choices(tuple(run.id for run in runs))
    choose_one(
        "Answers of run A, and from A to B" if len(runs) > 1 else "Answers",
        ["", *_outcomes(runs)],
        _outcome(state, runs),
        _filter("outcome"),
        key="chains_outcome",
        name=lambda outcome: _OUTCOMES[outcome],
    )
    search(SEARCH_LABEL, state.text, _filter("text"), key="chains_text", width=170)
    set_now = sum(map(len, (state.kinds, state.hop_counts, state.step_counts, state.marks)))
    label = f"More filters ({set_now})" if set_now else "More filters"
    with st.popover(label, icon=":material/filter_list:", key="chains_more"):
        choose_many("Kind", choices.kinds, state.kinds, _filter("kinds"), key="chains_kinds", width=260)
        choose_many("Hops", choices.hop_counts, state.hop_counts, _filter("hop_counts"), key="chains_hops", width=260)
        of_first = " of run A" if len(runs) > 1 else ""
        choose_many(
            f"Steps taken{of_first}",
            choices.step_counts,
            state.step_counts,
            _filter("step_counts"),
            key="chains_steps",
            width=260,
        )
        choose_many(
            f"Chains{of_first} that are",
            MARKS,
            state.marks,
            _filter("marks"),
            key="chains_marks",
            name=lambda mark: _MARKS[mark],
            width=260,
        )


def _outcomes(runs: list[RunRow]) -> tuple[str, ...]:
    return OUTCOMES if len(runs) > 1 else OUTCOMES_OF_ONE


def _outcome(state: ChainsState, runs: list[RunRow]) -> str:
    """The outcome to filter by: one of two runs says nothing of a single one."""
    return state.outcome if state.outcome in _outcomes(runs) else ""


def _found(store: Store, state: ChainsState, runs: list[RunRow]) -> tuple[QuestionPage, int]:
    """The page of questions that the URL names, or the last one where it names one too far."""
    ids = tuple(run.id for run in runs)
    where = QuestionFilter(
        _outcome(state, runs), state.kinds, state.hop_counts, state.step_counts, state.marks, state.text
    )
    found = store.questions(ids, where, (state.page - 1) * PAGE_SIZE, PAGE_SIZE)
    last = pages(found.total)
    if state.page <= last:
        return found, state.page
    return store.questions(ids, where, (last - 1) * PAGE_SIZE, PAGE_SIZE), last


def _question(state: ChainsState, found: QuestionPage) -> int | None:
    if state.question:
        return state.question_id
    return found.rows[0].id if found.rows else None


def _show_question(store: Store, state: ChainsState, question: int | None, runs: list[RunRow]) -> None:
    view = store.question(question, tuple(run.id for run in runs)) if question is not None else None
    if view is not None:
        labels = store.chain_labels(view.id, tuple(run.id for run in runs))
        show_chains(view, runs, gold=state.gold, labels=labels, step=state.step)
    elif state.question:
        show_unknown_question(state.question)


def _filter(field: str) -> Any:
    return lambda value: _restart(**{field: value})


def _restart(**changes: Any) -> None:
    """Change what is listed: its first page and first question, unless the change names them."""
    write(dataclasses.replace(read(ChainsState), **{"page": 1, "question": "", "step": None, **changes}))


def _change(**changes: Any) -> None:
    write(dataclasses.replace(read(ChainsState), **changes))


def _handle(event: Event) -> None:
    kind, value = event
    state = read(ChainsState)
    if kind == "open":
        _change(question=str(value), step=None)
    elif kind == "gold":
        _change(gold=bool(value))
    elif kind in ("turn", "run"):
        store = open_store()
        known = _readable(store)
        tokens, _ = find_runs(state.runs, known)
        if kind == "run":
            by, question = (value.get("by"), value.get("question")) if isinstance(value, dict) else (None, None)
            shown = state if question is None else dataclasses.replace(state, question=str(question))
            if by in (-1, 1):
                _change_run(store, shown, known, tokens, by)
        else:
            _turn(store, state, [known[token] for token in tokens], value)


def _change_run(
    store: Store, state: ChainsState, known: Mapping[str, RunRow], tokens: tuple[str, ...], direction: int
) -> None:
    """Read the same question under the next run, by name, that has a chain for it."""
    question = _question(state, _found(store, state, [known[token] for token in tokens])[0])
    if question is None:
        return
    holders = runs_that_hold(store.database(), question, [run.id for run in known.values()])
    options = sorted((t for t, run in known.items() if run.id in holders), key=lambda token: known[token].name)
    _change(runs=neighbour(options, tokens, direction), question=str(question))


def _turn(store: Store, state: ChainsState, runs: list[RunRow], direction: int) -> None:
    """Go to the first question of the next page, or to the last one of the page before."""
    _, page = _found(store, state, runs)
    found, page = _found(store, dataclasses.replace(state, page=max(1, page + direction)), runs)
    if found.rows:
        _change(page=page, question=str(found.rows[0 if direction > 0 else -1].id), step=None)


show()
