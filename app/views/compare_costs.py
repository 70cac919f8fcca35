"""What the compared runs cost, each cost also as a ratio to the reference, and the points of the Pareto plots."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.formats import MISSING, number
from app.pareto_chart import CostPoint
from app.tokens import RUN_LETTERS
from app.views.compare_words import score_label
from db.queries import RunRow
from evaluators.efficiency import Facts, Ratios, efficiency, pareto, ratios
from evaluators.values import Value
from steper_core.run_records import Figure

Format = Callable[[float], str]


@dataclasses.dataclass(frozen=True)
class Plot:
    """One Pareto plot: its costs, the points that have both cost and score, and why others are left out."""

    title: str
    axis: str
    points: tuple[CostPoint, ...]
    left_out: str


def facts_of(run: RunRow) -> dict[str, float]:
    """The costs of a run; one of before says only how many parameters it has in all."""
    facts = dict(run.facts)
    if "parameters_total" not in facts and "parameters" in facts:
        facts["parameters_total"] = facts["parameters"]
    return facts


def cost_rows(runs: Mapping[str, RunRow], score: str, means: Sequence[float | None]) -> list[dict[str, Any]]:
    """A row a cost; `means` are the runs' means of `score`, a share."""
    facts = [facts_of(run) for run in runs.values()]
    against = [ratios(own, facts[0]) for own in facts]
    measured = [_cost_row(row, facts, against) for row in _COSTS]
    gained = [efficiency(own, mean) for own, mean in zip(facts, means, strict=True)]
    label = f"{score_label(score)} points"
    per = [
        _efficiency_row(f"{label} per billion parameters", [each.per_billion_parameters for each in gained]),
        _efficiency_row(f"{label} per second", [each.per_second for each in gained]),
        _efficiency_row(f"{label} per joule", [each.per_joule for each in gained], _estimates(facts)),
    ]
    return [*measured, _load_row(facts), *per]


def cost_remarks(runs: Mapping[str, RunRow]) -> list[str]:
    """What makes a ratio to the reference less than a fair one, by the letters of the runs."""
    facts = [facts_of(run) for run in runs.values()]
    loads: dict[str, list[str]] = {}
    for letter, own in zip(RUN_LETTERS[1:], facts[1:], strict=False):
        remark = ratios(own, facts[0]).remarks.get("seconds")
        if remark:
            loads.setdefault(remark, []).append(letter)
    remarks = [f"{', '.join(letters)} beside {RUN_LETTERS[0]}: {remark}" for remark, letters in loads.items()]
    machines = [run.hardware for run in runs.values()]
    elsewhere = [letter for letter, own in zip(RUN_LETTERS, machines, strict=False) if _differ(own, machines[0])]
    if elsewhere:
        remarks.append(f"{', '.join(elsewhere)} beside {RUN_LETTERS[0]}: seconds and joules of different hardware")
    estimated = [letter for letter, note in zip(RUN_LETTERS, _estimates(facts), strict=False) if note]
    if estimated:
        remarks.append(f"Energy of {', '.join(estimated)} is an estimate, not a reading of the hardware.")
    return remarks


def _differ(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Whether two runs were made on different processors or GPUs, as far as both say."""
    return any(one[part] != other[part] for part in ("processor", "gpus") if part in one and part in other)


def pareto_plots(runs: Mapping[str, RunRow], figures: Sequence[Figure | None]) -> list[Plot]:
    """Score against latency, parameters and energy; a plot that fewer than two runs have a point in is left out."""
    plots = [_plot(title, axis, name, runs, figures) for title, axis, name in _PLOTS]
    return [plot for plot in plots if len(plot.points) > 1]


def _plot(title: str, axis: str, fact: str, runs: Mapping[str, RunRow], figures: Sequence[Figure | None]) -> Plot:
    known: dict[str, tuple[float, Figure]] = {}
    missing: dict[str, list[str]] = {}
    for letter, run, figure in zip(RUN_LETTERS, runs.values(), figures, strict=False):
        cost = facts_of(run).get(fact)
        if cost is None or cost <= 0 or figure is None or figure.mean is None:
            missing.setdefault("score" if cost else title.lower(), []).append(letter)
        else:
            known[letter] = (cost, figure)
    best = pareto({letter: (cost, figure.mean) for letter, (cost, figure) in known.items()})
    points = tuple(
        CostPoint(letter, cost, figure.mean or 0.0, figure.low, figure.high, letter in best)
        for letter, (cost, figure) in known.items()
    )
    left_out = [f"Left out for want of {what}: {', '.join(letters)}." for what, letters in missing.items()]
    return Plot(title, axis, points, " ".join(left_out))


def _cost_row(
    row: tuple[str, str, str, Format],
    facts: Sequence[Facts],
    against: Sequence[Ratios],
) -> dict[str, Any]:
    name, label, hint, form = row
    notes = _estimates(facts) if name == "joules_per_question" else [""] * len(facts)
    cells = [
        {
            "main": form(own[name]) if name in own else MISSING,
            "side": note if name in own else "",
            "title": "" if name in own else "the run does not say",
            "difference": _times(ratio.times_less.get(name)) if place else None,
        }
        for place, (own, ratio, note) in enumerate(zip(facts, against, notes, strict=True))
    ]
    return {"key": name, "label": label, "hint": hint, "cells": cells}


def _times(ratio: Value | None) -> dict[str, Any] | None:
    """How many times less than the reference, or more."""
    if ratio is None or ratio.value is None:
        return None
    value = ratio.value
    if 0.995 <= value <= 1.005:
        return {"text": "the same", "tone": "grey"}
    less = value > 1
    text = f"{_significant(value if less else 1 / value)}\u00d7 {'less' if less else 'more'}"
    return {"text": text, "tone": ""}


def _efficiency_row(label: str, values: Sequence[Value], notes: Sequence[str] | None = None) -> dict[str, Any]:
    reference = values[0].value
    cells = []
    for place, value in enumerate(values):
        ratio = (
            f"{_significant(value.value / reference)}\u00d7" if place and value.value is not None and reference else ""
        )
        cells.append(
            {
                "main": MISSING if value.value is None else _significant(100 * value.value),
                "side": notes[place] if notes and value.value is not None else "",
                "title": value.reason or "",
                "difference": {"text": ratio, "tone": ""} if ratio else None,
            }
        )
    return {"key": label, "label": label, "hint": "", "cells": cells}


def _load_row(facts: Sequence[Facts]) -> dict[str, Any]:
    cells = []
    for own in facts:
        named = [f"{word} {own[name]:g}" for name, word in _LOADS.items() if name in own]
        cells.append({"main": ", ".join(named) or MISSING, "side": "", "title": "", "difference": None})
    return {"key": "load", "label": "At once", "hint": "questions worked on together", "cells": cells}


def _estimates(facts: Sequence[Facts]) -> list[str]:
    return ["estimate" if own.get("energy_estimated") else "" for own in facts]


def _significant(value: float) -> str:
    return f"{value:,.3g}" if abs(round(value)) < 1000 else number(value, 0)


def _magnitude(value: float) -> str:
    """A large number with the letter of its power of ten."""
    for limit, letter in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")):
        if value >= limit:
            return f"{value / limit:.1f} {letter}"
    return number(value)


def _seconds(value: float) -> str:
    return f"{value:.3f} s" if 0 < value < 1 else f"{value:.2f} s"


def _joules(value: float) -> str:
    return f"{_significant(value)} J"


_COSTS: tuple[tuple[str, str, str, Format], ...] = (
    ("parameters_total", "Parameters", "all of them", _magnitude),
    ("parameters_active", "Active parameters", "those that a token passes through", _magnitude),
    ("prompt_tokens_per_question", "Prompt tokens", "a question, over all steps", number),
    ("output_tokens_per_question", "Output tokens", "a question", number),
    ("retrievals_per_question", "Retrievals", "a question", lambda value: number(value, 2)),
    ("seconds_per_question", "Seconds, mean", "a question's share of the batch's time", _seconds),
    ("seconds_p50", "Seconds, p50", "half of the questions take less", _seconds),
    ("seconds_p95", "Seconds, p95", "19 of 20 questions take less", _seconds),
    ("flops_per_question", "FLOPs", "a question, estimated from parameters and tokens", _magnitude),
    ("joules_per_question", "Energy", "joules a question", _joules),
)
_LOADS = {"batch_size": "batch", "concurrency": "requests"}
_PLOTS = (
    ("Seconds", "seconds a question", "seconds_per_question"),
    ("Parameters", "parameters", "parameters_total"),
    ("Energy", "joules a question", "joules_per_question"),
)
