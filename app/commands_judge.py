"""`steper judge` and `steper rubrics`: chains before a judge."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import click

from app.console import Console
from app.options import command_line, find_run, not_empty, run_path, runs_option, store, unfinished_stored
from steper_core.errors import UserError

_SEVERAL_VOTES_TEMPERATURE = 0.7


@click.command()
@click.argument("run")
@click.option("--rubric", required=True, help="A built-in rubric or a TOML file. See `steper rubrics`.")
@click.option("--model", required=True, help="What the server calls its model.")
@click.option("--base-url", help="Of an OpenAI-compatible server. Default: OPENAI_BASE_URL, else OpenAI's own.")
@click.option("--votes", type=click.IntRange(min=1), default=1, show_default=True, help="Votes on each thing.")
@click.option("--concurrency", type=click.IntRange(1, 512), default=16, show_default=True, help="Calls at once.")
@click.option("--limit", type=click.IntRange(min=1), help="Judge only the first so many questions of the run.")
@click.option("--against", callback=not_empty, help="The other run, for a rubric that compares two.")
@click.option("--temperature", type=click.FloatRange(0, 2), help="Default: 0, or 0.7 with several votes.")
@click.option(
    "--max-tokens",
    type=click.IntRange(min=16),
    default=1024,
    show_default=True,
    help="Longest answer, thoughts included.",
)
@click.option(
    "--timeout", type=click.IntRange(min=1), default=300, show_default=True, help="Seconds to wait for an answer."
)
@click.option("--prices", type=click.Path(path_type=Path), help="TOML table of prices. Default: the package's.")
@click.option(
    "--name", callback=not_empty, help="Name of the judge's run: a folder below --runs. Default: made of the above."
)
@click.option("--yes", is_flag=True, help="Do not ask before calls are made.")
@runs_option
def judge(
    run: str,
    rubric: str,
    model: str,
    base_url: str | None,
    votes: int,
    concurrency: int,
    limit: int | None,
    against: str | None,
    temperature: float | None,
    max_tokens: int,
    timeout: int,
    prices: Path | None,
    name: str | None,
    yes: bool,
    runs: Path,
) -> None:
    """Let a model judge the chains of RUN by a rubric. The key comes from OPENAI_API_KEY and is stored nowhere.

    \b
    steper judge eval-steper --rubric abilities --model gpt-4o
    steper judge eval-steper --rubric steps --model qwen --base-url http://127.0.0.1:8000/v1 --votes 3
    steper judge eval-steper --rubric pairwise --against eval-vanilla --model gpt-4o

    It says how many calls, tokens and dollars it takes before it begins. Stop it whenever you like: the same command
    goes on, and no answer is asked for twice. Calls that failed for good are asked for again.
    """
    from app.judging import CACHE_FOLDER, Order, default_name, judge_run
    from evaluators.judge_server import JudgeServer, JudgeSettings
    from evaluators.prices import price_of
    from evaluators.rubric import load_rubric

    if not model.isprintable():
        raise UserError(f"--model: {model!r} is no name of a model")
    if base_url == "":
        raise UserError("--base-url is empty: give the address of a server, or leave the option out for OpenAI's own")
    if temperature is not None and math.isnan(temperature):
        raise UserError("--temperature: nan is no temperature; give a number from 0 to 2")
    if temperature is None:
        temperature = _SEVERAL_VOTES_TEMPERATURE if votes > 1 else 0.0
    judged, rival = find_run(runs, run), find_run(runs, against) if against else None
    asked = load_rubric(rubric)
    server = JudgeServer(
        model, base_url=base_url, settings=JudgeSettings(temperature, max_tokens), timeout=float(timeout)
    )
    order = Order(
        run=judged,
        rubric=asked,
        server=server,
        path=run_path(
            runs, name or default_name(judged.path.name, asked.name, model, rival.path.name if rival else None)
        ),
        cache=runs / CACHE_FOLDER,
        against=rival,
        votes=votes,
        limit=limit,
        concurrency=concurrency,
        price=price_of(model, prices),
        command=command_line(),
    )
    console = Console()
    if votes > 1 and temperature == 0:
        console.warn("at temperature 0 all votes are copies of one")
    with unfinished_stored(runs):
        done = judge_run(order, console, lambda question: yes or _asked(question))
    if done is None:
        console.say("nothing was called")
        return
    for path in (judged.path, done.path):
        store(path, runs)


@click.command()
@click.argument("name", required=False)
def rubrics(name: str | None) -> None:
    """List the built-in rubrics, print the file of one (a start for your own), or check a file of your own."""
    from evaluators.rubric import RUBRICS, load_rubric

    console = Console()
    if name in RUBRICS.names():
        console.say(RUBRICS.text(name).rstrip())
        return
    for rubric in map(load_rubric, [name] if name else RUBRICS.names()):
        console.say(f"{rubric.name} {rubric.version} ({rubric.scope}): {rubric.summary}")


def _asked(question: str) -> bool:
    try:
        return click.confirm(question)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        raise UserError("nobody is there to confirm the calls; --yes makes them without asking") from None
