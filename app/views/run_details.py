"""All that is known about one run, as sheets of labels and values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from app.formats import amount, bounds, duration, fact_label, fact_value, moment, number
from app.plain import plain
from app.tokens import FIGURES, KINDS, figure_label
from db.queries import RunRow
from evaluators.meanings import meaning_of


def details(run: RunRow) -> list[dict[str, Any]]:
    """The sheets of a run, empty ones left out."""
    sheets = [
        ("Run", _identity(run)),
        ("Scores, 95 % interval", _figures(run)),
        ("Counts", [_row(name.replace("_", " ").capitalize(), number(count)) for name, count in run.counts.items()]),
        ("Measured", [_row(fact_label(name), fact_value(name, value)) for name, value in run.facts.items()]),
        ("Config", _flat(run.config)),
        ("Hardware", _flat(run.hardware)),
        ("Versions", _flat(run.versions)),
    ]
    return [{"title": title, "rows": rows} for title, rows in sheets if rows]


def _identity(run: RunRow) -> list[dict[str, Any]]:
    rows = [
        _row("Kind", KINDS.get(run.kind, run.kind)),
        _row("Status", run.status),
        _row("Model", run.model),
        _row("Method", run.method),
        _row("Framework", run.framework),
        _row("Data", run.dataset),
        _row("Seed", str(run.seed)),
        _row("Chains", number(run.chain_count)),
        _row("Started", moment(run.started)),
        _row("Took", duration(run.seconds)),
    ]
    if run.checkpoint_run_name is not None:
        rows.append(_row("Weights from", run.checkpoint_run_name, f"step {number(run.checkpoint_step)}"))
    rows += [
        _row("Command", run.command, mono=True),
        _row("Folder", run.path, mono=True),
        _row("Id", run.uid, mono=True),
    ]
    return [row for row in rows if row["value"]]


def _figures(run: RunRow) -> list[dict[str, Any]]:
    names = [name for name in FIGURES if name in run.figures] + sorted(run.figures.keys() - FIGURES.keys())
    rows = []
    for name in names:
        figure, unit = run.figures[name], meaning_of(name).unit
        unscored = f", {number(figure.unscored)} unscored" if figure.unscored else ""
        side = f"{bounds(figure.low, figure.high, unit)} n = {number(figure.n)}{unscored}".strip()
        rows.append(_row(figure_label(name), amount(figure.mean, unit), side))
    return rows


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for name, value in values.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            rows += _flat(value, f"{path}.")
        else:
            shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            rows.append(_row(path, shown, mono=True))
    return rows


def _row(label: str, value: str, side: str = "", *, mono: bool = False) -> dict[str, Any]:
    return {"label": plain(label), "value": plain(value), "side": plain(side), "mono": mono}
