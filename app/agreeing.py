"""People held against each other, and judges and metrics against people, on the items of a labelling project.

Only submitted labels count. What people agree on among themselves is the ceiling: nobody can ask more of a judge. A
decision is made with knowledge of the others' labels and is no part of that ceiling; it counts in the resolved labels,
which judges and metrics are held against.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.plain import told_apart
from app.standing import given_label
from app.tokens import ABILITIES
from app.versions import version_order
from db.annotation_views import ADJUDICATE, TAGS, LabelRow
from db.queries_annotations import labels, list_projects
from db.queries_people import ItemScore, ItemVote, item_abilities, item_scores, item_votes
from db.queries_texts import Database
from evaluators.agreement import AgreementReport, Labels, Level, PairAgreement, Unit, agree, agree_pair
from evaluators.label_rubric import LabelRubric, LabelVerdict, parse_label_rubric
from evaluators.people import GivenLabel, place_in, ratings_of, resolve, unit_of
from evaluators.replacement import Replacement, replacement, sentence
from steper_core.errors import UserError

RESOLVED = "people, resolved"
"""The rater that holds decisions and majorities."""

RESAMPLES = 2_000

TAG = "tag:"
"""Before the name of a tag where a verdict could stand too."""

METRICS: Mapping[str, tuple[str, ...]] = {"steps": ("sub_answer", "gold_passage"), "chain": ("em", "acc")}
"""Which scores speak of verdicts on steps and on the chain. They know yes and no: a verdict's best label is a yes."""


@dataclass(frozen=True)
class Material:
    """All that is known of a project's items: labels, the abilities of their steps, votes of judges, scores."""

    rubric: LabelRubric
    labels: tuple[LabelRow, ...]
    abilities: Mapping[tuple[int, int], str]
    votes: tuple[ItemVote, ...]
    scores: tuple[ItemScore, ...]


@dataclass(frozen=True)
class Machine:
    """A judge or a metric against people: with their resolved labels, and whether it can stand in for them.

    `against` is by ability, "" over all. `binary`: people's labels were taken as best or not for it.
    """

    name: str
    kind: str
    binary: bool
    against: dict[str, PairAgreement]
    replacements: dict[str, Replacement]
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Findings:
    """Agreement on one verdict or tag. `ratings` are the raters of the people's table, RESOLVED and machines beside."""

    subject: str
    level: Level
    people: AgreementReport
    machines: tuple[Machine, ...]
    ratings: Mapping[str, Labels]


def gather(engine: Database, project_id: int) -> Material:
    """Read all that is known of a project's items.

    Raises:
        UserError: there is no such project.
    """
    project = next((each for each in list_projects(engine) if each.id == project_id), None)
    if project is None:
        raise UserError(f"there is no project {project_id}")
    names = tuple(name for names in METRICS.values() for name in names)
    return Material(
        rubric=parse_label_rubric(project.rubric),
        labels=labels(engine, project_id),
        abilities=item_abilities(engine, project_id),
        votes=item_votes(engine, project_id),
        scores=item_scores(engine, project_id, names),
    )


def subjects(rubric: LabelRubric) -> dict[str, str]:
    """What agreement can be about, with its title: the rubric's verdicts and tags."""
    of_steps = {verdict.name: verdict.name.replace("_", " ") for verdict in rubric.verdicts}
    return of_steps | {f"{TAG}{tag.name}": f"tag {tag.name.replace('_', ' ')}" for tag in rubric.tags}


def findings(material: Material, subject: str) -> Findings:
    """Who agrees with whom on a verdict or a tag (`tag:NAME`).

    Thirty intervals stand on a page that is drawn anew with every label: each rests on RESAMPLES draws.
    """
    verdict = material.rubric.verdict(subject)
    given = _given(material, subject)
    people = ratings_of(given, subject)
    resolved = _resolved(given)
    level = material.rubric.level(subject)
    machines = [
        *(_judge(name, own, people, resolved, level) for name, own in _judged(material, subject, verdict).items()),
        *(
            _metric(name, own, people, resolved, verdict)
            for name, own in _measured(material, verdict).items()
            if verdict is not None
        ),
    ]
    sides = {machine.name: own for machine, own in machines}
    return Findings(
        subject=subject,
        level=level,
        people=agree(people, level=level, resamples=RESAMPLES),
        machines=tuple(machine for machine, _ in machines),
        ratings={**people, RESOLVED: resolved, **sides},
    )


def _given(material: Material, subject: str) -> list[GivenLabel]:
    """The labels on a subject; of a tag, for each step that a person labelled in any way, whether they gave it.

    An adjudicator decides what people differ on and starts from a blank card: to touch no tag is to decide none.
    """
    tag = subject.removeprefix(TAG) if subject.startswith(TAG) else None
    if tag is None:
        return [
            _label(material, row, subject, float(row.value))
            for row in material.labels
            if row.field == subject and isinstance(row.value, int | float)
        ]
    places: dict[tuple[int, int, str, str], tuple[LabelRow, bool]] = {}
    for row in material.labels:
        if row.number and (row.role != ADJUDICATE or row.field == TAGS):
            key = (row.item_id, row.number, row.annotator, row.role)
            has = row.field == TAGS and isinstance(row.value, tuple) and tag in row.value
            places[key] = (row, has or (key in places and places[key][1]))
    return [_label(material, row, subject, float(has)) for row, has in places.values()]


def _label(material: Material, row: LabelRow, field: str, value: float) -> GivenLabel:
    return given_label(row, field, value, material.abilities.get((row.item_id, row.number), ""))


def _resolved(given: Sequence[GivenLabel]) -> dict[Unit, float]:
    units = {label.place: unit_of(label.question, label.item, label.number, label.ability) for label in given}
    return {units[place]: value for place, value in resolve(given).items()}


def _judged(material: Material, subject: str, verdict: LabelVerdict | None) -> dict[str, dict[tuple[int, int], float]]:
    """What judges gave on the subject, by the majority of each run's votes; runs of one name are told apart.

    A judge of other values is none of it, nor is, for a tag, one that gives no tag of the rubric: it was not asked.
    """
    tags = {tag.name for tag in material.rubric.tags}
    tagging = {vote.judge_uid for vote in material.votes if tags.intersection(vote.tags)}
    ballots: defaultdict[str, defaultdict[tuple[int, int], Counter[float]]] = defaultdict(lambda: defaultdict(Counter))
    for vote in material.votes:
        value = _value_of(vote, subject, verdict)
        if value is not None and (verdict is not None or vote.judge_uid in tagging):
            ballots[vote.judge_uid][vote.item_id, vote.number][value] += 1
    names = {vote.judge_uid: vote.judge_run for vote in material.votes}
    shown = told_apart([names[uid] for uid in ballots], [f" ({uid[:8]})" for uid in ballots])
    return {
        name: {place: value for place, votes in own.items() if (value := _leading(votes)) is not None}
        for name, own in zip(shown, ballots.values(), strict=True)
    }


def _value_of(vote: ItemVote, subject: str, verdict: LabelVerdict | None) -> float | None:
    if verdict is None:
        return float(subject.removeprefix(TAG) in vote.tags) if vote.number else None
    value = vote.verdicts.get(subject)
    return value if value is not None and verdict.label_of(value) is not None else None


def _leading(votes: Counter[float]) -> float | None:
    (value, most), *others = votes.most_common(2)
    return None if others and others[0][1] == most else value


def _measured(material: Material, verdict: LabelVerdict | None) -> dict[str, dict[tuple[int, int], float]]:
    if verdict is None:
        return {}
    of_steps = verdict in material.rubric.steps
    names = METRICS["steps" if of_steps else "chain"]
    newest: dict[tuple[str, int, int], ItemScore] = {}
    for score in sorted(material.scores, key=version_order):
        newest[score.name, score.item_id, score.number] = score
    found: dict[str, dict[tuple[int, int], float]] = {name: {} for name in names}
    for score in newest.values():
        if score.name in found and bool(score.number) == of_steps and score.value is not None:
            found[score.name][score.item_id, score.number] = float(score.value >= 0.5)
    return {name: values for name, values in found.items() if values}


def _judge(
    name: str,
    own: Mapping[tuple[int, int], float],
    people: Mapping[str, Labels],
    resolved: Labels,
    level: Level,
) -> tuple[Machine, Labels]:
    labels = _placed(own, people, resolved)
    return _machine(f"judge {name}", "judge", False, people, resolved, labels, level), labels


def _metric(
    name: str,
    own: Mapping[tuple[int, int], float],
    people: Mapping[str, Labels],
    resolved: Labels,
    verdict: LabelVerdict,
) -> tuple[Machine, Labels]:
    best = max(label.value for label in verdict.labels)
    ceiling = {person: _as_best(labels, best) for person, labels in people.items()}
    decided = _as_best(resolved, best)
    labels = _placed(own, ceiling, decided)
    return _machine(f"metric {name}", "metric", True, ceiling, decided, labels, "nominal"), labels


def _machine(
    name: str,
    kind: str,
    binary: bool,
    people: Mapping[str, Labels],
    resolved: Labels,
    labels: Labels,
    level: Level,
) -> Machine:
    groups = ["", *(ability for ability in ABILITIES if any(unit[2] == ability for unit in labels))]
    against, replaced, said = {}, {}, []
    for group in groups:
        own = _of(labels, group)
        sides = {RESOLVED: _of(resolved, group), name: own}
        against[group] = agree_pair(RESOLVED, name, sides, level=level, resamples=RESAMPLES)
        replaced[group] = replacement(
            {person: _of(each, group) for person, each in people.items()}, own, resamples=RESAMPLES
        )
        said.append(sentence(replaced[group], f"{name}", f"{group} steps" if group else "all labels"))
    return Machine(name, kind, binary, against, replaced, tuple(said))


def _of(labels: Labels, ability: str) -> Labels:
    return {unit: value for unit, value in labels.items() if not ability or unit[2] == ability}


def _as_best(labels: Labels, best: float) -> dict[Unit, float]:
    return {unit: float(value == best) for unit, value in labels.items()}


def _placed(own: Mapping[tuple[int, int], float], people: Mapping[str, Labels], resolved: Labels) -> dict[Unit, float]:
    """A machine's labels on the units that people labelled."""
    units: Iterable[Unit] = dict.fromkeys([*resolved, *(unit for labels in people.values() for unit in labels)])
    return {unit: own[place] for unit in units if (place := place_in(unit)) in own}
