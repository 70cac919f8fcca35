"""`steper agreement`: how far judges, or the votes of one judge, say the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.console import Console
from app.formats import coefficient
from app.options import find_run, runs_option
from app.settings import existing_database_url
from steper_core.errors import UserError

if TYPE_CHECKING:
    from evaluators.agreement import Agreement, AgreementReport, Labels, Level, Measures, Unit
    from steper_core.records import Judgement
    from steper_core.rundir import RunDir


@click.command()
@click.argument("names", metavar="[JUDGE_RUN]...", nargs=-1)
@click.option("--project", help="A labelling project: people with each other, judges and metrics with people.")
@runs_option
def agreement(names: tuple[str, ...], project: str | None, runs: Path) -> None:
    """Agreement of several judge runs, of the votes within one, or of the people of a labelling project.

    \b
    steper agreement judge-a                 vote against vote
    steper agreement judge-a judge-b         judge against judge, each by the majority of its votes
    steper agreement --project first         person against person, judges and metrics against people
    """
    from evaluators.agreement import agree
    from evaluators.rubric import RI, SQA

    if project is not None:
        if names:
            raise UserError(
                "--project takes no judge runs: those that judged the project's runs are found by themselves"
            )
        _print_project(Console(), project, runs)
        return
    if not names:
        raise UserError("name a judge run, or a labelling project with --project")
    found = [find_run(runs, name) for name in dict.fromkeys(names)]
    _check(found)
    ratings = _by_vote(found[0].judgements()) if len(found) == 1 else _by_judge(found)
    if len(ratings) < 2:
        raise UserError(f"{names[0]} has one vote on each thing; name a second judge run, or judge with --votes 3")
    verdicts = {verdict for labels in ratings.values() for _, _, verdict in labels}
    given = _of_verdicts(ratings, verdicts - {SQA, RI})
    computed = {name: _of_verdicts(ratings, {name}) for name in (SQA, RI) if name in verdicts}
    _print(
        Console(),
        agree(given, level=level_of(given)),
        {name: agree(own, level=level_of(own)) for name, own in computed.items()},
    )


def _print_project(console: Console, name: str, runs: Path) -> None:
    from app.agreeing import TAG, findings, gather, subjects
    from app.annotation_projects import found_project
    from app.plain import plain
    from db import open_database

    engine = open_database(existing_database_url(runs))
    project = found_project(engine, name)
    if not project.submitted:
        raise UserError(f"nobody has submitted an item of {name!r} yet: agreement begins with the first ones")
    material = gather(engine, project.id)
    unused = []
    for subject, title in subjects(material.rubric).items():
        found = findings(material, subject)
        if subject.startswith(TAG) and not any(given for labels in found.ratings.values() for given in labels.values()):
            unused.append(title)
            continue
        rows = [["all people", *_measures(found.people.overall.raw, found.people.overall.alpha, None)]]
        rows += [
            [f"  {ability}", *_measures(measures.raw, measures.alpha, None)]
            for ability, measures in found.people.by_ability.items()
        ]
        rows += [
            [f"{pair.first} and {pair.second}", *_measures(pair.raw, None, pair.kappa)]
            for pair in found.people.overall.pairs
        ]
        for machine in found.machines:
            rows += [
                [f"  {ability}" if ability else machine.name, *_measures(pair.raw, None, pair.kappa)]
                for ability, pair in machine.against.items()
            ]
        console.table(f"{title}: with 95 % intervals over questions", ["", "equal", "alpha", "kappa", "n"], rows)
        for machine in found.machines:
            for said in machine.sentences:
                console.say(plain(said))
    if unused:
        console.say(f"given by nobody: {', '.join(unused)}")


def _measures(raw: Agreement, alpha: Agreement | None, kappa: Agreement | None) -> list[str]:
    return [coefficient(raw), coefficient(alpha) if alpha else "", coefficient(kappa) if kappa else "", str(raw.units)]


def level_of(ratings: Mapping[str, Labels]) -> Level:
    """Yes and no have no order; more labels than two are taken for a scale."""
    return "nominal" if {label for labels in ratings.values() for label in labels.values()} <= {0.0, 1.0} else "ordinal"


def _check(found: list[RunDir]) -> None:
    infos = [run.info for run in found]
    for info in infos:
        if info.kind != "judge":
            raise UserError(f"{info.name} is a {info.kind.value} run; agreement is among judge runs")
    if len({info.judged for info in infos}) > 1:
        raise UserError(f"{', '.join(info.name for info in infos)} judged different runs: nothing is rated by two")


def _by_vote(judgements: Iterable[Judgement]) -> dict[str, dict[Unit, float]]:
    ratings: dict[str, dict[Unit, float]] = {}
    for judgement in judgements:
        labels = ratings.setdefault(f"vote {judgement.vote}", {})
        labels.update({_unit(judgement, name): value for name, value in judgement.verdicts.items()})
    return ratings


def _by_judge(found: list[RunDir]) -> dict[str, dict[Unit, float]]:
    """The label that most votes of a judge gave; where two lead, the judge gives none."""
    from evaluators.judge_scores import latest

    ratings: dict[str, dict[Unit, float]] = {}
    for run in found:
        votes: dict[Unit, Counter[float]] = {}
        for judgement in latest(run.judgements()):
            for name, value in judgement.verdicts.items():
                votes.setdefault(_unit(judgement, name), Counter())[value] += 1
        leaders = {unit: counts.most_common(2) for unit, counts in votes.items()}
        ratings[run.info.name] = {
            unit: lead[0][0] for unit, lead in leaders.items() if len(lead) == 1 or lead[0][1] > lead[1][1]
        }
    return ratings


def _of_verdicts(ratings: Mapping[str, Labels], verdicts: Collection[str]) -> dict[str, Labels]:
    return {
        rater: {unit: label for unit, label in labels.items() if unit[2] in verdicts}
        for rater, labels in ratings.items()
    }


def _unit(judgement: Judgement, verdict: str) -> Unit:
    """What was rated; a pair of chains in each order is a thing of its own."""
    about = f"{verdict} ({judgement.order})" if judgement.order else verdict
    return judgement.question_id, judgement.step or 0, about


def _print(console: Console, report: AgreementReport, computed: Mapping[str, AgreementReport]) -> None:
    """Print agreement; what is computed from the labels says nothing that they do not and has only lines of its own."""
    console.say(f"{len(report.raters)} raters: {', '.join(report.raters)}; labels taken as {report.level}")
    rows = [_row("all", report.overall)]
    if len(report.by_ability) > 1:
        rows += [_row(verdict, measures) for verdict, measures in report.by_ability.items()]
    rows += [_row(f"{name} (computed, {own.level})", own.overall) for name, own in computed.items()]
    console.table(
        "agreement, with 95 % intervals over questions", ["verdict", "raw", "Krippendorff's alpha", "n"], rows
    )
    for pair in report.overall.pairs:
        console.say(
            f"{pair.first} against {pair.second}: raw {coefficient(pair.raw)}, "
            f"Cohen's kappa {coefficient(pair.kappa)}; rows are the labels of {pair.first}"
        )
        console.table(
            "",
            ["label", *(f"{label:g}" for label in pair.confusion.labels)],
            [
                [f"{label:g}", *(str(cell.count) for cell in cells)]
                for label, cells in zip(pair.confusion.labels, pair.confusion.cells, strict=True)
            ],
        )


def _row(name: str, measures: Measures) -> list[str]:
    return [name, coefficient(measures.raw), coefficient(measures.alpha), str(measures.raw.units)]
