"""The order of runs in their tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from app.seeds import system_of
from app.tokens import METHOD_ORDER
from db.queries import RunRow


def kept(run: RunRow) -> int:
    """How many chains a run kept."""
    return run.counts.get("kept", run.chain_count)


def rejected(run: RunRow) -> int | None:
    """How many chains a run did not keep, None if it does not say."""
    counts = [count for name, count in run.counts.items() if name.startswith("rejected")]
    return sum(counts) if counts else None


def scored(run: RunRow) -> int | None:
    """Over how many questions the figures of a run go."""
    figure = run.figures.get("em") or next(iter(run.figures.values()), None)
    return figure.n if figure else None


def _fact(name: str) -> Callable[[RunRow], float | None]:
    def value(run: RunRow) -> float | None:
        return run.facts.get(name)

    return value


_TEXTS: dict[str, Callable[[RunRow], str]] = {
    "name": lambda run: run.name.casefold(),
    "method": lambda run: run.method,
    "data": lambda run: run.dataset,
}
_NUMBERS: dict[str, Callable[[RunRow], float | None]] = {
    "started": lambda run: run.started.timestamp(),
    "seconds": lambda run: run.seconds,
    "seconds_per_question": _fact("seconds_per_question"),
    "tokens_per_second": _fact("tokens_per_second"),
    "kept": kept,
    "rejected": rejected,
    "n": scored,
}


def ordered(runs: Iterable[RunRow], sort: str) -> list[RunRow]:
    """Runs sorted by a column ("-em" falls); without one, systems that are compared stand together.

    Runs without a value come last in either direction.
    """
    rows = sorted(runs, key=_compared)
    column, falling = sort.removeprefix("-"), sort.startswith("-")
    if column in _TEXTS:
        return sorted(rows, key=_TEXTS[column], reverse=falling)
    if not column:
        return rows
    value = _NUMBERS.get(column) or _figure(column)
    have = [row for row in rows if value(row) is not None]
    have.sort(key=lambda row: value(row) or 0.0, reverse=falling)
    return have + [row for row in rows if value(row) is None]


def next_sort(current: str, column: str) -> str:
    """What a click on a column's heading sorts by: first direction, other direction, not at all."""
    first, second = (column, f"-{column}") if column in _TEXTS else (f"-{column}", column)
    return {first: second, second: ""}.get(current, first)


def _figure(name: str) -> Callable[[RunRow], float | None]:
    def value(run: RunRow) -> float | None:
        figure = run.figures.get(name)
        return figure.mean if figure else None

    return value


def _compared(run: RunRow) -> tuple[Any, ...]:
    rank = METHOD_ORDER.index(run.method) if run.method in METHOD_ORDER else len(METHOD_ORDER)
    # The seeds of a system stay together: their mean stands below them.
    return (run.dataset, rank, run.method, *system_of(run), run.seed, -run.started.timestamp())
