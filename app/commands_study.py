"""`steper study`: a grid of methods, weightings, data and seeds, cell by cell, resumable."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from app.console import Console
from app.files import write_whole
from app.options import command_line, data_overrides, runs_option, store, unfinished_stored
from app.settings import database_url
from steper_core.errors import UserError


@click.command()
@click.argument("name", metavar="STUDY", required=False)
@click.option("--recipe", "-r", help="A recipe in place of the study's own.")
@click.option("--set", "-s", "overrides", multiple=True, metavar="KEY=VALUE", help="For all variants.")
@click.option("--data", "-d", multiple=True, metavar="SOURCE", help="Files, folders or hub:NAME, for data.paths.")
@click.option("--only", multiple=True, metavar="VARIANT", help="Do these variants alone.")
@click.option("--seed", "seeds", multiple=True, type=int, help="Do these seeds alone.")
@click.option("--list", "listed", is_flag=True, help="Print a command for each cell, for a launcher of your own.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Also write the table, as markdown.")
@runs_option
def study(
    name: str | None,
    recipe: str | None,
    overrides: tuple[str, ...],
    data: tuple[str, ...],
    only: tuple[str, ...],
    seeds: tuple[int, ...],
    listed: bool,
    out: Path | None,
    runs: Path,
) -> None:
    """Train and evaluate all variants of a study with all of its seeds, and compare them.

    Repeated, it goes on where it stopped. Without a name it lists the built-in studies.

    \b
    steper study methods -d FOLDER
    steper study mine.toml --only steper --seed 1
    steper study ablation -d FOLDER --list | parallel
    """
    from app.study import cells_of, run_cells
    from app.study_table import cells as table_cells
    from app.study_table import headline, markdown, studies_of, study_result
    from db import ingest_all, list_runs, open_database, run_arrays, score_arrays
    from steper_core.study_plan import STUDIES, load_study

    console = Console()
    if name is None:
        for known in STUDIES.names():
            console.say(f"{known}: {load_study(known).title}")
        return
    if out is not None and not out.parent.is_dir():
        raise UserError(f"{out}: there is no folder {out.parent}")
    plan = load_study(name, (*data_overrides(data), *overrides), recipe)
    cells = cells_of(plan, only, seeds)
    if listed:
        given = (("-r", [recipe] if recipe else []), ("-s", overrides), ("-d", data))
        shared = [part for flag, values in given for value in values for part in (flag, value)]
        for cell in cells:
            own = ["--only", cell.variant.name, *(["--seed", str(cell.seed)] if cell.variant.train else [])]
            console.say(shlex.join(["steper", "study", name, *own, *shared, "--runs", str(runs)]))
        return
    with unfinished_stored(runs):
        failed = run_cells(cells, runs, command_line(), console, lambda run: store(run.path, runs))
        if len(failed) == len(cells):
            raise UserError(next(iter(failed.values())))
    engine = open_database(database_url(runs))
    if failed:
        ingest_all(engine, runs)
    # A database may hold other people's runs of a study of this name.
    here = {str(file.parent.resolve()) for file in runs.glob("*/run.json")}
    stored = [run for run in list_runs(engine) if run.path in here]
    rows = studies_of(stored).get(plan.name)
    if not rows:
        raise UserError(
            f"the evaluations of {plan.name} were made outside of it, by names that its own would have, so there is no "
            "table of them; give the study another name"
        )
    ids = tuple(row.id for row in rows)
    result = study_result(rows, run_arrays(engine, ids), score_arrays(engine, ids))
    console.table(f"{headline(result.study)}: percent, 95 % intervals over seeds and questions", *table_cells(result))
    for note in result.notes:
        console.say(note)
    if out is not None:
        write_whole(out, markdown(result))
        console.say(f"{out}: written")
    if failed:
        raise UserError(f"{len(failed)} of {len(cells)} cells failed ({', '.join(failed)}), as the warnings say")
