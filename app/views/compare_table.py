"""Tables whose columns are the compared runs: scores with what they differ by, costs, training sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.comparison import Cell, Line, ScoreName, Table
from app.formats import MISSING, amount, bounds, change
from app.plain import one_line, plain
from app.tokens import ABILITIES, ABILITY_COLOURS, ABILITY_INKS, chosen_run
from app.urls import href
from app.views.compare_words import explained, score_label
from app.views.component import Component, Event
from db.queries import RunRow
from evaluators.meanings import meaning_of
from evaluators.significance import ALPHA, PairedResult
from evaluators.verdict import Unit, format_p
from steper_core.run_records import Figure

BETTER, WORSE, OTHER = "▲", "▼", "◆"
"""Marks of a difference that holds: for the better, for the worse, and where neither direction is."""

_TABLE = Component("compare_table")

Door = Callable[[Line], dict[str, list[str]] | None]
"""Where a line's numbers lead: parameters for the chains page beside the runs, None for nowhere."""


def draw_table(data: dict[str, Any], *, key: str, on_event: Callable[[Event], None] | None = None) -> None:
    """Draw a table."""
    _TABLE.draw(data, key=key, on_event=on_event)


def columns(runs: Mapping[str, RunRow]) -> list[dict[str, Any]]:
    """The heads of the columns: the compared runs by their names in URLs, of which the first is the reference."""
    return [
        {**chosen_run(place, one_line(run.name, 60)), "token": token, "reference": place == 0}
        for place, (token, run) in enumerate(runs.items())
    ]


def score_rows(
    table: Table,
    runs: Mapping[str, RunRow],
    *,
    door: Door,
    focus: ScoreName,
    reasons: Mapping[tuple[int, ScoreName], Mapping[str, int]],
) -> list[dict[str, Any]]:
    """Rows of scores of whole chains; `reasons` tell why chains of a run are unscored."""
    rows = []
    for line in table.lines:
        name = _score_of(line)
        rows.append(
            {
                **_row(line, runs, meaning_of(name[0]), door),
                "label": score_label(*name),
                "hint": explained(name[0]),
                "focus": name == focus,
                "score": list(name),
                "details": _details(line, runs, meaning_of(name[0]).unit, reasons),
            }
        )
    return rows


def ability_rows(
    table: Table,
    runs: Mapping[str, RunRow],
    *,
    door: Door,
    focus: ScoreName,
    reasons: Mapping[tuple[int, ScoreName], Mapping[str, int]],
) -> list[dict[str, Any]]:
    """Rows of scores of steps: a heading for each score, under it a row for each ability that has it."""
    rows: list[dict[str, Any]] = []
    for row, line in zip(score_rows(table, runs, door=door, focus=focus, reasons=reasons), table.lines, strict=True):
        name, ability = _score_of(line)
        if not any(cell and cell.figure.n for cell in line.cells):
            continue
        heading = {"key": f"heading-{name}", "heading": score_label(name), "hint": explained(name)}
        rows += [] if heading in rows else [heading]
        chip = {"colour": ABILITY_COLOURS[ability], "ink": ABILITY_INKS[ability]}
        rows.append({**row, "label": ABILITIES[ability], "hint": "", "chip": chip})
    return rows


def group_rows(table: Table, runs: Mapping[str, RunRow], score: ScoreName, *, door: Door) -> list[dict[str, Any]]:
    """Rows of one score within groups of questions."""
    meaning = meaning_of(score[0])
    return [
        {
            **_row(line, runs, meaning, door),
            "label": one_line(line.label, 40),
            "hint": "",
            "details": _details(line, runs, meaning.unit, {}),
        }
        for line in table.lines
    ]


def pair_door(runs: Mapping[str, RunRow], place: int, params: Mapping[str, list[str]]) -> str:
    """A link to the chains of a run beside those of the reference."""
    tokens = list(runs)
    return href("chains", {"run": tokens[:1] if not place else [tokens[0], tokens[place]], **params})


def _score_of(line: Line) -> ScoreName:
    if not isinstance(line.key, tuple):
        raise TypeError(f"a line of {line.key!r} is not about a score")
    return line.key


def _row(line: Line, runs: Mapping[str, RunRow], meaning: Any, door: Door) -> dict[str, Any]:
    params = door(line)
    cells = []
    for place, cell in enumerate(line.cells):
        link = pair_door(runs, place, params) if params is not None and cell and cell.figure.n else None
        cells.append(_cell(cell, meaning.unit, meaning.higher_is_better, link))
    return {"key": str(line.key), "cells": cells}


def _cell(cell: Cell | None, unit: Unit, higher_is_better: bool | None, link: str | None) -> dict[str, Any]:
    if cell is None:
        return {"main": MISSING, "side": "", "title": "no such score, or another version of it than the reference's"}
    figure = cell.figure
    return {
        "main": amount(figure.mean, unit),
        "side": " ".join(filter(None, [bounds(figure.low, figure.high, unit), _few(figure)])),
        "link": link,
        "title": _counted(cell),
        "difference": _difference(cell, unit, higher_is_better),
    }


def _difference(cell: Cell, unit: Unit, higher_is_better: bool | None) -> dict[str, Any] | None:
    against = cell.paired
    if against is None or against.difference is None:
        return None
    holds = cell.adjusted_p is not None and cell.adjusted_p < ALPHA
    # A score of some questions only, such as of right answers: the runs' means are over others than the difference is.
    note = f"of {against.n:,} in both" if against.n < cell.figure.n else ""
    mark, tone = _mark(against.difference, higher_is_better) if holds else ("", "grey")
    return {
        "text": change(against.difference, unit),
        "side": bounds(against.low, against.high, unit),
        "note": note,
        "mark": mark,
        "tone": tone,
        "said": _said(mark) if holds else "not shown to differ",
    }


def _mark(difference: float, higher_is_better: bool | None) -> tuple[str, str]:
    if higher_is_better is None:
        return OTHER, ""
    return (BETTER, "good") if (difference > 0) == higher_is_better else (WORSE, "bad")


def _said(mark: str) -> str:
    return {BETTER: "better", WORSE: "worse"}.get(mark, "different")


def _few(figure: Figure) -> str:
    """Over how many questions a figure goes, where that is not all of them."""
    return f"n\u00a0=\u00a0{figure.n:,}" if figure.unscored else ""


def _counted(cell: Cell) -> str:
    figure = cell.figure
    parts = [f"n = {figure.n:,}"]
    parts += [f"{figure.unscored:,} unscored"] if figure.unscored else []
    if cell.paired and cell.paired.p is not None and cell.adjusted_p is not None:
        parts.append(f"{cell.paired.test} {format_p(cell.paired.p)}, {format_p(cell.adjusted_p)} after Holm")
    return "; ".join(parts)


def _details(
    line: Line,
    runs: Mapping[str, RunRow],
    unit: Unit,
    reasons: Mapping[tuple[int, ScoreName], Mapping[str, int]],
) -> list[dict[str, Any]]:
    """Under an opened row, for each run: how many questions, why some are unscored, and how the test went."""
    parts = []
    for place, (run, cell) in enumerate(zip(runs.values(), line.cells, strict=True)):
        if cell is None:
            continue
        said = [_counted(cell), *(_tested(cell.paired, unit) if cell.paired else ())]
        why = reasons.get((run.id, line.key), {}) if isinstance(line.key, tuple) else {}
        said += [f"unscored in the whole run: {_most(why)}"] if why else []
        parts.append({**chosen_run(place, one_line(run.name, 40)), "lines": said})
    return parts


def _tested(result: PairedResult, unit: Unit) -> Sequence[str]:
    said = []
    if result.flow:
        said.append(f"{result.flow.fixed:,} gained, {result.flow.broken:,} lost of {result.n:,} in both")
    elif result.n:
        said.append(f"{result.differing:,} of {result.n:,} differ")
    if result.effect:
        said.append(f"{result.effect.name} {result.effect.value:+.2f}")
    if result.detectable is not None:
        size = f"{100 * result.detectable:.1f} points" if unit == "share" else f"{result.detectable:.2f}"
        said.append(f"a true difference of {size} would be found 4 times of 5")
    return said


def _most(why: Mapping[str, int], shown: int = 3) -> str:
    ordered = sorted(why.items(), key=lambda item: -item[1])
    named = [f"{one_line(plain(reason), 80)} ({count:,})" for reason, count in ordered[:shown]]
    return ", ".join([*named, *(["and others"] if len(ordered) > shown else [])])
