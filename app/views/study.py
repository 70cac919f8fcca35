"""A study: its variants in a table, and drawn by one score."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from app.formats import interval, percent
from app.plain import inert
from app.study_table import COLUMNS, ScoreName, StudyResult, VariantResult, fewer
from app.views.project_table import Cell, below, beside, column, door_to, draw_table, words
from evaluators.over_seeds import SystemMean

_ROW, _AROUND = 44, 90
_MOST_RUNS = 8


def show_variants(result: StudyResult, tokens: Mapping[int, str]) -> None:
    """Draw the table; `tokens` are the short names of runs by id."""
    columns = (
        column("Variant"),
        *(column(title, right=True) for title in COLUMNS.values()),
        column("n", right=True, tight=True, hint="questions scored by EM"),
        column("Seeds", right=True, tight=True),
        column("s/question", right=True, tight=True),
    )
    draw_table(
        "Variants",
        columns,
        [variant_cells(variant, tokens) for variant in result.variants],
        key="study_variants",
        note="percent, with 95 % intervals over seeds and questions; a figure leads to its chains",
        empty="No variant of this study is evaluated yet.",
    )


def variant_cells(variant: VariantResult, tokens: Mapping[int, str]) -> list[Cell]:
    """A row of the table."""
    runs = [tokens[run.id] for run in variant.runs]
    methods = sorted({run.method for run in variant.runs if run.method})
    return [
        [door_to(variant.name, "compare", {"run": runs[:_MOST_RUNS]}), below(", ".join(methods))],
        *(_figure(variant.means[name], runs, fewer(variant, name)) for name in COLUMNS),
        [words(f"{variant.means['em', ''].n:,}")],
        [words(str(len(runs)))],
        [words("–" if variant.seconds is None else f"{variant.seconds:.2f}")],
    ]


def study_figure(result: StudyResult, score: ScoreName, ink: str, line: str) -> go.Figure:
    """Each variant's mean with its interval; over parameters where the study scales the student.

    `ink` and `line` are the colours of text and of grids in the reader's theme.
    """
    known = [(each, each.means[score]) for each in result.variants if each.means[score].mean is not None]
    scaling = bool(known) and result.study.shows == "scaling" and all((each.parameters or 0) > 0 for each, _ in known)
    names = [inert(each.name) for each, _ in known]
    means = [100 * (mean.mean or 0.0) for _, mean in known]
    spread = {
        "type": "data",
        "symmetric": False,
        "array": [_beyond(mean, mean.high) for _, mean in known],
        "arrayminus": [-_beyond(mean, mean.low) for _, mean in known],
        "thickness": 1.6,
    }
    style = {"mode": "markers", "marker": {"size": 10, "color": "#0072B2"}, "showlegend": False}
    if scaling:
        sizes = [each.parameters for each, _ in known if each.parameters]
        middle = statistics.geometric_mean([min(sizes), max(sizes)])
        named = {
            **style,
            "mode": "markers+text",
            "textposition": ["middle right" if size <= middle else "middle left" for size in sizes],
        }
        trace = go.Scatter(x=sizes, y=means, error_y=spread, text=names, hovertemplate=_HOVER_UP, **named)
    else:
        trace = go.Scatter(x=means, y=names, error_x=spread, text=names, hovertemplate=_HOVER, **style)
    figure = go.Figure(trace)
    title = f"{COLUMNS[score]}, percent"
    figure.update_layout(
        height=360 if scaling else _ROW * len(known) + _AROUND,
        margin={"l": 10, "r": 10, "t": 10, "b": 50},
        font={"color": ink},
    )
    figure.update_xaxes(gridcolor=line, title="Parameters of the student" if scaling else title, automargin=True)
    figure.update_yaxes(gridcolor=line, title=title if scaling else None, automargin=True)
    if scaling:
        figure.update_xaxes(type="log")
    else:
        figure.update_yaxes(autorange="reversed", type="category")
    return figure


_HOVER = "%{text}: %{x:.1f}<extra></extra>"
_HOVER_UP = "%{text}: %{y:.1f}<extra></extra>"


def _figure(mean: SystemMean, runs: Sequence[str], scored: int | None) -> Cell:
    if mean.mean is None:
        return [words("–", "grey")]
    told = [interval(mean.low, mean.high), *([f"n {scored:,}"] if scored is not None else [])]
    return [door_to(percent(mean.mean), "chains", {"run": list(runs[:3])}), beside(" ".join(told).strip())]


def _beyond(mean: SystemMean, bound: float | None) -> float:
    return 0.0 if bound is None or mean.mean is None else 100 * (bound - mean.mean)
