"""Choosing what is compared: the runs, the score in focus, and what to begin with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from app.plain import one_line
from app.state import CompareState
from app.tokens import ABILITIES, METHOD_ORDER
from app.urls import while_shown
from app.views.compare_words import held_scores, score_label
from app.views.widgets import choose_one, names_apart
from db.queries import RunRow
from evaluators.meanings import meaning_of

_FIRST = "vanilla-kd"
"""The method that others are measured against where it is among them: the paper's question."""

_MOST_OFFERED = 3


def choose_score(
    state: CompareState,
    runs: Sequence[RunRow],
    on_score: Callable[[str], None],
    on_ability: Callable[[str], None],
) -> None:
    """A field for the score in focus, and one for an ability where the score is of steps too."""
    held = held_scores(runs)
    options = held if state.score in held else [*held, state.score]
    st.session_state["compare_score"] = state.score
    st.selectbox(
        "Score",
        options,
        key="compare_score",
        format_func=names_apart({name: score_label(name) for name in options}, 60).__getitem__,
        on_change=while_shown(lambda: on_score(st.session_state["compare_score"])),
        width=230,
    )
    if "step" in meaning_of(state.score).levels:
        choose_one(
            "Steps of",
            ["", *ABILITIES],
            state.ability,
            on_ability,
            key="compare_ability",
            name=lambda ability: ABILITIES.get(ability, "all"),
        )


def offer_group(known: Mapping[str, RunRow], on_choose: Callable[[tuple[str, ...]], None]) -> None:
    """A button that compares the newest runs that belong together, with their names under it."""
    group = newest_group(known)
    if not group:
        st.write("Two finished evaluations of the same data are needed to compare; there are none yet.")
        return
    st.button("Compare the newest runs", type="primary", on_click=on_choose, args=(group,), key="compare_newest")
    st.code("\n".join(one_line(known[token].name, 60) for token in group), language=None)


def newest_group(known: Mapping[str, RunRow]) -> tuple[str, ...]:
    """The newest finished evaluations that belong together: the newest of each method, if there are two.

    They share data, model and framework, and answered as many questions. The first one, which the others are compared
    with, is the one that learned without abilities, if it is there.
    """
    groups: dict[tuple[str | int, ...], dict[str, str]] = {}
    finished = [token for token, run in known.items() if run.status == "finished"]
    for token in sorted(finished, key=lambda token: known[token].started, reverse=True):
        run = known[token]
        system = (run.dataset, run.model, run.framework, run.chain_count)
        groups.setdefault(system, {}).setdefault(run.method, token)
    group = next((methods for methods in groups.values() if len(methods) > 1), {})
    ordered = sorted((method for method in group), key=_place)[:_MOST_OFFERED]
    return tuple(group[method] for method in ordered)


def _place(method: str) -> tuple[bool, bool, int]:
    """Students before their base, the reference before all, and methods that are not known last."""
    known = method in METHOD_ORDER and bool(method)
    rank = -METHOD_ORDER.index(method) if known else 0
    return (method != _FIRST, not known, rank)
