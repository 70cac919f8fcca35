"""The tables of runs, one for each kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from app.formats import MISSING, duration, interval, number, percent
from app.plain import one_line, plain
from app.seeds import SeedGroup, system_of
from app.state import RunsState
from app.tokens import FIGURES, KINDS, MAX_COMPARED, RUN_LETTERS, chosen_run
from app.urls import href
from app.views.component import Component, Event
from app.views.run_details import details
from app.views.run_order import kept, ordered, rejected, scored
from db.queries import RunRow
from evaluators.intervals import Spread

_TABLE = Component("run_table")
_SCORES = ("em", "f1", "acc", "gold_recall")
_STATUSES = {
    "running": {"glyph": "…", "word": "running", "tone": "grey"},
    "failed": {"glyph": "✗", "word": "failed", "tone": "bad"},
    "interrupted": {"glyph": "–", "word": "interrupted", "tone": "warn"},
}
_HINTS = {
    "em": "Exact match with 95 % interval, in percent",
    "f1": "Token F1 with 95 % interval, in percent",
    "acc": "Gold answer contained in the answer, in percent",
    "gold_recall": "Gold passages retrieved, in percent",
    "tokens_per_second": "Trained tokens a second, mean of the logged steps",
}


def show_runs(
    known: Mapping[str, RunRow],
    rows: Sequence[RunRow],
    groups: Mapping[tuple[str, ...], SeedGroup],
    state: RunsState,
    on_event: Callable[[Event], None],
) -> None:
    """Draw the tables.

    `rows` is the page of runs to list, `known` all runs by their short names, `groups` the seeds of all listed systems:
    a page may end among these.
    """
    _TABLE.draw(table_data(known, rows, groups, state), key="run_table", on_event=on_event)


def listed(rows: Sequence[RunRow], sort: str) -> list[RunRow]:
    """Runs in the order of the tables: by kind, then as sorted."""
    return [run for kind in _kinds(rows) for run in ordered((row for row in rows if row.kind == kind), sort)]


def table_data(
    known: Mapping[str, RunRow],
    rows: Sequence[RunRow],
    groups: Mapping[tuple[str, ...], SeedGroup],
    state: RunsState,
) -> dict[str, Any]:
    """What the component draws; the mean of a system's seeds stands below the last of them on this page."""
    tokens = {run.id: token for token, run in known.items()}
    ticked = [token for token in state.ticked if token in known]
    return {
        "sections": [
            _section(kind, [row for row in rows if row.kind == kind], groups, tokens, state) for kind in _kinds(rows)
        ],
        "ticked": ticked,
        "picked": [
            {**chosen_run(position, one_line(known[token].name)), "token": token}
            for position, token in enumerate(ticked)
        ],
        "doors": _doors(known, ticked),
        "most": len(RUN_LETTERS),
    }


def _doors(known: Mapping[str, RunRow], ticked: Sequence[str]) -> list[dict[str, str]]:
    """Where the ticked runs lead: only evaluations have scores to compare, and few chains fit side by side."""
    scored_runs = [token for token in ticked if known[token].kind == "evaluate"]
    beside = ticked[:MAX_COMPARED]
    chains = "Read chains" if len(ticked) == 1 else "Compare chains"
    some = f" of {', '.join(RUN_LETTERS[: len(beside)])}" if len(ticked) > len(beside) else ""
    scores = {"href": href("compare", {"run": scored_runs}), "label": "Compare scores →"}
    return [
        *([scores] if len(scored_runs) > 1 else []),
        {"href": href("chains", {"run": beside}), "label": f"{chains}{some} →"},
    ]


def _kinds(rows: Sequence[RunRow]) -> list[str]:
    present = {row.kind for row in rows}
    return [kind for kind in KINDS if kind in present] + sorted(present - KINDS.keys())


def _section(
    kind: str,
    rows: list[RunRow],
    groups: Mapping[tuple[str, ...], SeedGroup],
    tokens: Mapping[int, str],
    state: RunsState,
) -> dict[str, Any]:
    cells = {"evaluate": _evaluation_cells, "train": _training_cells, "judge": _judging_cells}.get(
        kind, _collection_cells
    )
    columns = {"evaluate": _EVALUATION, "train": _TRAINING, "judge": _JUDGING}.get(kind, _COLLECTION)
    systems = [system_of(run) for run in rows]
    lines = []
    for position, run in enumerate(rows):
        lines.append(_line(run, cells(run, tokens[run.id]), tokens[run.id], state))
        group = groups.get(systems[position])
        if group and systems[position] not in systems[position + 1 :]:
            lines.append(_seed_line(group))
    count = f"{len(rows)} run{'' if len(rows) == 1 else 's'}"
    return {
        "title": KINDS.get(kind, plain(kind)),
        "note": count,
        "columns": [{**column, "sorted": _sorted(column["sort"], state.sort)} for column in columns],
        "rows": lines,
    }


def _line(run: RunRow, cells: list[dict[str, Any]], token: str, state: RunsState) -> dict[str, Any]:
    status = _STATUSES.get(run.status)
    resume = run.command if run.status in ("failed", "interrupted") else ""
    why = run.error or ("It was stopped before its end." if run.status == "interrupted" else "")
    return {
        "token": token,
        "name": one_line(run.name, 60),
        "sub": _sub(run),
        "subNarrow": _joined(run.method, run.dataset),
        "tickable": run.chain_count > 0,
        "status": status,
        "problem": {"why": plain(why), "command": plain(resume)} if status and (why or resume) else None,
        "cells": cells,
        "details": details(run) if state.opened in (token, run.uid) else None,
    }


def _seed_line(group: SeedGroup) -> dict[str, Any]:
    first = group.runs[0]
    seeds = ", ".join(str(seed) for seed in group.seeds)
    figures = [_spread(group.figure(name), len(group.runs)) for name in _SCORES]
    per_question = group.fact("seconds_per_question")
    return {
        "token": None,
        "name": f"mean ± sd of {len(group.runs)} runs",
        "sub": f"seeds {seeds}",
        "subNarrow": _joined(first.method, first.dataset),
        "tickable": False,
        "status": None,
        "problem": None,
        "cells": [
            _cell(_method(first)),
            _cell(first.dataset),
            *figures,
            _cell(""),
            _cell(number(per_question, 2)),
            _cell(""),
        ],
        "details": None,
    }


def _sub(run: RunRow) -> str:
    model = run.model.rstrip("/").rsplit("/", 1)[-1] if run.model else ""
    weights = f"step {number(run.checkpoint_step)}" if run.checkpoint_step is not None else ""
    return _joined(model, run.framework, weights, f"seed {run.seed}")


def _joined(*parts: str) -> str:
    return " · ".join(one_line(part, 48) for part in parts if part)


def _method(run: RunRow) -> str:
    return run.method or ("base" if run.kind == "evaluate" else "")


def _evaluation_cells(run: RunRow, token: str) -> list[dict[str, Any]]:
    return [
        _cell(_method(run)),
        _cell(run.dataset),
        *(_door_to_chains(_score(run, name), run, token) for name in _SCORES),
        _door_to_chains(_cell(number(scored(run))), run, token),
        _cell(number(run.facts.get("seconds_per_question"), 2)),
        _chains(run, token),
    ]


def _training_cells(run: RunRow, token: str) -> list[dict[str, Any]]:
    return [
        _cell(_method(run)),
        _cell(run.dataset),
        _cell(duration(run.seconds)),
        _cell(number(run.facts.get("tokens_per_second"))),
        {**_cell("Curves"), "link": href("training", {"run": [token]})},
    ]


def _collection_cells(run: RunRow, token: str) -> list[dict[str, Any]]:
    return [
        _cell(_method(run)),
        _cell(run.dataset),
        _cell(duration(run.seconds)),
        _door_to_chains(_cell(number(kept(run))), run, token),
        _cell(number(rejected(run))),
        _chains(run, token),
    ]


def _judging_cells(run: RunRow, token: str) -> list[dict[str, Any]]:
    rubric = run.config.get("rubric")
    named = str(rubric.get("name", "")) if isinstance(rubric, dict) else ""
    return [
        _cell(named),
        _cell(run.dataset),
        _cell(duration(run.seconds)),
        _cell(number(run.counts.get("chains"))),
        _cell(number(run.counts.get("votes"))),
        _cell(number(run.facts.get("prompt_tokens"))),
    ]


def _score(run: RunRow, name: str) -> dict[str, Any]:
    figure = run.figures.get(name)
    return _cell(percent(figure.mean), interval(figure.low, figure.high)) if figure else _cell(MISSING)


def _spread(spread: Spread | None, runs: int) -> dict[str, Any]:
    if spread is None:
        return _cell("")
    fewer = f" ({spread.n} runs)" if spread.n < runs else ""
    return _cell(percent(spread.mean), f"± {percent(spread.deviation)}{fewer}")


def _door_to_chains(cell: dict[str, Any], run: RunRow, token: str) -> dict[str, Any]:
    """A number that leads to the chains behind it."""
    return {**cell, "link": href("chains", {"run": [token]})} if run.chain_count and cell["main"] != MISSING else cell


def _chains(run: RunRow, token: str) -> dict[str, Any]:
    return {**_cell("Chains"), "link": href("chains", {"run": [token]})} if run.chain_count else _cell("")


def _cell(main: str, side: str = "") -> dict[str, Any]:
    return {"main": one_line(main, 48), "side": side}


def _sorted(column: str, sort: str) -> str:
    return {column: "ascending", f"-{column}": "descending"}.get(sort, "") if column else ""


def _column(key: str, label: str, *, sort: str | None = None, right: bool = True, wide: bool = False) -> dict[str, Any]:
    column = key if sort is None else sort
    hint = _HINTS.get(key) or (f"Sort by {label}" if column else "")
    return {"key": key, "label": label, "sort": column, "right": right, "wide": wide, "hint": hint}


_RUN = _column("name", "Run", right=False)
_SYSTEM = (_column("method", "Method", right=False, wide=True), _column("data", "Data", right=False, wide=True))
_TIME = _column("seconds", "Took")
_DOOR = _column("open", "", sort="")
_EVALUATION = (
    _RUN,
    *_SYSTEM,
    *(_column(name, FIGURES[name]) for name in _SCORES),
    _column("n", "n"),
    _column("seconds_per_question", "s/question"),
    _DOOR,
)
_TRAINING = (_RUN, *_SYSTEM, _TIME, _column("tokens_per_second", "Tokens/s"), _DOOR)
_JUDGING = (
    _RUN,
    _column("rubric", "Rubric", sort="", right=False),
    _SYSTEM[1],
    _TIME,
    _column("chains", "Chains", sort=""),
    _column("votes", "Votes", sort=""),
    _column("prompt_tokens", "Prompt tokens", sort="", wide=True),
)
_COLLECTION = (_RUN, *_SYSTEM, _TIME, _column("kept", "Kept"), _column("rejected", "Rejected"), _DOOR)


def mixed_versions(runs: Iterable[RunRow]) -> tuple[str, ...]:
    """Evaluators whose figures stand here in several versions: such figures are not the same measure."""
    versions: dict[str, set[str]] = {}
    for run in runs:
        for figure in run.figures.values():
            if figure.evaluator:
                versions.setdefault(figure.evaluator, set()).add(figure.version)
    return tuple(sorted(evaluator for evaluator, found in versions.items() if len(found) > 1))
