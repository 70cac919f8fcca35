"""What became of the reference's answers under each other run: four numbers, each a door to its questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.plain import one_line
from app.tokens import RIGHT, WRONG, chosen_run
from app.views.compare_table import pair_door
from app.views.component import Component
from db.queries import RunRow
from evaluators.significance import PairedResult
from evaluators.verdict import format_p

_FLOW = Component("compare_flow")
_PARTS = (
    ("both-right", "both right", f"{RIGHT}{RIGHT}"),
    ("fixed", "fixed", f"{WRONG}{RIGHT}"),
    ("broken", "broken", f"{RIGHT}{WRONG}"),
    ("both-wrong", "both wrong", f"{WRONG}{WRONG}"),
)


def show_flow(runs: Mapping[str, RunRow], outcomes: Sequence[PairedResult | None]) -> None:
    """Draw a strip for each run after the first."""
    _FLOW.draw(flow_data(runs, outcomes), key="compare_flow")


def flow_data(runs: Mapping[str, RunRow], outcomes: Sequence[PairedResult | None]) -> dict[str, Any]:
    """What the component draws."""
    (reference, *others) = [chosen_run(place, one_line(run.name, 60)) for place, run in enumerate(runs.values())]
    return {
        "title": "What became of the answers",
        "note": "right or wrong by exact match, on the questions that the two runs answered",
        "reference": reference,
        "strips": [
            {"run": run, **_strip(runs, place, result)}
            for place, (run, result) in enumerate(zip(others, outcomes, strict=True), start=1)
        ],
    }


def _strip(runs: Mapping[str, RunRow], place: int, result: PairedResult | None) -> dict[str, Any]:
    if result is None:
        return {"parts": [], "said": "em is missing, or its versions differ"}
    if result.flow is None:
        return {"parts": [], "said": "no question is scored in both"}
    counts = {name: getattr(result.flow, name.replace("-", "_")) for name, _, _ in _PARTS}
    unscored = f", {result.dropped:,} not scored in both left out" if result.dropped else ""
    return {
        "parts": [
            {
                "name": name,
                "label": label,
                "glyph": glyph,
                "count": counts[name],
                "link": pair_door(runs, place, {"outcome": [name]}) if counts[name] else None,
            }
            for name, label, glyph in _PARTS
        ],
        "said": f"of {result.n:,}, McNemar {format_p(result.flow.p)}{unscored}",
    }
