"""Charts of training: one x axis, tasks by colour, runs by line and letter."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.tokens import RUN_COLOURS, RUN_LETTERS, TASK_COLOURS, TASK_SYMBOLS, TASKS
from db.queries import TrainPointRow

_DASHES = ("solid", "dash", "dot", "dashdot")
_HELD_OUT = ("circle-open", "square-open", "diamond-open", "triangle-up-open")
_MOST_POINTS = 2000
_PANEL = 200
_TOP, _BOTTOM = 64, 48

Value = Callable[[TrainPointRow], float | None]


@dataclasses.dataclass(frozen=True)
class Panel:
    """One chart of the stack: its title and whether any run has something for it."""

    title: str
    drawn: bool


def normalised_sigmas(point: TrainPointRow) -> dict[str, float]:
    """Each task's sigma as a share of their sum; empty without sigmas."""
    total = sum(point.sigmas.values())
    return {task: sigma / total for task, sigma in point.sigmas.items()} if total > 0 else {}


def thinned(points: Sequence[TrainPointRow], most: int = _MOST_POINTS) -> list[TrainPointRow]:
    """At most about `most` points, evenly chosen, the last one among them."""
    stride = max(1, -(-len(points) // most))
    return [*points[:-1:stride], points[-1]] if points else []


def training_figure(runs: Sequence[Sequence[TrainPointRow]], ink: str, line: str) -> go.Figure:
    """Loss, normalised sigma, learning rate and speed of training runs over their steps.

    `ink` and `line` are the colours of text and of grids in the reader's theme.
    """
    panels = [
        ("Loss, nats per target token", True),
        ("Normalised sigma", any(point.sigmas for points in runs for point in points)),
        ("Learning rate", any(point.learning_rate is not None for points in runs for point in points)),
        ("Tokens per second", any(point.tokens_per_second is not None for points in runs for point in points)),
    ]
    titles = [title for title, drawn in panels if drawn]
    figure = make_subplots(rows=len(titles), cols=1, shared_xaxes=True, vertical_spacing=0.26 / len(titles))
    rows = {title: position for position, title in enumerate(titles, start=1)}
    # The first run that has a task stands for it in the legend.
    shown = {
        task: index for index, points in reversed(list(enumerate(runs))) for point in points for task in point.losses
    }
    for index, points in enumerate(runs):
        _draw_run(figure, rows, index, list(points), shown)
    lay_out(figure, titles, ink, line)
    return figure


def _draw_run(
    figure: go.Figure, rows: dict[str, int], index: int, points: list[TrainPointRow], shown: dict[str, int]
) -> None:
    trained = thinned([point for point in points if not point.held_out])
    held_out = thinned([point for point in points if point.held_out])
    for task, short in TASKS.items():
        line = {"color": TASK_COLOURS[task], "dash": _DASHES[index], "width": 1.8}
        losses, sigmas = _of(task, "losses"), _share_of(task)
        legend = {"name": short, "legendgroup": task, "showlegend": shown.get(task) == index, "marker": marks_of(task)}
        _trace(
            figure,
            rows.get("Loss, nats per target token"),
            trained,
            losses,
            index,
            "lines+markers",
            line=line,
            **legend,
        )
        _trace(
            figure,
            rows.get("Loss, nats per target token"),
            held_out,
            losses,
            index,
            "markers",
            marker={"color": TASK_COLOURS[task], "symbol": _HELD_OUT[index], "size": 10, "line": {"width": 2}},
            cliponaxis=False,
            name=f"{short}, held out",
            legendgroup=task,
            showlegend=shown.get(task) == index,
        )
        _trace(
            figure,
            rows.get("Normalised sigma"),
            trained,
            sigmas,
            index,
            "lines+markers",
            line=line,
            **legend | {"showlegend": False},
        )
    line = {"color": RUN_COLOURS[index], "dash": _DASHES[index], "width": 1.8}
    for title, value in (("Learning rate", _rate), ("Tokens per second", _speed)):
        _trace(figure, rows.get(title), trained, value, index, "lines", line=line, name=title, showlegend=False)


def marks_of(task: str) -> dict[str, Any]:
    """A few marks along a line, by which it is known without its colour."""
    return {"symbol": TASK_SYMBOLS.get(task, "circle"), "size": 7, "maxdisplayed": 8}


def _of(task: str, field: str) -> Value:
    return lambda point: getattr(point, field).get(task)


def _share_of(task: str) -> Value:
    return lambda point: normalised_sigmas(point).get(task)


def _rate(point: TrainPointRow) -> float | None:
    return point.learning_rate


def _speed(point: TrainPointRow) -> float | None:
    return point.tokens_per_second


def _trace(
    figure: go.Figure,
    row: int | None,
    points: Sequence[TrainPointRow],
    value: Value,
    index: int,
    mode: str,
    **options: Any,
) -> None:
    drawn = [(point.step, value(point)) for point in points if value(point) is not None]
    if row is None or not drawn:
        return
    steps, values = zip(*drawn, strict=True)
    # The letter stands for the run: Plotly reads names as markup, and a run's name may hold anything.
    hover = f"run {RUN_LETTERS[index]}, step %{{x}}: %{{y:.4g}}<extra>{options.get('name', '')}</extra>"
    figure.add_trace(
        go.Scatter(x=list(steps), y=list(values), mode=mode, hovertemplate=hover, **options), row=row, col=1
    )


def lay_out(figure: go.Figure, titles: list[str], ink: str, line: str) -> None:
    """Give a stack of panels over optimizer steps its titles, axes and legend.

    `ink` and `line` are the colours of text and of grids in the reader's theme.
    """
    height = _PANEL * len(titles) + _TOP + _BOTTOM
    figure.update_layout(
        height=height,
        margin={"l": 70, "r": 10, "t": _TOP, "b": _BOTTOM},
        legend={"orientation": "h", "x": 0, "y": 1 + 26 / (height - _TOP - _BOTTOM), "yanchor": "bottom"},
        hovermode="closest",
        font={"color": ink},
    )
    for row, title in enumerate(titles, start=1):
        figure.update_yaxes(
            row=row, col=1, automargin=True, rangemode="normal" if title == "Normalised sigma" else "tozero"
        )
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
        if title == "Normalised sigma":
            figure.update_yaxes(row=row, col=1, tickformat=".0%")
        if title == "Learning rate":
            figure.update_yaxes(row=row, col=1, exponentformat="e")
    for axes in (figure.update_xaxes, figure.update_yaxes):
        axes(tickfont={"color": ink, "size": 12}, gridcolor=line, zeroline=False)
    figure.update_xaxes(title={"text": "optimizer step", "font": {"color": ink}}, row=len(titles), col=1)
