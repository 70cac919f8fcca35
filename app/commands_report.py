"""`steper report`: a comparison and chosen chains in one file, for a colleague without the tool."""

from __future__ import annotations

import datetime
from pathlib import Path

import click

from app.console import Console
from app.options import runs_option, stored_ids
from app.settings import database_url


@click.command()
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The file to write.")
@click.option("--title", default="", help="Default: the names of the runs.")
@click.option("--score", default="em", show_default=True, help="The score that the verdict is about.")
@click.option("--question", "-q", "questions", multiple=True, metavar="KEY", help="Chains of these questions, in full.")
@click.option(
    "--chains",
    type=click.IntRange(0, 200),
    default=12,
    show_default=True,
    help="Without --question: how many questions, drawn from every outcome in turn.",
)
@click.option("--seed", default=0, show_default=True, help="Of that draw.")
@click.option("--force", is_flag=True, help="Write over a file that is no report.")
@runs_option
def report(
    names: tuple[str, ...],
    out: Path,
    title: str,
    score: str,
    questions: tuple[str, ...],
    chains: int,
    seed: int,
    force: bool,
    runs: Path,
) -> None:
    """Write a comparison of runs and chosen chains as one HTML file that works offline. The first run is the reference.

    \b
    steper report demo-eval-vanilla-kd-s0 demo-eval-steper-s0 --out report.html
    steper report my-run --out report.html --question 5a8b57f25542995d1e6f1371
    """
    from app.report import Wish, report_data
    from app.report_page import render_report, write_report
    from db import list_runs, open_database

    engine = open_database(database_url(runs))
    ids = stored_ids(engine, runs, names)
    rows = {run.id: run for run in list_runs(engine)}
    wish = Wish(title=title, score=score, questions=questions, chains=chains, seed=seed)
    data = report_data(engine, [rows[run_id] for run_id in ids], wish, datetime.datetime.now(datetime.UTC))
    page = render_report(data)
    write_report(page, out, force=force)
    count = len(data["chains"])
    Console().say(f"{out}: {len(ids)} runs, {count} questions in full, {len(page.encode()) / 1000:,.0f} kB")
