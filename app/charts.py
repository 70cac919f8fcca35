"""What all charts share: the axes of the reader's theme, and intervals as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

Interval = tuple[float, float | None, float | None]
"""A mean (a share) with the ends of its interval; None where there is no interval."""


def interval_bars(intervals: Sequence[Interval], colour: str) -> dict[str, Any]:
    """Intervals around means as the bars of a Plotly trace, in percent; none where there is no interval."""
    return {
        "array": [0.0 if high is None else 100 * (high - mean) for mean, _, high in intervals],
        "arrayminus": [0.0 if low is None else 100 * (mean - low) for mean, low, _ in intervals],
        "symmetric": False,
        "color": colour,
        "thickness": 1,
        "width": 4,
    }


def colour_axes(figure: go.Figure, ink: str, line: str) -> None:
    """Give all text of a figure the colour `ink` and its grids `line`."""
    figure.update_layout(font={"color": ink})
    for axes in (figure.update_xaxes, figure.update_yaxes):
        axes(tickfont={"color": ink, "size": 12}, title_font={"color": ink}, gridcolor=line, zeroline=False)
