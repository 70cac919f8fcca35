"""`steper score` and `steper export`: any system's predictions by the datasets' own rules, with no database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.console import Console
from app.files import write_whole
from app.options import find_run, runs_option
from app.plain import plain
from evaluators.export import FORMATS, UNSCORED, export_answers
from steper_core.errors import UserError

if TYPE_CHECKING:
    from evaluators.official import FileScore
    from steper_core.rundir import RunDir

_PROBLEMS_SHOWN = 10
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("predictions", type=_FILE)
@click.option("--gold", required=True, type=_FILE, help="The dataset's own file, or our questions as JSONL.")
@click.option("--aliases", type=_FILE, help="The alias file of 2WikiMultiHopQA.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object of fractions, and nothing else.")
def score(predictions: Path, gold: Path, aliases: Path | None, as_json: bool) -> None:
    """Score a file of predictions by the rules of the gold file's dataset, as the dataset's own script does.

    PREDICTIONS are in the format of HotpotQA, 2WikiMultiHopQA or MuSiQue, or JSON lines of {id, prediction}. A missing
    prediction counts 0; what the file holds nothing of is left out. Remarks go to stderr.

    \b
    steper score predictions.json --gold hotpot_dev_distractor_v1.json
    steper score predictions.json --gold dev.json --aliases id_aliases.json --json
    """
    from evaluators.golds import read_aliases, read_golds
    from evaluators.official import score_file
    from evaluators.predictions import read_predictions

    known, alias_problems = read_aliases(aliases) if aliases else (None, ())
    gold_file = read_golds(gold, known)
    said = read_predictions(predictions)
    result = score_file(gold_file, said)
    for problems in (alias_problems, gold_file.problems, said.problems):
        _warn_of_rows(problems, "left out")
    _warn_of_rows(result.problems, "counted 0")
    if gold_file.unanswerable:
        _warn(f"{gold}: {len(gold_file.unanswerable):,} unanswerable questions are not scored, as in MuSiQue's script")
    if aliases is None and any(each.evidence is not None for each in gold_file.golds):
        _warn("without --aliases only the main answer and names of 2WikiMultiHopQA count as right")
    for group, reason in result.unscored.items():
        _warn(f"{group}_* unscored: {reason}")
    for words, count in result.missing.items():
        if count:
            _warn(f"{count:,} of {result.questions:,} questions have no {words} predicted: counted 0")
    if result.unknown:
        _warn(f"{result.unknown:,} predicted ids are of no question in {gold}: left out")
    if as_json:
        click.echo(json.dumps({name: figure.mean for name, figure in result.figures.items()}))
    else:
        Console().say(f"{predictions} against {gold}")
        _print_table(result, at_fault=len(said.problems) + len(result.problems))


@click.command()
@click.argument("run")
@click.option("--format", "file_format", required=True, type=click.Choice(FORMATS), help="Whose script will score it.")
@click.option("--out", type=_FILE, help="File to write (default: standard output).")
@click.option(
    "--gold", type=_FILE, help="Write the questions of this file, in its order, as MuSiQue's script needs it."
)
@runs_option
def export(run: str, file_format: str, out: Path | None, gold: Path | None, runs: Path) -> None:
    """Write a run's answers as a prediction file that a dataset's own script, and `steper score`, can score.

    RUN is a name below --runs, or a path. What chains do not hold (supporting sentences, triples, paragraph numbers) is
    written empty and named on stderr: the figures of it mean nothing.

    \b
    steper export --format hotpotqa eval-steper --out predictions.json
    steper export --format musique eval-steper --gold musique_ans_v1.0_dev.jsonl --out predictions.jsonl
    """
    found = find_run(runs, run)
    said = _answers_of(found)
    questions = _questions_of(found, gold) or list(said)
    text = export_answers({identity: said.get(identity, "") for identity in questions}, file_format)
    if out is None:
        click.echo(text, nl=False)
    else:
        write_whole(out, text)
    _warn(f"unscored, since chains hold none and they are written empty: {UNSCORED[file_format]}")
    without_answer = sum(identity not in said for identity in questions)
    if without_answer:
        _warn(f"{without_answer:,} of {len(questions):,} questions have no chain: their answers are written empty")
    elsewhere = len(said.keys() - set(questions))
    if elsewhere:
        _warn(f"{elsewhere:,} chains are of questions that {gold} does not hold: left out")
    if file_format == "musique" and gold is None:
        _warn("MuSiQue's own script compares line by line: give --gold FILE to write the questions in its order")


def _answers_of(run: RunDir) -> dict[str, str]:
    """The answer of each chain of a run, kept or rejected, by question id; "" for none."""
    chains = [*(entry.chain for entry in run.rejected()), *run.chains()]
    if not chains:
        raise UserError(f"{run.path} holds no chains: export a run of `steper evaluate` or `steper collect`")
    return {chain.question_id: chain.answer or "" for chain in chains}


def _questions_of(run: RunDir, gold: Path | None) -> list[str]:
    """The ids of the questions to write, in order: those of the gold file, else those the run asks."""
    from evaluators.golds import read_golds

    if gold is None:
        return [question.id for question in run.questions()]
    gold_file = read_golds(gold)
    _warn_of_rows(gold_file.problems, "left out")
    return [each.id for each in gold_file.golds]


def _print_table(result: FileScore, *, at_fault: int) -> None:
    rows = [
        [name, f"{100 * figure.mean:.2f}", f"{figure.n:,}"]
        for name, figure in result.figures.items()
        if figure.mean is not None
    ]
    console = Console()
    console.table("", ["figure", "percent", "n"], rows)
    parts = [f"{result.questions:,} questions", f"{result.missing['answer']:,} without a prediction"]
    parts += [f"{result.unknown:,} predictions for unknown ids", f"{at_fault:,} predictions at fault"]
    console.say(", ".join(parts))


def _warn_of_rows(problems: Sequence[str], outcome: str) -> None:
    for problem in problems[:_PROBLEMS_SHOWN]:
        _warn(f"{problem} ({outcome})")
    if len(problems) > _PROBLEMS_SHOWN:
        _warn(f"{len(problems) - _PROBLEMS_SHOWN:,} more rows {outcome}")


def _warn(text: str) -> None:
    click.echo(f"! {plain(text)}", err=True)
