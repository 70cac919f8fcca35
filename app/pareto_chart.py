"""Score against cost, a point a run. Plotly reads names as markup: runs stand in the chart by their letter only."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import plotly.graph_objects as go

from app.charts import colour_axes, interval_bars
from app.tokens import RUN_COLOURS, RUN_LETTERS

_ONE_SCALE = 20
"""Costs further apart than this many times are drawn on a logarithmic axis."""


@dataclasses.dataclass(frozen=True)
class CostPoint:
    """A run in a Pareto plot: cost, mean score (a share) with its interval, and whether no other run beats it."""

    letter: str
    cost: float
    gain: float
    low: float | None
    high: float | None
    best: bool


def pareto_figure(points: Sequence[CostPoint], axis: str, gain: str, ink: str, line: str) -> go.Figure:
    """Score against cost; the points that no other beats are joined and ringed.

    `ink` and `line` are the colours of text and of grids in the reader's theme.
    """
    figure = go.Figure()
    front = sorted((point for point in points if point.best), key=lambda point: (point.cost, point.gain))
    figure.add_trace(
        go.Scatter(
            x=[point.cost for point in front],
            y=[100 * point.gain for point in front],
            mode="lines",
            line={"color": ink, "width": 1.5, "dash": "dot", "shape": "hv"},
            hoverinfo="skip",
        )
    )
    # Intervals lie below all markers, whose letters they would cross out.
    figure.add_trace(
        go.Scatter(
            x=[point.cost for point in points],
            y=[100 * point.gain for point in points],
            error_y=interval_bars([(point.gain, point.low, point.high) for point in points], ink),
            mode="markers",
            marker={"opacity": 0},
            hoverinfo="skip",
        )
    )
    for point in points:
        figure.add_trace(_marker(point, ink))
    spread = max(point.cost for point in points) / min(point.cost for point in points)
    figure.update_xaxes(title={"text": axis})
    if spread > _ONE_SCALE:
        figure.update_xaxes(type="log", dtick=1)
    else:
        figure.update_xaxes(range=[0, 1.12 * max(point.cost for point in points)])
    figure.update_yaxes(title={"text": gain}, rangemode="tozero", automargin=True)
    figure.update_layout(height=300, margin={"l": 56, "r": 10, "t": 12, "b": 48}, showlegend=False)
    colour_axes(figure, ink, line)
    return figure


def _marker(point: CostPoint, ink: str) -> go.Scatter:
    said = "on the Pareto set" if point.best else "beaten by another run"
    return go.Scatter(
        x=[point.cost],
        y=[100 * point.gain],
        mode="markers+text",
        text=[point.letter],
        textfont={"color": "#111111", "size": 12},
        marker={
            "color": RUN_COLOURS[RUN_LETTERS.index(point.letter)],
            "size": 22,
            "symbol": "circle" if point.best else "square",
            "line": {"color": ink, "width": 2 if point.best else 0},
        },
        hovertemplate=f"run {point.letter}: %{{y:.1f}} at %{{x:.4g}}<br>{said}<extra></extra>",
    )
