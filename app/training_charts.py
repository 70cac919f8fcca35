"""Charts over the steps of training: one x axis, tasks by colour and mark, runs by line and letter.

Plotly reads names as markup: runs stand in charts by their letter only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.charts import colour_axes, interval_bars
from app.tokens import RUN_COLOURS, RUN_LETTERS, TASK_COLOURS, TASK_SYMBOLS, TASKS
from db.queries import TrainPointRow
from steper_core.run_records import Figure

_DASHES = ("solid", "dash", "dot", "dashdot")
_HELD_OUT = ("circle-open", "square-open", "diamond-open", "triangle-up-open")
_MOST_POINTS = 2000
_PANEL = 200
_TOP, _BOTTOM = 64, 48
_LOSS, _SIGMA, _RATE, _SPEED = "Loss, nats per target token", "Normalised sigma", "Learning rate", "Tokens per second"

Curve = Mapping[str, Sequence[Figure | None]]
"""Figures of one score at each evaluated checkpoint, by ability; "" for the whole chain."""

Panel = Callable[[int, "TrainedRun"], list[go.Scatter]]
"""The traces of one run in one panel, from the run's place among those drawn."""


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """What is drawn of a training run: what it logged, and the scores of its checkpoints by the title of their panel.

    `steps` are those of the checkpoints that were evaluated, `curves` hold a figure for each.
    """

    points: Sequence[TrainPointRow]
    steps: Sequence[int] = ()
    curves: Mapping[str, Curve] = dataclasses.field(default_factory=dict)


def training_figure(runs: Sequence[TrainedRun], ink: str, line: str) -> go.Figure | None:
    """Loss, normalised sigma, learning rate, scores of checkpoints and speed of training runs over their steps.

    What no run has gets no panel; None without any. `ink` and `line` are the colours of text and of grids in the
    reader's theme.
    """
    return _stacked(
        runs, {_LOSS: _losses, _SIGMA: _sigmas, _RATE: _rate, **_scores(runs, ink), _SPEED: _speed}, ink, line
    )


def checkpoint_figure(run: TrainedRun, ink: str, line: str) -> go.Figure | None:
    """Scores of a training run's checkpoints above its losses and normalised sigmas (the paper's figure 7).

    As `training_figure` otherwise.
    """
    return _stacked([run], {**_scores([run], ink), _LOSS: _losses, _SIGMA: _sigmas}, ink, line)


def normalised_sigmas(point: TrainPointRow) -> dict[str, float]:
    """Each task's sigma as a share of their sum; empty without sigmas."""
    total = sum(point.sigmas.values())
    return {task: sigma / total for task, sigma in point.sigmas.items()} if total > 0 else {}


def thinned(points: Sequence[TrainPointRow], most: int = _MOST_POINTS) -> list[TrainPointRow]:
    """At most about `most` points, evenly chosen, the last one among them."""
    stride = max(1, -(-len(points) // most))
    return [*points[:-1:stride], points[-1]] if points else []


def _stacked(runs: Sequence[TrainedRun], panels: Mapping[str, Panel], ink: str, line: str) -> go.Figure | None:
    drawn = {
        title: traces
        for title, panel in panels.items()
        if (traces := [trace for index, run in enumerate(runs) for trace in panel(index, run)])
    }
    if not drawn:
        return None
    figure = make_subplots(rows=len(drawn), cols=1, shared_xaxes=True, vertical_spacing=0.26 / len(drawn))
    named: set[str] = set()
    for row, traces in enumerate(drawn.values(), start=1):
        for trace in traces:
            trace.showlegend = trace.legendgroup is not None and trace.name not in named
            named.add(trace.name)
            figure.add_trace(trace, row=row, col=1)
    _lay_out(figure, list(drawn), ink, line)
    return figure


def _losses(index: int, run: TrainedRun) -> list[go.Scatter]:
    traces = _by_task(index, run, lambda point: point.losses)
    held_out = thinned([point for point in run.points if point.held_out])
    for task, short in TASKS.items():
        known = [(point.step, point.losses[task]) for point in held_out if task in point.losses]
        if known:
            marker = {"color": TASK_COLOURS[task], "symbol": _HELD_OUT[index], "size": 10, "line": {"width": 2}}
            trace = _trace(index, f"{short}, held out", known, mode="markers", marker=marker, cliponaxis=False)
            traces.append(trace.update(legendgroup=task))
    return traces


def _sigmas(index: int, run: TrainedRun) -> list[go.Scatter]:
    return _by_task(index, run, normalised_sigmas)


def _by_task(index: int, run: TrainedRun, value: Callable[[TrainPointRow], dict[str, float]]) -> list[go.Scatter]:
    trained = [(point.step, value(point)) for point in _trained(run)]
    traces = []
    for task, short in TASKS.items():
        known = [(step, values[task]) for step, values in trained if task in values]
        if known:
            line = {"color": TASK_COLOURS[task], "dash": _DASHES[index], "width": 1.8}
            trace = _trace(index, short, known, mode="lines+markers", line=line, marker=_marks(task))
            traces.append(trace.update(legendgroup=task))
    return traces


def _rate(index: int, run: TrainedRun) -> list[go.Scatter]:
    return _of_run(index, _RATE, [(point.step, point.learning_rate) for point in _trained(run)])


def _speed(index: int, run: TrainedRun) -> list[go.Scatter]:
    return _of_run(index, _SPEED, [(point.step, point.tokens_per_second) for point in _trained(run)])


def _of_run(index: int, name: str, values: Sequence[tuple[int, float | None]]) -> list[go.Scatter]:
    known = [(step, value) for step, value in values if value is not None]
    line = {"color": RUN_COLOURS[index], "dash": _DASHES[index], "width": 1.8}
    return [_trace(index, name, known, mode="lines", line=line)] if known else []


def _trained(run: TrainedRun) -> list[TrainPointRow]:
    return thinned([point for point in run.points if not point.held_out])


def _trace(index: int, name: str, known: Sequence[tuple[int, float]], **options: Any) -> go.Scatter:
    return go.Scatter(
        x=[step for step, _ in known],
        y=[value for _, value in known],
        name=name,
        hovertemplate=f"run {RUN_LETTERS[index]}, step %{{x}}: %{{y:.4g}}<extra>{name}</extra>",
        **options,
    )


def _marks(task: str) -> dict[str, Any]:
    """A few marks along a line, by which it is known without its colour."""
    return {"symbol": TASK_SYMBOLS.get(task, "circle"), "size": 7, "maxdisplayed": 8}


def _scores(runs: Sequence[TrainedRun], ink: str) -> dict[str, Panel]:
    """A panel for each score that any run has."""
    titles = dict.fromkeys(title for run in runs for title in run.curves)
    return {f"{title}, %": _score_panel(title, ink) for title in titles}


def _score_panel(title: str, ink: str) -> Panel:
    def panel(index: int, run: TrainedRun) -> list[go.Scatter]:
        traces = []
        for ability, figures in run.curves.get(title, {}).items():
            known = [(step, own) for step, own in zip(run.steps, figures, strict=True) if own and own.n]
            if known:
                traces.append(_score_trace(index, ability, known, ink))
        return traces

    return panel


def _score_trace(index: int, ability: str, known: Sequence[tuple[int, Figure]], ink: str) -> go.Scatter:
    name, colour = TASKS.get(ability, "whole chain"), TASK_COLOURS.get(ability, ink)
    values = [(step, 100 * (own.mean or 0.0)) for step, own in known]
    trace = _trace(index, name, values, mode="lines+markers", marker=_marks(ability) | {"maxdisplayed": 0})
    return trace.update(
        legendgroup=ability or "whole chain",
        line={"color": colour, "dash": _DASHES[index], "width": 1.8},
        error_y=interval_bars([(own.mean or 0.0, own.low, own.high) for _, own in known], colour),
        customdata=[own.n for _, own in known],
        hovertemplate=f"run {RUN_LETTERS[index]}, step %{{x}}: %{{y:.1f}} %, n = %{{customdata}}<extra>{name}</extra>",
    )


def _lay_out(figure: go.Figure, titles: list[str], ink: str, line: str) -> None:
    """Give a stack of panels over optimizer steps its titles, axes and legend."""
    height = _PANEL * len(titles) + _TOP + _BOTTOM
    figure.update_layout(
        height=height,
        margin={"l": 70, "r": 10, "t": _TOP, "b": _BOTTOM},
        legend={"orientation": "h", "x": 0, "y": 1 + 26 / (height - _TOP - _BOTTOM), "yanchor": "bottom"},
        hovermode="closest",
    )
    for row, title in enumerate(titles, start=1):
        figure.update_yaxes(row=row, col=1, automargin=True, rangemode="normal" if title == _SIGMA else "tozero")
        axis = figure.layout[f"yaxis{row if row > 1 else ''}"]
        figure.add_annotation(
            text=title,
            x=0,
            xref="paper",
            y=axis.domain[1],
            yref="paper",
            xanchor="left",
            yanchor="bottom",
            showarrow=False,
            font={"size": 14, "color": ink},
        )
        if title == _SIGMA:
            figure.update_yaxes(row=row, col=1, tickformat=".0%")
        if title == _RATE:
            figure.update_yaxes(row=row, col=1, exponentformat="e")
    figure.update_xaxes(title={"text": "optimizer step"}, row=len(titles), col=1)
    colour_axes(figure, ink, line)
