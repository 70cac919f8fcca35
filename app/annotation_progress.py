"""How a labelling project stands, printed: people, pace, control accuracy, agreement, and where people differ."""

from __future__ import annotations

from collections.abc import Sequence

from app.console import Console
from app.formats import coefficient
from app.plain import one_line
from app.standing import Agreed, given_labels, left, seconds_left, standing
from db.annotation_views import ProgressRow, ProjectRow
from db.queries import list_runs
from db.queries_annotations import labels
from db.queries_texts import Database
from evaluators.label_rubric import parse_label_rubric
from evaluators.people import Proportion, disagreements


def print_project(console: Console, engine: Database, project: ProjectRow) -> None:
    """Print a project's settings, progress, control accuracy and agreement."""
    rubric, found = parse_label_rubric(project.rubric), standing(engine, project)
    console.say(
        f"{one_line(project.name)}: {rubric.name} {rubric.version}, {project.items} items for {project.overlap} each"
        f"{f', {project.controls} controls for everyone' if project.controls else ''}, "
        f"{'blind' if project.blind else 'open'}{', closed' if project.closed else ''}"
    )
    console.say(_left(project, found.people))
    if not found.people:
        return
    console.table(
        "people (pace: submitted items an hour of active time)",
        ["person", "submitted", "skipped", "held", "items/h", "median s", "controls right", "last active"],
        [_person(row, found.accuracy.get(row.annotator)) for row in found.people],
    )
    _print_agreement(console, found.agreed)
    if project.disputed:
        console.say(f"items on which people differ: {project.disputed} (`steper annotate disagreements`)")


def print_disagreements(console: Console, engine: Database, project: ProjectRow, limit: int | None) -> None:
    """Print the places where people differ, the widest first; all of them, or so many."""
    rubric = parse_label_rubric(project.rubric)
    rows = labels(engine, project.id)
    chains = {row.item_id: (row.question_key, row.run_uid) for row in rows}
    found = disagreements(given_labels(rows, rubric))
    if not found:
        console.say("people differ nowhere so far")
        return
    names = {run.uid: run.name for run in list_runs(engine)}
    cells = []
    for each in found[:limit]:
        said = ", ".join(f"{one_line(who, 30)} {value:g}" for who, value in sorted(each.values.items()))
        question, run = chains[each.item]
        place = f"step {each.number}" if each.number else "chain"
        settled = "–" if each.adjudicated is None else f"{each.adjudicated:g}"
        name = one_line(names.get(run, run), 40)
        cells.append([one_line(question, 40), name, place, each.field, said, settled])
    console.table(
        f"places where people differ: {len(found)}",
        ["question", "run", "place", "verdict", "said", "adjudicated"],
        cells,
    )
    if len(found) > len(cells):
        console.say(f"and {len(found) - len(cells)} more (--all)")


def _left(project: ProjectRow, people: Sequence[ProgressRow]) -> str:
    wanted = project.items * project.overlap
    words = f"{project.submitted} of {wanted} labels of items submitted, {left(project)} left"
    seconds = seconds_left(project, people)
    if seconds:
        minutes = seconds / 60
        time = f"{minutes / 60:.1f} hours" if minutes >= 90 else f"{max(1, round(minutes))} min"
        words += f" (about {time} of active time at the pace so far)"
    return words


def _person(row: ProgressRow, accuracy: Proportion | None) -> list[str]:
    pace = f"{row.timed / row.seconds * 3600:.0f}" if row.seconds else "–"
    return [
        one_line(row.annotator, 40),
        str(row.submitted),
        str(row.skipped),
        str(row.held),
        pace,
        "–" if row.median_seconds is None else f"{row.median_seconds:.0f}",
        _share(accuracy),
        "–" if row.last is None else f"{row.last:%Y-%m-%d %H:%M}",
    ]


def _share(share: Proportion | None) -> str:
    if share is None or share.low is None or share.high is None:
        return "–"
    return f"{share.right}/{share.n} [{share.low * 100:.0f} %, {share.high * 100:.0f} %]"


def _print_agreement(console: Console, agreed: Sequence[Agreed]) -> None:
    if agreed:
        console.table(
            "agreement so far, with 95 % intervals over questions",
            ["verdict", "raw", "Krippendorff's alpha", "labelled by two or more"],
            [[each.verdict, coefficient(each.raw), coefficient(each.alpha), str(each.raw.units)] for each in agreed],
        )
