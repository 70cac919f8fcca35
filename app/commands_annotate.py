"""`steper annotate`: labelling projects, their progress, and people's labels in and out of files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from app.console import Console
from app.files import write_whole
from app.options import find_run, not_empty, runs_option
from app.plain import one_line
from app.settings import existing_database_url
from evaluators.sampling import Sample
from steper_core.errors import UserError

if TYPE_CHECKING:
    from db.annotation_views import ProjectRow
    from db.queries_texts import Database

_FILE = click.Path(path_type=Path, dir_okay=False)
_PROBLEMS_SHOWN = 20
_DISAGREEMENTS_SHOWN = 20


@click.group()
def annotate() -> None:
    """Let people label chains and their steps: projects, progress, export and import.

    The labelling itself is done in the dashboard: `steper app`, page Annotate.
    """


@annotate.command()
@click.argument("name")
@click.option("--run", "run_names", multiple=True, required=True, help="A run whose chains to label; may be repeated.")
@click.option("--items", type=click.IntRange(min=1), default=50, show_default=True, help="How many chains to draw.")
@click.option(
    "--sample", type=click.Choice(get_args(Sample)), default="random", show_default=True, help="Which ones to draw."
)
@click.option("--rubric", default="steps", show_default=True, help="A built-in label rubric or a TOML file.")
@click.option("--overlap", type=click.IntRange(min=1), default=1, show_default=True, help="People an item.")
@click.option(
    "--blind/--open", default=True, show_default=True, help="Hide run, gold and judge until an item is submitted."
)
@click.option("--seed", default=0, show_default=True, help="Of the sample and the places of the controls.")
@click.option("--controls", type=_FILE, help="JSONL of chains with known labels, which everyone gets.")
@runs_option
def create(
    name: str,
    run_names: tuple[str, ...],
    items: int,
    sample: Sample,
    rubric: str,
    overlap: int,
    blind: bool,
    seed: int,
    controls: Path | None,
    runs: Path,
) -> None:
    """Make a project NAME of chains of one or more runs.

    \b
    steper annotate create first --run eval-steper
    steper annotate create flips --run eval-vanilla --run eval-steper --sample disagreements --overlap 2
    steper annotate create checked --run eval-steper --controls known.jsonl --open

    A line of --controls: {"question": KEY, "labels": {"2/rating": -1, "0/verdict": "right"}}, with "run" where there
    are several; the number is the step, 0 the whole chain.
    """
    from app.annotation_projects import ProjectOrder, make_project, read_controls
    from evaluators.label_rubric import load_label_rubric

    asked = load_label_rubric(rubric)
    known = read_controls(controls) if controls else ()
    engine = _open(runs)
    order = ProjectOrder(name, _run_ids(engine, run_names, runs), asked, sample, items, overlap, blind, seed, known)
    project = make_project(engine, order)
    console = Console()
    console.say(f"{project.name}: {_counted(project)}, {'blind' if blind else 'open'}, {_people(overlap)} an item")
    if project.items < items:
        console.warn(f"the sample {sample!r} leaves {project.items} of the {items} chains asked for")
    console.say("label it in the dashboard: `steper app`, page Annotate")


@annotate.command("list")
@runs_option
def list_them(runs: Path) -> None:
    """List the projects."""
    from db.queries_annotations import list_projects

    rows = [
        [
            one_line(project.name) + (" (closed)" if project.closed else ""),
            one_line(str(project.rubric.get("name", ""))),
            str(project.items),
            f"{project.submitted} of {project.items * project.overlap}",
            str(project.people),
            str(project.disputed),
            f"{project.created:%Y-%m-%d}",
        ]
        for project in list_projects(_open(runs))
    ]
    if not rows:
        Console().say("there are no projects yet: `steper annotate create NAME --run RUN` makes one")
        return
    Console().table(
        "labelling projects", ["project", "rubric", "items", "submitted", "people", "disputed", "created"], rows
    )


@annotate.command()
@click.argument("name")
@runs_option
def show(name: str, runs: Path) -> None:
    """Say how project NAME stands: each person's progress and pace, control accuracy, agreement, what is left."""
    from app.annotation_progress import print_project
    from app.annotation_projects import found_project

    engine = _open(runs)
    print_project(Console(), engine, found_project(engine, name))


@annotate.command()
@click.argument("name", required=False)
def rubrics(name: str | None) -> None:
    """List the built-in label rubrics, print the file of one (a start for your own), or check a file of your own."""
    from evaluators.label_rubric import LABEL_RUBRICS, load_label_rubric

    console = Console()
    if name in LABEL_RUBRICS.names():
        console.say(LABEL_RUBRICS.text(name).rstrip())
        return
    for rubric in map(load_label_rubric, [name] if name else LABEL_RUBRICS.names()):
        console.say(f"{rubric.name} {rubric.version}: {rubric.summary}")


@annotate.command()
@click.argument("name")
@runs_option
def close(name: str, runs: Path) -> None:
    """Take no further labels in project NAME; everything in it stays."""
    _set_closed(name, runs, closed=True)


@annotate.command()
@click.argument("name")
@runs_option
def reopen(name: str, runs: Path) -> None:
    """Take labels in project NAME again."""
    _set_closed(name, runs, closed=False)


@annotate.command()
@click.argument("name")
@click.option("--person", callback=not_empty, help="Only what this person holds. Default: everybody's.")
@runs_option
def release(name: str, person: str | None, runs: Path) -> None:
    """Give back the items of project NAME that people hold without having submitted them; the history keeps drafts."""
    from app.annotation_projects import found_project
    from db.annotations import release as release_slots

    engine = _open(runs)
    count = release_slots(engine, found_project(engine, name).id, person)
    Console().say(f"{name}: {count} items given back")


@annotate.command()
@click.argument("name")
@click.confirmation_option(prompt="Delete this project with all its labels and their history?")
@runs_option
def delete(name: str, runs: Path) -> None:
    """Delete project NAME with all its labels. Export it first: nothing brings it back."""
    from app.annotation_projects import found_project
    from db.annotations import delete_project

    engine = _open(runs)
    delete_project(engine, found_project(engine, name).id)
    Console().say(f"{name}: deleted")


@annotate.command()
@click.argument("name")
@click.option("--all", "everything", is_flag=True, help=f"Not only the first {_DISAGREEMENTS_SHOWN}.")
@runs_option
def disagreements(name: str, everything: bool, runs: Path) -> None:
    """List where people differ in project NAME, the widest first."""
    from app.annotation_progress import print_disagreements
    from app.annotation_projects import found_project

    engine = _open(runs)
    print_disagreements(Console(), engine, found_project(engine, name), None if everything else _DISAGREEMENTS_SHOWN)


@annotate.command()
@click.argument("name")
@click.option("--out", required=True, type=_FILE, help="File to write: .jsonl, .csv or .parquet.")
@click.option("--steps", is_flag=True, help="Write step-level training data for `steper collect --labels` (JSONL).")
@runs_option
def export(name: str, out: Path, steps: bool, runs: Path) -> None:
    """Write the labels of project NAME with their authors, times and history.

    \b
    steper annotate export first --out labels.jsonl            shaped like PRM800K; holds everything
    steper annotate export first --out labels.csv              one row a change; .parquet too
    steper annotate export first --steps --out steps.jsonl     kept and rejected steps, to collect by
    """
    from app.annotation_projects import found_project
    from app.label_export import labels_of
    from app.label_files import write_labels
    from app.label_steps import step_data

    if steps and out.suffix.lower() != ".jsonl":
        raise UserError(f"{out}: step-level training data is JSONL; give it a name that ends with .jsonl")
    engine = _open(runs)
    console = Console()
    labels = labels_of(engine, found_project(engine, name))
    if not steps:
        write_whole(out, write_labels(labels, out.suffix.lower()))
        changes = sum(len(share.changes) for share in labels.shares)
        people = len({share.annotator for share in labels.shares})
        console.say(f"{out}: {changes:,} changes on {len(labels.shares):,} shares of {_people(people)}")
        return
    data = step_data(labels)
    if not data.labels:
        raise UserError(f"no step of {name!r} has a label that was submitted and agreed on")
    write_whole(out, data.lines().encode())
    kept = sum(label.kept for label in data.labels)
    console.say(f"{out}: {kept:,} steps kept, {len(data.labels) - kept:,} rejected")
    if data.undecided:
        console.warn(f"left out, for people differ and no one has adjudicated: {data.undecided:,} steps")


@annotate.command("import")
@click.argument("file", type=_FILE)
@click.option("--project", help="Project to import into. Default: the one that the file names.")
@click.option("--rubric", help="Label rubric of a project to be created, where the file does not hold one.")
@click.option("--run", "run_names", multiple=True, help="Where to look for the chains of another tool's PRM800K lines.")
@runs_option
def import_file(file: Path, project: str | None, rubric: str | None, run_names: tuple[str, ...], runs: Path) -> None:
    """Bring labels in from FILE: an export (.jsonl, .csv, .parquet), or lines of PRM800K's shape.

    \b
    steper annotate import labels.jsonl
    steper annotate import labels.csv --rubric steps
    steper annotate import other.jsonl --project other --rubric steps --run eval-steper

    Authors, times and history stay as they were; importing twice changes nothing. What does not fit is listed.
    """
    from app.label_files import read_label_file
    from app.label_import import Wishes, import_labels
    from evaluators.label_rubric import load_label_rubric

    read = read_label_file(file)
    engine = _open(runs)
    asked = load_label_rubric(rubric) if rubric else None
    report = import_labels(engine, read, Wishes(project, asked, _run_ids(engine, run_names, runs)))
    console = Console()
    for name in report.created:
        console.say(f"project {name!r} created")
    console.say(
        f"{file}: {report.changes:,} changes by {_people(report.people)} came in, {report.known:,} were there already; "
        f"{report.items:,} items added"
    )
    for problem in report.problems[:_PROBLEMS_SHOWN]:
        console.warn(str(problem))
    if len(report.problems) > _PROBLEMS_SHOWN:
        console.warn(f"and {len(report.problems) - _PROBLEMS_SHOWN:,} more that did not fit")


def _open(runs: Path) -> Database:
    from db import open_database

    return open_database(existing_database_url(runs))


def _run_ids(engine: Database, names: tuple[str, ...], runs: Path) -> tuple[int, ...]:
    """Bring the database up to date with these runs, and say which they are in it."""
    from db import ingest

    return tuple(ingest(engine, find_run(runs, name).path).run_id for name in dict.fromkeys(names))


def _set_closed(name: str, runs: Path, *, closed: bool) -> None:
    from app.annotation_projects import found_project
    from db.annotations import close_project

    engine = _open(runs)
    close_project(engine, found_project(engine, name).id, closed)
    Console().say(f"{name}: {'closed' if closed else 'open'}")


def _counted(project: ProjectRow) -> str:
    controls = f" and {project.controls} controls" if project.controls else ""
    return f"{project.items} items{controls}"


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"
