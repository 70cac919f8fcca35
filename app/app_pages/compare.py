"""Compare: which of two to eight runs is better, by what, and how sure that is."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from app.comparison import MAX_RUNS, Line, ScoreName, Table, own_name
from app.pareto_chart import pareto_figure
from app.plain import inert, one_line
from app.state import CompareState, find_runs, run_tokens
from app.store import Store
from app.training_charts import checkpoint_figure
from app.urls import enter, read, write
from app.views.checkpoints import scored_checkpoints, trained_run
from app.views.compare_choice import choose_score, offer_group
from app.views.compare_costs import cost_remarks, cost_rows, pareto_plots
from app.views.compare_flow import show_flow
from app.views.compare_table import ability_rows, columns, draw_table, group_rows, score_rows
from app.views.compare_training import (
    TrainingSet,
    set_rows,
    teacher_run_of,
    trained_most,
    training_run_of,
)
from app.views.compare_verdict import show_verdict
from app.views.compare_words import held_scores, score_label, step_scores, whole_scores
from app.views.component import Event
from app.views.frame import begin, chart_colours
from app.views.messages import show_left_out, show_unknown_runs
from app.views.run_choice import choose_runs
from db.queries import RunRow
from evaluators.meanings import meaning_of
from steper_core.run_records import Figure

Runs = Mapping[str, RunRow]
_EM: ScoreName = ("em", "")


def show() -> None:
    """Draw the page."""
    store = begin("Compare")
    state = enter(CompareState)
    every = run_tokens(store.runs())
    known = {token: run for token, run in every.items() if run.kind == "evaluate" and run.chain_count > 0}
    tokens, unknown = find_runs(state.runs, known)
    show_left_out(unknown, every, "Only evaluations that hold chains can be compared.")
    if not known:
        st.info("No evaluation is in this database yet. Evaluate a model with `steper evaluate`.")
        return
    with st.container(horizontal=True, key="compare_choice"):
        choose_runs("Runs, the first is the reference", known, tokens, _choose, key="compare_runs", most=MAX_RUNS)
        if tokens:
            choose_score(state, [known[token] for token in tokens], _choose_score, _choose_ability)
    runs = _with_columns(store, {token: known[token] for token in tokens})
    if len(runs) > 1:
        _compare(store, state, runs)
    elif not state.train or tokens:
        st.write(f"Choose two to {MAX_RUNS} evaluation runs, or tick them on the Runs page.")
        if not tokens:
            offer_group(known, _choose)
    _show_curve(store, every, state, runs)
    if runs:
        _show_training_sets(store, runs)


def _with_columns(store: Store, runs: Runs) -> Runs:
    """The runs whose scores can be read; what the others need is said."""
    bare = [run for run in runs.values() if store.run_arrays(run.id) is None]
    if bare:
        st.warning(
            "These runs were read by an earlier version, without what a comparison needs. "
            "Read them again with `steper ingest` and the folder of the runs.",
            icon=":material/database:",
        )
        st.code("\n".join(one_line(run.name, 60) for run in bare), language=None)
    without = {run.id for run in bare}
    return {token: run for token, run in runs.items() if run.id not in without}


def _compare(store: Store, state: CompareState, runs: Runs) -> None:
    ids = tuple(run.id for run in runs.values())
    score: ScoreName = (state.score, state.ability)
    comparison = store.comparison(ids, score)
    show_verdict(comparison)
    held = held_scores(list(runs.values()))
    whole = whole_scores(held, everything=state.everything, focus=score)
    table = store.score_table(ids, whole)
    _show_scores(store, state, runs, table, whole, comparison.shared, len(held))
    _show_abilities(store, state, runs, held)
    show_flow(runs, store.outcomes(ids))
    for title, groups, param in (("Kind", comparison.kinds, "kind"), ("Hops", comparison.hops, "hops")):
        _show_groups(runs, score, title, groups, param)
    _show_costs(runs, score, table)
    _offer_report(store, state, runs)


def _offer_report(store: Store, state: CompareState, runs: Runs) -> None:
    def page() -> str:
        from app.report import Wish, report_data
        from app.report_page import render_report

        held = state.score in held_scores(list(runs.values()))
        wish = Wish(score=state.score, ability=state.ability) if held else Wish()
        return render_report(
            report_data(store.database(), list(runs.values()), wish, datetime.datetime.now(datetime.UTC))
        )

    st.download_button(
        "Download as a report",
        page,
        file_name="report.html",
        mime="text/html",
        icon=":material/download:",
        on_click="ignore",
        help="One file for a colleague without the tool: this comparison, and twelve questions in full.",
    )


def _show_scores(
    store: Store, state: CompareState, runs: Runs, table: Table, names: Sequence[ScoreName], shared: int, held: int
) -> None:
    score = (state.score, state.ability)
    note = f"{shared:,} question{'' if shared == 1 else 's'} in common, 95 % intervals; below, the difference from A"
    more = f"show all {held} scores" if not state.everything else "main scores only"
    rows = score_rows(table, runs, door=lambda _: {}, focus=score, reasons=_reasons(store, runs, names))
    data = {"title": "Scores", "note": note, "first": "Score", "runs": columns(runs), "rows": rows}
    action = {"label": more, "kind": "scores"}
    draw_table({**data, "foot": [table.note], "action": action}, key="compare_matrix", on_event=_handle)


def _show_abilities(store: Store, state: CompareState, runs: Runs, held: Sequence[str]) -> None:
    score = (state.score, state.ability)
    names = step_scores(held, everything=state.everything, focus=score)
    table = store.score_table(tuple(run.id for run in runs.values()), names)
    rows = ability_rows(table, runs, door=lambda _: {}, focus=score, reasons=_reasons(store, runs, names))
    if rows:
        data = {"title": "Steps, by ability", "note": "", "first": "Ability", "runs": columns(runs), "rows": rows}
        draw_table({**data, "foot": [table.note]}, key="compare_abilities", on_event=_handle)


def _show_groups(runs: Runs, score: ScoreName, title: str, table: Table, param: str) -> None:
    def door(line: Line) -> dict[str, list[str]] | None:
        # Questions without a kind cannot be asked for in a URL.
        return {param: [str(line.key)]} if line.key != "" else None

    if len(table.lines) > 1:
        rows = group_rows(table, runs, score, door=door)
        label = score_label(*score)
        data = {"title": f"By {title.lower()}", "note": label, "first": title, "runs": columns(runs), "rows": rows}
        draw_table({**data, "foot": [table.note]}, key=f"compare_{param}", on_event=_handle)


def _show_costs(runs: Runs, score: ScoreName, table: Table) -> None:
    meaning = meaning_of(score[0])
    gain = score if meaning.unit == "share" and meaning.higher_is_better and not score[1] else _EM
    figures = _figures(table, gain, len(runs))
    rows = cost_rows(runs, gain[0], [figure.mean if figure else None for figure in figures])
    rows = [row for row in rows if any(cell["main"] != "–" for cell in row["cells"])]
    data = {"title": "Cost", "note": "a question, where no more is said", "first": "Cost", "runs": columns(runs)}
    if rows:
        draw_table({**data, "rows": rows, "foot": cost_remarks(runs)}, key="compare_costs", on_event=_handle)
    plots = pareto_plots(runs, figures)
    for column, plot in zip(st.columns(len(plots)) if plots else (), plots, strict=True):
        with column:
            figure = pareto_figure(plot.points, plot.axis, f"{inert(score_label(*gain))}, %", *chart_colours())
            st.plotly_chart(figure, config={"displayModeBar": False}, key=f"compare_pareto_{plot.title}")
            if plot.left_out:
                st.caption(plot.left_out)


def _figures(table: Table, score: ScoreName, count: int) -> list[Figure | None]:
    cells = next((line.cells for line in table.lines if line.key == score), (None,) * count)
    return [cell.figure if cell else None for cell in cells]


def _show_curve(store: Store, every: Runs, state: CompareState, runs: Runs) -> None:
    """The scores of a training run's checkpoints: of the run in the URL, or of the one that most chosen runs are of."""
    by_uid = {run.uid: run for run in every.values()}
    found, _ = find_runs([state.train], every)
    training = every[found[0]] if found else by_uid.get(trained_most(list(runs.values())) or "")
    if state.train and not found:
        show_unknown_runs((state.train,))
    if training is None:
        return
    pool = [run for run in every.values() if run.kind == "evaluate"] if found else list(runs.values())
    checkpoints = scored_checkpoints(store, training, pool)
    st.subheader("Over the steps of training", anchor=False)
    st.code(one_line(training.name, 60), language=None)
    if not checkpoints:
        st.info(
            "No evaluation points to a checkpoint of this run: `steper evaluate --student RUN --checkpoint all` "
            "(as many as train.keep_checkpoints kept)."
        )
        return
    figure = checkpoint_figure(trained_run(store, training, checkpoints), *chart_colours())
    if figure is None:
        st.info("These evaluations hold no scores, and the training run logged no losses: nothing to draw.")
        return
    st.plotly_chart(figure, config={"displayModeBar": False}, key="compare_curve")
    if not runs:
        tokens = {run.id: token for token, run in every.items()}
        chosen = tuple(tokens[run.id] for run in checkpoints[-MAX_RUNS:])
        st.button("Compare these checkpoints", on_click=_choose, args=(chosen,), key="compare_checkpoints")


def _show_training_sets(store: Store, runs: Runs) -> None:
    by_uid = {run.uid: run for run in store.runs()}
    sets = [_training_set(store, run, by_uid) for run in runs.values()]
    if any(each.training for each in sets):
        data = {"title": "Training sets", "note": "", "first": "", "runs": columns(runs), "rows": set_rows(sets)}
        draw_table({**data, "foot": []}, key="compare_sets", on_event=_handle)


def _training_set(store: Store, run: RunRow, by_uid: Runs) -> TrainingSet:
    training = training_run_of(run, by_uid)
    teacher = teacher_run_of(training, by_uid) if training else None
    return TrainingSet(training, teacher, store.run_arrays(teacher.id) if teacher else None)


def _reasons(store: Store, runs: Runs, names: Sequence[ScoreName]) -> dict[tuple[int, ScoreName], dict[str, int]]:
    stored = tuple(dict.fromkeys(name.partition("@")[0] for name, _ in names))
    scores = store.score_arrays(tuple(run.id for run in runs.values()), stored)
    return {(own.run_id, (own_name(own), own.ability)): own.reasons for own in scores}


def _choose(tokens: tuple[str, ...]) -> None:
    _change(runs=tokens)


def _choose_score(score: str) -> None:
    ability = read(CompareState).ability if "step" in meaning_of(score).levels else ""
    _change(score=score, ability=ability)


def _choose_ability(ability: str) -> None:
    _change(ability=ability)


def _change(**changes: Any) -> None:
    write(dataclasses.replace(read(CompareState), **changes))


def _handle(event: Event) -> None:
    kind, value = event
    state = read(CompareState)
    if kind == "reference":
        _change(runs=(value, *(token for token in state.runs if token != value)))
    elif kind == "score":
        _change(score=value[0], ability=value[1])
    elif kind == "scores":
        _change(everything=not state.everything)


show()
