"""What the commands share: options, the way from a recipe to a workplace, and how a user's mistake ends."""

from __future__ import annotations

import io
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from app.console import Console
from app.plain import plain
from app.settings import database_url
from steper_core.errors import UserError

if TYPE_CHECKING:
    from app.workplace import Workplace
    from db.queries_texts import Database
    from steper_core.config import Recipe
    from steper_core.rundir import RunDir

Command = TypeVar("Command", bound=Callable[..., Any])


class Group(click.Group):
    """Turns a UserError into one line and exit code 2, and an interrupt into a line on how to go on."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        for stream in (sys.stdout, sys.stderr):
            # Where a terminal cannot show a letter, the rest of the line is still worth reading.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        try:
            return super().invoke(ctx)
        except UserError as error:
            click.echo(f"steper: {plain(str(error))}", err=True)
            ctx.exit(2)
        except OSError as error:
            # A full disk, a name too long, a folder where a file should be: the place tells more than a trace.
            place = f"{error.filename}: " if error.filename else ""
            click.echo(f"steper: {place}{error.strerror or error}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("\nstopped; everything finished is kept, and the same command continues", err=True)
            ctx.exit(130)


def not_empty(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A value as it is; an empty one is a variable of the shell that was not set, and not the option left out.

    Raises:
        UserError: it is empty.
    """
    if value is not None and not value.strip():
        raise UserError(f"{parameter.opts[0]} is empty: give a name, or leave the option out")
    return value


runs_option = click.option(
    "--runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), help="Folder of the runs."
)

port_option = click.option(
    "--port", type=click.IntRange(1, 65535), default=8501, show_default=True, help="Port of the dashboard."
)


def recipe_options(command: Command) -> Command:
    """--recipe, --set, --data and --runs."""
    options = (
        click.option(
            "--recipe",
            "-r",
            callback=not_empty,
            help="A built-in recipe or a TOML file (`steper recipes`). Default: demo; with --data: files.",
        ),
        click.option(
            "--set", "-s", "overrides", multiple=True, metavar="KEY=VALUE", help="For example train.epochs=3."
        ),
        click.option("--data", "-d", multiple=True, help="Files, folders or hub:NAME; default: the recipe's."),
        runs_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def open_recipe(name: str | None, overrides: tuple[str, ...], data: tuple[str, ...]) -> Recipe:
    """The recipe with its overrides; files given by --data take the recipe for files, unless another one is named."""
    from steper_core.config import load_recipe

    return load_recipe(name or ("files" if data else "demo"), (*data_overrides(data), *overrides))


def data_overrides(data: tuple[str, ...]) -> tuple[str, ...]:
    """What --data sets."""
    # A list of strings is the same in JSON and TOML, but for DEL, which TOML wants escaped.
    paths = json.dumps(data, ensure_ascii=False).replace("\x7f", "\\u007f")
    return (f"data.paths={paths}",) if data else ()


def open_place(recipe: str | None, overrides: tuple[str, ...], data: tuple[str, ...], runs: Path) -> Workplace:
    """Recipe, material and index: what collect, train and evaluate work with."""
    from app.workplace import open_workplace
    from steper_core.material import load_material

    console = Console()
    resolved = open_recipe(recipe, overrides, data)
    material = load_material(resolved)
    for remark in material.remarks:
        console.warn(remark)
    return open_workplace(resolved, material, runs, command_line(), console)


def find_run(runs: Path, name: str) -> RunDir:
    """The run directory of a name below `runs`, or of a path.

    Raises:
        UserError: there is none; the message lists the nearest names.
    """
    import difflib

    from steper_core.rundir import RunDir

    for path in (runs / name, Path(name)):
        if (path / "run.json").exists():
            return RunDir(path)
    known = sorted(file.parent.name for file in runs.glob("*/run.json"))
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known[:5]
    hint = f"; there are: {', '.join(near)}" if near else f"; {runs} holds no runs (see --runs)"
    raise UserError(f"no run named {name!r} below {runs}{hint}")


def stored_ids(engine: Database, runs: Path, names: Iterable[str]) -> tuple[int, ...]:
    """The runs of these names by their keys in the database, brought up to date there.

    Raises:
        UserError: there is no such run, or two names, such as those of a folder and its copy, are of one.
    """
    from db import ingest

    found: dict[int, str] = {}
    for name in dict.fromkeys(names):
        run_id = ingest(engine, find_run(runs, name).path).run_id
        if run_id in found:
            raise UserError(f"{found[run_id]} and {name} are the same run")
        found[run_id] = name
    return tuple(found)


def run_path(runs: Path, name: str) -> Path:
    """Where the run of a name lies: a folder right below `runs`.

    Raises:
        UserError: the name is none that a folder can have everywhere.
    """
    if not re.fullmatch(r"[^\W_][\w .+=,@-]{0,199}", name) or name.endswith((" ", ".")):
        raise UserError(f"{name!r} cannot name a run: take letters, digits, and . _ - between them, at most 200")
    return runs / name


def store(run: Path, runs: Path) -> None:
    """Bring the database up to date with one run."""
    from db import ingest, open_database
    from steper_core.ranks import rank

    if rank() == 0:
        ingest(open_database(database_url(runs)), run)


@contextmanager
def unfinished_stored(runs: Path) -> Iterator[None]:
    """What fails or is stopped in the block is in the database too, for the pages to say so."""
    from db import ingest_all, open_database
    from steper_core.ranks import rank

    try:
        yield
    except BaseException:
        # The first error is the one to tell.
        with suppress(Exception):
            if rank() == 0:
                ingest_all(open_database(database_url(runs)), runs)
        raise


def command_line() -> str:
    """The command as the user gave it, for the run's record; addresses in it without passwords and queries."""
    return shlex.join(["steper", *map(_without_secrets, sys.argv[1:])])


def _without_secrets(argument: str) -> str:
    before, scheme, address = argument.partition("://")
    if not scheme:
        return argument
    host, slash, path = re.split("[?#]", address, maxsplit=1)[0].partition("/")
    return f"{before}://{host.rpartition('@')[2]}{slash}{path}"
