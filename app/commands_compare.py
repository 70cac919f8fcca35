"""`steper compare` and `steper rescore`: runs side by side, and their scores brought up to date."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.console import Console
from app.formats import amount, bounds, change
from app.options import find_run, runs_option, stored_ids
from app.settings import database_url
from steper_core.errors import UserError

if TYPE_CHECKING:
    from app.comparison import Cell, Comparison, Table
    from evaluators.meanings import Unit


@click.command()
@click.argument("names", metavar="RUN RUN...", nargs=-1, required=True)
@click.option("--score", default="em", show_default=True, help="The score that the verdict is about.")
@click.option("--all", "everything", is_flag=True, help="Every score that the runs hold, not the main ones only.")
@runs_option
def compare(names: tuple[str, ...], score: str, everything: bool, runs: Path) -> None:
    """Compare evaluation runs on the questions they share; the first one is the reference.

    \b
    steper compare demo-eval-vanilla-kd-s0 demo-eval-steper-s0
    steper compare base vanilla steper --score gold_recall --all
    """
    from app.comparison import MAX_RUNS, score_names, score_table
    from app.comparison import compare as compare_runs
    from app.views.compare_words import step_scores, whole_scores
    from db import RunFilter, list_runs, open_database, run_arrays, score_arrays

    console = Console()
    if not 2 <= len(dict.fromkeys(names)) <= MAX_RUNS:
        raise UserError(f"compare takes two to {MAX_RUNS} different runs")
    engine = open_database(database_url(runs))
    ids = stored_ids(engine, runs, names)
    rows = {run.id: run for run in list_runs(engine, RunFilter())}
    chosen = [rows[run_id] for run_id in ids]
    arrays = run_arrays(engine, ids)
    empty = [run.name for run, own in zip(chosen, arrays, strict=True) if own is None]
    if empty:
        raise UserError(f"{', '.join(empty)}: no chains to compare; evaluation runs hold chains")
    scores = score_arrays(engine, ids)
    held = score_names(scores)
    if (score, "") not in held:
        known = ", ".join(dict.fromkeys(name for name, ability in held if not ability))
        raise UserError(f"no run holds a score named {score!r}; there are: {known}")
    focus = (score, "")
    whole = [name for name, ability in held if not ability]
    of_steps = [name for name, ability in held if ability]
    present = [own for own in arrays if own is not None]
    names_shown = whole_scores(list(dict.fromkeys(whole)), everything=everything, focus=focus)
    comparison = compare_runs(chosen, present, scores, score=focus, names=names_shown)
    steps = step_scores(list(dict.fromkeys(of_steps)), everything=everything, focus=focus)
    if not comparison.shared:
        raise UserError(f"{', '.join(names)}: these runs have no question in common, so nothing can be compared")
    _print(console, comparison, score_table(chosen, present, scores, [name for name in steps if name in held]))


@click.command()
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
@runs_option
def rescore(names: tuple[str, ...], runs: Path) -> None:
    """Score saved chains anew with this version's evaluators; no model is run.

    Scores of earlier versions are kept; tables use the latest one.
    """
    from app.options import store
    from app.scoring import rescore as rescore_run

    console = Console()
    for name in names:
        run = find_run(runs, name)
        if run.info.kind != "evaluate":
            raise UserError(f"{name} is a {run.info.kind.value} run; only evaluation runs are scored")
        with console.status(f"scoring {name}"):
            added = rescore_run(run)
            store(run.path, runs)
        console.say(f"{name}: {added:,} scores added" if added else f"{name}: up to date")


def _print(console: Console, comparison: Comparison, steps: Table) -> None:
    from app.comparison import label_of
    from evaluators.meanings import meaning_of

    score = label_of(comparison.score)
    for warning in comparison.warnings:
        console.warn(warning)
    for sentence in (*comparison.verdicts, *comparison.seeds):
        console.say(sentence)
    names = [run.name for run in comparison.runs]
    title = (
        f"{comparison.shared:,} questions; 95 % intervals, n scored and +n– unscored; "
        f"below each figure its difference from {names[0]}, * after Holm's correction over the table"
    )
    _print_table(console, f"scores on {title}", "score", names, comparison.matrix, None)
    _print_table(console, "scores of steps, by ability", "score", names, steps, None)
    for label, table in (("kind", comparison.kinds), ("hops", comparison.hops)):
        if len(table.lines) > 1:
            _print_table(console, f"{score} by {label}", label, names, table, meaning_of(comparison.score[0]).unit)
    _print_costs(console, comparison)


def _print_costs(console: Console, comparison: Comparison) -> None:
    from app.formats import number
    from evaluators.efficiency import COSTS, ratios

    first, *_ = comparison.runs
    against = [ratios(run.facts, first.facts) for run in comparison.runs]
    rows = []
    for fact, label in COSTS.items():
        if not any(fact in run.facts for run in comparison.runs):
            continue
        cells = [number(run.facts.get(fact), 2) for run in comparison.runs]
        times = ["", *(_times(ratio.times_less[fact].value) for ratio in against[1:])]
        rows.append([label, *(f"{cell}\n{more}" if more else cell for cell, more in zip(cells, times, strict=True))])
    if rows:
        names = [run.name for run in comparison.runs]
        console.table(f"cost; below each figure how many times less than {first.name}", ["cost", *names], rows)
    for remark in dict.fromkeys(remark for ratio in against[1:] for remark in ratio.remarks.values()):
        console.warn(remark)


def _times(ratio: float | None) -> str:
    return "" if ratio is None or ratio == 1 else f"x {ratio:.2g}"


def _print_table(console: Console, title: str, first: str, names: list[str], table: Table, unit: Unit | None) -> None:
    """A table in one unit, or, where that is None, each line in the unit of its score."""
    from evaluators.meanings import meaning_of

    rows = []
    for line in table.lines:
        own = unit or meaning_of(line.label.partition(" ")[0]).unit
        rows.append([line.label, *(_cell(cell, own) for cell in line.cells)])
    console.table(title, [first, *names], rows)
    if table.note:
        console.say(table.note)


def _cell(cell: Cell | None, unit: Unit) -> str:
    from evaluators.verdict import format_p

    if cell is None or cell.figure.mean is None:
        return "–"
    figure, against = cell.figure, cell.paired
    counted = f"n={figure.n}" + (f" +{figure.unscored}–" if figure.unscored else "")
    lines = [" ".join(filter(None, (amount(figure.mean, unit), bounds(figure.low, figure.high, unit), counted)))]
    if against and against.difference is not None and cell.adjusted_p is not None:
        mark = "*" if cell.adjusted_p < 0.05 else ""
        # A question that one of the two runs has no score on is in its figure or the other's, and in no difference.
        pairs = "" if against.n == figure.n else f" n={against.n}"
        lines.append(f"{change(against.difference, unit)}{mark} {format_p(cell.adjusted_p)}{pairs}")
    return "\n".join(lines)
