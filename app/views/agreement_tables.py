"""What the agreement page draws: people among themselves, machines against people, and two raters label by label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.agreeing import RESAMPLES, RESOLVED, TAG, Findings, Machine
from app.formats import percent
from app.plain import one_line, plain
from app.tokens import ABILITIES, ABILITY_COLOURS, ABILITY_INKS
from app.views.component import Component
from evaluators.agreement import Agreement, Confusion, Labels, PairAgreement, Unit, agree_pair
from evaluators.label_rubric import LabelRubric
from evaluators.people import Proportion

_TABLE = Component("agreement")
_NAME = 40
_SHOWN = 40


def draw(data: dict[str, Any], *, key: str, on_event: Any = None) -> None:
    """Draw a table, or the labels of two raters."""
    _TABLE.draw({"kind": "table", **data}, key=key, on_event=on_event)


def people_table(found: Findings, controls: Mapping[str, Proportion]) -> dict[str, Any]:
    """Each pair of people, and all of them by ability; control accuracy beside whoever has some."""
    report = found.people
    rows = [_group_row("all people", report.overall.raw, report.overall.alpha, None)]
    if len(report.by_ability) > 1:
        rows += [
            _group_row(ability, report.by_ability[ability].raw, report.by_ability[ability].alpha, ability)
            for ability in ABILITIES
            if ability in report.by_ability
        ]
    pairs = [_pair_row(pair) for pair in report.overall.pairs]
    known = [
        f"{one_line(name, _NAME)} {percent(share.right / share.n)} "
        f"[{percent(share.low)}, {percent(share.high)}] of {share.n} known labels"
        for name, share in controls.items()
        if share.n
    ]
    return {
        "title": "People among themselves",
        "note": "the ceiling for every judge",
        "columns": ["", "equal, %", "kappa", "alpha", "labels"],
        "rows": [*rows, *pairs],
        "foot": [f"Control items: {'; '.join(known)}."] if known else [],
    }


def machine_table(machines: Sequence[Machine]) -> dict[str, Any]:
    """Judges and metrics against what people say in the end."""
    rows = []
    for machine in machines:
        for ability, pair in machine.against.items():
            row = _pair_row(pair, pair.second)
            label = one_line(machine.name, _NAME) + (" (best label or not)" if machine.binary else "")
            cells = [row["cells"][0], row["cells"][1], row["cells"][3]]
            of_ability = {"label": "", "pair": None} if ability else {"label": label}
            rows.append({**row, **of_ability, "chip": _chip(ability), "cells": cells})
    return {
        "title": "Judges and metrics against people",
        "note": "against decisions and majorities",
        "columns": ["", "equal, %", "kappa", "labels"],
        "rows": rows,
        "foot": [],
    }


def _group_row(label: str, raw: Agreement, alpha: Agreement, ability: str | None) -> dict[str, Any]:
    return {
        "label": "" if ability else label,
        "chip": _chip(ability or ""),
        "cells": [share_cell(raw), _nothing(), coefficient_cell(alpha), _count(raw)],
        "pair": None,
    }


def _pair_row(pair: PairAgreement, label: str = "") -> dict[str, Any]:
    return {
        "label": label or f"{one_line(pair.first, _NAME)} and {one_line(pair.second, _NAME)}",
        "chip": None,
        "cells": [share_cell(pair.raw), coefficient_cell(pair.kappa), _nothing(), _count(pair.raw)],
        "pair": [pair.first, pair.second],
    }


def _chip(ability: str) -> dict[str, str] | None:
    if ability not in ABILITIES:
        return None
    return {"short": ABILITIES[ability], "colour": ABILITY_COLOURS[ability], "ink": ABILITY_INKS[ability]}


def share_cell(value: Agreement) -> dict[str, str]:
    """A share as percent with its interval, or the reason why there is none."""
    if value.value is None:
        return {"main": "–", "side": "", "title": value.reason or ""}
    bounds = "" if value.low is None else f"[{percent(value.low)}, {percent(value.high)}]"
    return {"main": percent(value.value), "side": bounds, "title": value.reason or ""}


def coefficient_cell(value: Agreement) -> dict[str, str]:
    """A coefficient with two decimals and its interval, or the reason why there is none."""
    if value.value is None:
        return {"main": "–", "side": "", "title": value.reason or ""}
    bounds = "" if value.low is None or value.high is None else f"[{value.low:.2f}, {value.high:.2f}]"
    return {"main": f"{value.value:.2f}", "side": bounds, "title": value.reason or ""}


def _count(value: Agreement) -> dict[str, str]:
    questions = f"{value.questions:,} question{'' if value.questions == 1 else 's'}"
    return {"main": f"{value.units:,}", "side": questions, "title": ""}


def _nothing() -> dict[str, str]:
    return {"main": "", "side": "", "title": ""}


def pairs_of(found: Findings) -> list[tuple[str, str]]:
    """The pairs of raters whose labels can be laid against each other, those of people first."""
    people = [(pair.first, pair.second) for pair in found.people.overall.pairs]
    return [*people, *((RESOLVED, machine.name) for machine in found.machines)]


def sides_of(found: Findings, first: str, second: str, rubric: LabelRubric) -> tuple[Labels, Labels]:
    """The labels of a pair; against a metric people's labels are the best one or not."""
    machine = next((each for each in found.machines if each.name == second), None)
    one, other = found.ratings[first], found.ratings[second]
    verdict = rubric.verdict(found.subject)
    if machine and machine.binary and verdict:
        best = max(label.value for label in verdict.labels)
        one = {unit: float(value == best) for unit, value in one.items()}
    return one, other


def confusion_data(
    found: Findings, first: str, second: str, rubric: LabelRubric, cell: tuple[float, float] | None
) -> dict[str, Any]:
    """The table of two raters, label by label; `cell` is the chosen one."""
    one, other = sides_of(found, first, second, rubric)
    sides = {"first": one, "second": other}
    pair = agree_pair("first", "second", sides, level=found.level, resamples=RESAMPLES)
    binary = any(machine.name == second and machine.binary for machine in found.machines)
    return {
        "kind": "confusion",
        "title": "Label by label",
        "first": one_line(first, _NAME),
        "second": one_line(second, _NAME),
        **_cells(pair.confusion, _words(found, rubric, binary=binary), cell),
    }


def _cells(confusion: Confusion, words: Mapping[float, str], cell: tuple[float, float] | None) -> dict[str, Any]:
    most = max((each.count for row in confusion.cells for each in row), default=0) or 1
    return {
        "labels": [words.get(label, f"{label:g}") for label in confusion.labels],
        "values": list(confusion.labels),
        "cells": [
            [
                {
                    "count": each.count,
                    "share": each.count / most,
                    "side": ""
                    if each.low is None
                    else f"{percent(each.share)} [{percent(each.low)}, {percent(each.high)}]",
                    "same": row == column,
                    "chosen": cell == (confusion.labels[row], confusion.labels[column]),
                }
                for column, each in enumerate(line)
            ]
            for row, line in enumerate(confusion.cells)
        ],
    }


def _words(found: Findings, rubric: LabelRubric, *, binary: bool) -> dict[float, str]:
    verdict = rubric.verdict(found.subject)
    if found.subject.startswith(TAG):
        return {0.0: "not given", 1.0: "given"}
    if verdict is None:
        return {}
    if binary:
        best = max(verdict.labels, key=lambda label: label.value)
        return {0.0: f"not {one_line(best.name, 30)}", 1.0: one_line(best.name, 30)}
    return {label.value: one_line(label.name, 30) for label in verdict.labels}


def units_in(one: Labels, other: Labels, cell: tuple[float, float]) -> list[Unit]:
    """The units that two raters gave the labels of a cell."""
    return [unit for unit in sorted(one.keys() & other.keys()) if (one[unit], other[unit]) == cell][:_SHOWN]


def sentences(machines: Sequence[Machine]) -> list[str]:
    """Where a judge or metric can stand in for labels, and where not."""
    return [plain(said) for machine in machines for said in machine.sentences]
