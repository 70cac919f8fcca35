"""The `steper` command: a user's mistake ends in one line and exit code 2; what was interrupted can be repeated."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app import (
    commands_agreement,
    commands_annotate,
    commands_compare,
    commands_judge,
    commands_report,
    commands_score,
    commands_soft_targets,
    commands_study,
)
from app.console import Console
from app.options import (
    Group,
    command_line,
    find_run,
    not_empty,
    open_place,
    open_recipe,
    port_option,
    recipe_options,
    runs_option,
    store,
    unfinished_stored,
)
from app.settings import database_url, existing_database_url
from steper_core.errors import UserError

if TYPE_CHECKING:
    from steper_core.rundir import RunDir


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="steper")
def main() -> None:
    """Distil multi-step, retrieval-augmented reasoning into a small model, and see step by step whether it learned it.

    Start with `steper demo`. Then, on your own data: `collect` teacher chains, `train` a student on them, `evaluate`
    it, and read the result with `app`. Every command can be stopped and repeated: it goes on where it stopped.
    """


@main.command()
@recipe_options
@click.option("--no-app", is_flag=True, help="Stop before opening the dashboard.")
@port_option
def demo(
    recipe: str | None, overrides: tuple[str, ...], data: tuple[str, ...], runs: Path, no_app: bool, port: int
) -> None:
    """Run the main job: teacher chains, two students, six systems side by side, and the dashboard.

    \b
    steper demo                                  a generated world, about 10 minutes on 2 cores
    steper demo --data FOLDER                    official files of HotpotQA, 2WikiMultiHopQA or MuSiQue
    steper demo -s 'train.seeds=[0,1,2]'         three seeds of each student
    """
    from app.demo import run_demo

    with unfinished_stored(runs):
        run_demo(open_recipe(recipe, overrides, data), runs, database_url(runs), command_line(), Console())
    if not no_app:
        _serve(runs, port)


@main.command()
@recipe_options
@click.option("--name", required=True, help="Name of the run: a folder below --runs.")
@click.option("--chains", type=click.Path(path_type=Path), help="JSONL of chains made elsewhere, instead of a teacher.")
@click.option(
    "--from-run",
    callback=not_empty,
    help="An earlier collect run: its chains are filtered anew, and no teacher is asked.",
)
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    help="JSONL of `steper annotate export --steps`: chains with a step that people rejected are left out.",
)
def collect(
    recipe: str | None,
    overrides: tuple[str, ...],
    data: tuple[str, ...],
    runs: Path,
    name: str,
    chains: Path | None,
    from_run: str | None,
    labels: Path | None,
) -> None:
    """Let the teacher answer the training questions and keep the chains that pass the filters.

    \b
    steper collect --name gold -d FOLDER
    steper collect --name llama -d FOLDER -s teacher.backend=openai -s teacher.model=MODEL -s teacher.base_url=URL
    steper collect --name mine -d FOLDER --chains my_chains.jsonl
    steper collect --name better -d FOLDER --from-run llama --labels steps.jsonl
    """
    from app.collecting import collect as collect_run
    from app.step_filter import read_step_labels

    if chains and from_run:
        raise UserError("--chains and --from-run both say where the chains come from: give one of them")
    step_labels = read_step_labels(labels) if labels else None
    source = _collected_run(runs, from_run) if from_run else chains
    place = open_place(recipe, overrides, data, runs)
    with unfinished_stored(runs):
        store(collect_run(place, name, source, step_labels).path, runs)


def _collected_run(runs: Path, name: str) -> RunDir:
    from steper_core.training import require_collect_run

    run = find_run(runs, name)
    require_collect_run(run)
    return run


@main.command()
@recipe_options
@click.option("--name", required=True, help="Name of the run; with several seeds, -s0, -s1 ... follow it.")
@click.option("--teacher-run", required=True, help="The collect run whose kept chains to learn from.")
def train(
    recipe: str | None, overrides: tuple[str, ...], data: tuple[str, ...], runs: Path, name: str, teacher_run: str
) -> None:
    """Train a student on the kept chains of a collect run.

    \b
    steper train --name steper --teacher-run gold -d FOLDER -s train.method=steper -s train.weighting=learned
    """
    from app.training import train as train_run
    from steper_core.ranks import leave

    place = open_place(recipe, overrides, data, runs)
    settings = place.recipe.train
    # Before a run is opened: one that failed on another teacher's run would refuse to go on with the right one.
    taught = _collected_run(runs, teacher_run)
    for seed in settings.seeds:
        own_name = name if len(settings.seeds) == 1 else f"{name}-s{seed}"
        with unfinished_stored(runs):
            store(train_run(place, own_name, taught, settings, seed).path, runs)
    leave()


@main.command()
@recipe_options
@click.option("--name", required=True, help="Name of the run.")
@click.option(
    "--student",
    callback=not_empty,
    help="A training run: its best checkpoint is evaluated. Default: the recipe's student model.",
)
@click.option("--checkpoint", default="best", show_default=True, help="Of --student: best, all, or a training step.")
@click.option("--gold", is_flag=True, help="Evaluate the gold teacher: its gold recall is the ceiling.")
def evaluate(
    recipe: str | None,
    overrides: tuple[str, ...],
    data: tuple[str, ...],
    runs: Path,
    name: str,
    student: str | None,
    checkpoint: str,
    gold: bool,
) -> None:
    """Answer the evaluation questions with one system, and score every chain and step.

    \b
    steper evaluate --name eval-steper --student steper -d FOLDER
    steper evaluate --name eval-base -d FOLDER -s reasoning.framework=rag
    steper evaluate --name curve --student steper --checkpoint all -d FOLDER
    """
    from app.evaluating import evaluate as evaluate_run
    from app.evaluating import student_of
    from app.taught import taught_otherwise
    from app.workplace import datasets_of
    from steper_core.config import ModelSection

    if gold and student:
        raise UserError("--gold evaluates the gold teacher, and --student a student: give one of them")
    if checkpoint != "best" and not student:
        raise UserError("--checkpoint is one of a training run: name it with --student")
    place = open_place(recipe, overrides, data, runs)
    own = place.recipe.student
    results = {}
    with unfinished_stored(runs):
        if gold or not student:
            model = ModelSection(backend="gold", model="gold") if gold else own
            method, seed = "gold" if gold else "base", place.recipe.seed
            results[name] = evaluate_run(place, name, model, place.recipe.reasoning, method=method, seed=seed)
        else:
            trained = find_run(runs, student)
            if otherwise := taught_otherwise(trained, runs, place.recipe):
                place.console.warn(otherwise)
            for step in _steps(trained, checkpoint):
                model, reference = student_of(trained, own, step)
                named = f"{name}-{reference.step}" if checkpoint == "all" else name
                info = trained.info
                results[named] = evaluate_run(
                    place,
                    named,
                    model,
                    place.recipe.reasoning,
                    method=info.method,
                    seed=info.seed,
                    checkpoint=reference,
                    base=info.model,
                )
    place.console.results(
        f"{datasets_of(place.material.evaluation)}: percent with 95 % intervals over questions",
        {label: run.info for label, run in results.items()},
    )
    for run in results.values():
        store(run.path, runs)


def _steps(trained: RunDir, checkpoint: str) -> list[int | None]:
    from steper_core.checkpoints import checkpoint_steps

    if checkpoint == "best":
        return [None]
    if checkpoint == "all":
        steps = checkpoint_steps(trained)
        if not steps:
            raise UserError(f"{trained.path} holds no checkpoints: name a training run that does, or train it again")
        return list(steps)
    if re.fullmatch("[0-9]{1,18}", checkpoint):
        return [int(checkpoint)]
    raise UserError(f"--checkpoint is best, all or a training step, not {checkpoint!r}")


@main.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False), required=False)
@runs_option
def ingest(folder: Path | None, runs: Path) -> None:
    """Bring the database up to date with all run directories below FOLDER (default: --runs).

    Repeating it changes nothing. A run that cannot be read keeps no other out; the command then ends with exit code 2.
    """
    from db import ingest_all, open_database

    console = Console()
    url = database_url(runs) if folder else existing_database_url(runs)
    folder = folder or runs
    outcomes = ingest_all(open_database(url), folder)
    for outcome in outcomes:
        if outcome.result is None:
            console.warn(f"{outcome.path}: {outcome.error}")
            continue
        added = outcome.result.added
        news = f"{added.chains:,} chains, {added.steps:,} steps and {added.scores:,} sets of scores added"
        console.say(f"{outcome.result.run}: {news if outcome.result.changed else 'up to date'}")
        for note in outcome.result.notes:
            console.warn(note)
    if not outcomes:
        console.warn(f"no run directory below {folder}: `steper demo` makes some")
    kept_out = sum(outcome.result is None for outcome in outcomes)
    if kept_out:
        raise UserError(f"{kept_out} of {len(outcomes)} run directories kept out, as the warnings say")


@main.command()
@runs_option
@port_option
def app(runs: Path, port: int) -> None:
    """Open the dashboard at 127.0.0.1."""
    _serve(runs, port)


@main.group()
def data() -> None:
    """Look at datasets, or generate one."""


@data.command()
@click.argument("sources", nargs=-1, required=True)
def describe(sources: tuple[str, ...]) -> None:
    """Say what files, folders or hub:NAME hold: questions by kind and hops, passages, rows at fault."""
    from app.describe import describe_sources

    describe_sources(sources, Console())


@data.command("generate")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option("--set", "-s", "overrides", multiple=True, metavar="KEY=VALUE", help="For example worlds.passages=2000.")
@click.option("--force", is_flag=True, help="Write over files of these names.")
def generate_world(out: Path, overrides: tuple[str, ...], force: bool) -> None:
    """Write a generated world: corpus.jsonl, train.jsonl, held_out.jsonl, test.jsonl. Same settings, same bytes."""
    from steper_core.config import load_recipe
    from steper_core.worlds import FILES, generate, write

    there = [name for name in FILES if (out / name).exists()]
    if there and not force:
        raise UserError(f"{out} holds {', '.join(there)} already: give another folder, or --force to write over it")
    world = generate(load_recipe("demo", overrides).worlds)
    write(world, out)
    asked = len(world.train) + len(world.held_out) + len(world.test)
    Console().say(f"{out}: {len(world.passages):,} passages, {asked:,} questions")


@main.command()
@click.argument("name", required=False)
def recipes(name: str | None) -> None:
    """List the built-in recipes, or print one as a TOML file to copy, with all settings and what they mean."""
    from steper_core.config import RECIPES, load_recipe
    from steper_core.recipe_text import recipe_text

    console = Console()
    if name is None:
        for known in RECIPES.names():
            console.say(known)
        return
    click.echo(recipe_text(load_recipe(name)), nl=False)


@main.group()
def db() -> None:
    """Look after the database."""


@db.command()
@runs_option
def info(runs: Path) -> None:
    """Say where the database is, its version and how much it holds."""
    from db import database_facts, open_database

    facts = database_facts(open_database(existing_database_url(runs)))
    console = Console()
    console.say(f"{facts.url}, schema {facts.schema}" + (f", {facts.size / 1e6:.1f} MB" if facts.size else ""))
    for table, count in facts.rows.items():
        console.say(f"{table}: {count:,}")


@db.command()
@runs_option
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def backup(runs: Path, file: Path) -> None:
    """Copy the database, people's labels and all, to a new FILE, while others may be using it."""
    from db import back_up

    back_up(existing_database_url(runs), file)
    Console().say(f"{file}: {file.stat().st_size / 1e6:.1f} MB")


@db.command()
@runs_option
@click.argument("name")
@click.confirmation_option(prompt="Delete this run from the database (its folder stays)?")
def forget(runs: Path, name: str) -> None:
    """Delete a run from the database. Its folder stays, and `steper ingest` brings it back."""
    from db import RunFilter, delete_run, list_runs, open_database

    engine = open_database(existing_database_url(runs))
    found = [run for run in list_runs(engine, RunFilter(text=name)) if run.name == name]
    if not found:
        raise UserError(f"the database holds no run named {name!r}")
    for run in found:
        delete_run(engine, run.id)
    Console().say(f"{name}: deleted")


def _serve(runs: Path, port: int) -> None:
    command = [sys.executable, "-m", "app.serve", "--server.address=127.0.0.1"]
    options = [f"--server.port={port}", "--server.headless=true", "--browser.gatherUsageStats=false"]
    Console().say(f"dashboard: http://127.0.0.1:{port}  (stop it with Ctrl+C)")
    environment = {**os.environ, "STEPER_DATABASE_URL": database_url(runs)}
    code = subprocess.run([*command, *options], check=False, env=environment).returncode
    if code not in (0, -signal.SIGINT):
        # Ended by a signal counts from 128 on, as in a shell.
        sys.exit(code if code > 0 else 128 - code)


for command in (
    commands_agreement.agreement,
    commands_annotate.annotate,
    commands_compare.compare,
    commands_compare.rescore,
    commands_judge.judge,
    commands_judge.rubrics,
    commands_report.report,
    commands_score.score,
    commands_score.export,
    commands_soft_targets.soft_targets,
    commands_study.study,
):
    main.add_command(command)
