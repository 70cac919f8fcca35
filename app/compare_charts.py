"""Charts of the compare page: score against cost, and scores over the steps of training.

Plotly reads names as markup: runs stand in charts by their letter only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.charts import lay_out, marks_of, normalised_sigmas, thinned
from app.tokens import ABILITIES, ABILITY_COLOURS, RUN_COLOURS, RUN_LETTERS
from db.queries import TrainPointRow
from steper_core.run_records import Figure

_ONE_SCALE = 20
"""Costs further apart than this many times are drawn on a logarithmic axis."""

Curve = Mapping[str, Sequence[Figure | None]]
"""Figures of one score at each evaluated checkpoint, by ability; "" for the whole chain."""


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
            error_y=_bars(points, ink),
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
    for axes in (figure.update_xaxes, figure.update_yaxes):
        axes(tickfont={"color": ink, "size": 12}, title_font={"color": ink}, gridcolor=line, zeroline=False)
    figure.update_layout(height=300, margin={"l": 56, "r": 10, "t": 12, "b": 48}, showlegend=False, font={"color": ink})
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


def curve_figure(
    steps: Sequence[int], curves: Mapping[str, Curve], points: Sequence[TrainPointRow], ink: str, line: str
) -> go.Figure | None:
    """Scores of a training run's checkpoints, its losses and normalised sigmas, all over its steps (paper's figure 7).

    `curves` are by the title of their panel; one without a figure at any step gets no panel. None without any panel.
    """
    drawn = {title: curve for title, curve in curves.items() if any(f and f.n for own in curve.values() for f in own)}
    trained = thinned([point for point in points if not point.held_out])
    every: dict[str, Callable[[TrainPointRow], dict[str, float]]] = {
        "Loss, nats per target token": lambda point: point.losses,
        "Normalised sigma": normalised_sigmas,
    }
    trained_panels = {title: value for title, value in every.items() if any(value(point) for point in trained)}
    titles = [*(f"{title}, %" for title in drawn), *trained_panels]
    if not titles:
        return None
    figure = make_subplots(rows=len(titles), cols=1, shared_xaxes=True, vertical_spacing=0.26 / len(titles))
    named: set[str] = set()
    for row, curve in enumerate(drawn.values(), start=1):
        for ability, figures in curve.items():
            known = [(step, own) for step, own in zip(steps, figures, strict=True) if own and own.n]
            if known:
                figure.add_trace(_scores(ability, known, ink, first=ability not in named), row=row, col=1)
                named.add(ability)
    for row, value in enumerate(trained_panels.values(), start=len(drawn) + 1):
        for ability in ABILITIES:
            losses = [(point.step, value(point)[ability]) for point in trained if ability in value(point)]
            if losses:
                figure.add_trace(_trained(ability, losses, first=ability not in named), row=row, col=1)
                named.add(ability)
    lay_out(figure, titles, ink, line)
    return figure


def _scores(ability: str, known: Sequence[tuple[int, Figure]], ink: str, *, first: bool) -> go.Scatter:
    name, colour = ABILITIES.get(ability, "whole chain"), ABILITY_COLOURS.get(ability, ink)
    return go.Scatter(
        x=[step for step, _ in known],
        y=[100 * (own.mean or 0.0) for _, own in known],
        error_y=_bars([own for _, own in known], colour),
        mode="lines+markers",
        name=name,
        legendgroup=ability,
        showlegend=first,
        line={"color": colour, "width": 1.8},
        marker=marks_of(ability) | {"maxdisplayed": 0},
        customdata=[own.n for _, own in known],
        hovertemplate=f"step %{{x}}: %{{y:.1f}} %, n = %{{customdata}}<extra>{name}</extra>",
    )


def _bars(figures: Sequence[Figure | CostPoint], colour: str) -> dict[str, Any]:
    """Intervals as bars, in percent; none where there is no interval."""
    means = [(own.gain if isinstance(own, CostPoint) else own.mean) or 0.0 for own in figures]
    return {
        "array": [
            0.0 if own.high is None else 100 * (own.high - mean) for own, mean in zip(figures, means, strict=True)
        ],
        "arrayminus": [
            0.0 if own.low is None else 100 * (mean - own.low) for own, mean in zip(figures, means, strict=True)
        ],
        "symmetric": False,
        "color": colour,
        "thickness": 1,
        "width": 4,
    }


def _trained(ability: str, known: Sequence[tuple[int, float]], *, first: bool) -> go.Scatter:
    name = ABILITIES[ability]
    return go.Scatter(
        x=[step for step, _ in known],
        y=[value for _, value in known],
        mode="lines+markers",
        name=name,
        legendgroup=ability,
        showlegend=first,
        line={"color": ABILITY_COLOURS[ability], "width": 1.5},
        marker=marks_of(ability),
        hovertemplate=f"step %{{x}}: %{{y:.4g}}<extra>{name}</extra>",
    )
