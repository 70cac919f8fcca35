"""Labels from a file into the database: exact authors, times and uids, so that importing twice changes nothing.

Each item is found by its run's uid and its question's key; a project that is not there is created. What does not fit is
left out and told with its line; all else comes in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from app.label_checks import LONGEST_NAME, person_of, why_unfit
from app.label_foreign import foreign_shares
from app.label_records import (
    ItemName,
    LabelChange,
    Problem,
    ProjectSettings,
    ReadLabels,
    ReadShare,
    Share,
)
from app.plain import one_line
from db.annotation_restore import restore
from db.annotation_views import LABEL, HistoryRow, ItemRow, NewItem, NewProject, ProjectRow, RestoredSlot
from db.annotations import add_items, close_project, create_project
from db.queries_annotations import get_project, item_rows
from db.queries_runs import list_runs
from db.queries_texts import ChainText, Database, chain_texts, question_ids_of
from evaluators.label_rubric import LabelRubric, parse_label_rubric
from steper_core.errors import UserError

_EVERY = 1_000_000
_LONGEST_REASON = 200
_Chain = tuple[str, str]
"""A run's uid and a question's key."""


@dataclass(frozen=True)
class ImportReport:
    """What an import did: how many changes were new, how many were there already, and what did not fit."""

    projects: tuple[str, ...]
    created: tuple[str, ...]
    items: int
    people: int
    changes: int
    known: int
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Wishes:
    """How a file is to be imported.

    `project` takes all labels into one project; `rubric` is that of projects to be created where the file has none;
    `run_ids` are where chains are looked for that a file of another tool names by their words.
    """

    project: str | None = None
    rubric: LabelRubric | None = None
    run_ids: tuple[int, ...] = ()


def import_labels(engine: Database, read: ReadLabels, wishes: Wishes = Wishes()) -> ImportReport:
    """Bring what was read from a file into the database.

    Raises:
        UserError: a project has to be created and there is no rubric for it, or none of its chains is stored.
    """
    problems = list(read.problems)
    shares = [
        *read.shares,
        *foreign_shares(engine, read.foreign, wishes.project, wishes.rubric, wishes.run_ids, problems),
    ]
    groups: defaultdict[str, list[ReadShare]] = defaultdict(list)
    for share in _named(shares, problems):
        groups[wishes.project or share.project].append(share)
    parts = [_take(engine, name, group, read, wishes, problems) for name, group in groups.items()]
    return ImportReport(
        projects=tuple(groups),
        created=tuple(part.project for part in parts if part.created),
        items=sum(part.items for part in parts),
        people=len({each.share.annotator for group in groups.values() for each in group}),
        changes=sum(part.changes for part in parts),
        known=sum(part.known for part in parts),
        # Reasons repeat what stands in the file, which may be long and hostile.
        problems=tuple(
            Problem(each.line, one_line(each.reason, _LONGEST_REASON))
            for each in sorted(problems, key=lambda problem: problem.line)
        ),
    )


@dataclass(frozen=True)
class _Part:
    """What came into one project."""

    project: str
    created: bool
    items: int
    changes: int
    known: int


def _take(
    engine: Database,
    name: str,
    group: Sequence[ReadShare],
    read: ReadLabels,
    wishes: Wishes,
    problems: list[Problem],
) -> _Part:
    listed = [pair for source in dict.fromkeys(each.project for each in group) for pair in read.items.get(source, ())]
    located = _locate(engine, [*(item for _, item in listed), *(each.share.item for each in group)])
    told = {each.share.item.chain for each in group}
    problems.extend(
        Problem(line, located.missing[item.chain])
        for line, item in listed
        if item.chain in located.missing and item.chain not in told
    )
    project, created, items = _open_project(engine, name, group, listed, located, read, wishes)
    rubric = parse_label_rubric(project.rubric)
    rows = {(row.run_uid, row.question_key): row for row in item_rows(engine, project.id, limit=_EVERY)}
    changes: list[HistoryRow] = []
    slots: list[RestoredSlot] = []
    for each in group:
        reason = _why_not_this_chain(each, located)
        if reason:
            problems.append(Problem(each.line, reason))
            continue
        row, steps = rows[each.share.item.chain], len(located.found[each.share.item.chain].steps)
        fitting = _fitting(rubric, steps, each, problems)
        changes += [_history_row(row, each.share, change) for change in fitting]
        slots.append(RestoredSlot(row.id, each.share.annotator, each.share.role, each.share.state))
    restored = restore(engine, project.id, changes, slots)
    if created and (settings := read.projects.get(group[0].project)) and settings.closed:
        close_project(engine, project.id, True)
    return _Part(name, created, items, restored.changes, len(changes) - restored.changes)


def _named(shares: Iterable[ReadShare], problems: list[Problem]) -> list[ReadShare]:
    """The shares with their people's names as they are stored."""
    kept = []
    for each in shares:
        person = person_of(each.share.annotator)
        if person is None:
            problems.append(Problem(each.line, f"a person's name has 1 to {LONGEST_NAME} characters"))
        else:
            kept.append(replace(each, share=replace(each.share, annotator=person)))
    return kept


def _fitting(rubric: LabelRubric, steps: int, each: ReadShare, problems: list[Problem]) -> list[LabelChange]:
    kept = []
    for line, change in zip(each.lines, each.share.changes, strict=True):
        reason = why_unfit(rubric, steps, change)
        if reason is None:
            kept.append(change)
        else:
            problems.append(Problem(line, reason))
    return kept


@dataclass(frozen=True)
class _Located:
    """Chains that the database holds, and why it holds no others."""

    found: dict[_Chain, ChainText]
    uids: dict[int, str]
    missing: dict[_Chain, str]


def _locate(engine: Database, items: Iterable[ItemName]) -> _Located:
    runs = {run.uid: run.id for run in list_runs(engine)}
    wanted = {item.chain: item for item in items}
    keys: defaultdict[str, list[str]] = defaultdict(list)
    for uid, key in wanted:
        keys[uid].append(key)
    ids = {
        (uid, key): number
        for uid, own in keys.items()
        if uid in runs
        for key, number in question_ids_of(engine, runs[uid], own).items()
    }
    asked: defaultdict[int, list[int]] = defaultdict(list)
    for (uid, _), number in ids.items():
        asked[runs[uid]].append(number)
    texts = chain_texts(engine, asked)
    return _Located(
        found={chain: texts[runs[chain[0]], number] for chain, number in ids.items()},
        uids={number: uid for uid, number in runs.items()},
        missing={
            chain: _unknown_run(item) if chain[0] not in runs else _unknown_question(item)
            for chain, item in wanted.items()
            if chain not in ids
        },
    )


def _unknown_run(item: ItemName) -> str:
    named = f"{one_line(item.run)!r} " if item.run else ""
    return f"unknown run {named}(uid {one_line(item.run_uid, 32)}); `steper ingest` brings run directories in"


def _unknown_question(item: ItemName) -> str:
    return f"unknown question {one_line(item.question)!r} of run {one_line(item.run)!r}"


def _why_not_this_chain(each: ReadShare, located: _Located) -> str | None:
    chain = each.share.item.chain
    if chain in located.missing:
        return located.missing[chain]
    if each.texts is None:
        return None
    stored = tuple(step.rationale for step in located.found[chain].steps)
    if len(stored) != len(each.texts):
        return f"the chain has {len(stored)} steps here and {len(each.texts)} in the file"
    place = next((place for place, pair in enumerate(zip(stored, each.texts, strict=True), 1) if pair[0] != pair[1]), 0)
    return f"the text of step {place} differs from that of the stored chain" if place else None


def _open_project(
    engine: Database,
    name: str,
    group: Sequence[ReadShare],
    listed: Sequence[tuple[int, ItemName]],
    located: _Located,
    read: ReadLabels,
    wishes: Wishes,
) -> tuple[ProjectRow, bool, int]:
    """The project of this name, whether it was created, and how many items are new in it."""
    wanted = {item.chain: item for item in [each.share.item for each in group] + [item for _, item in listed]}
    items = tuple(
        NewItem(item.run_uid, located.found[chain].question_id, item.control, dict(item.reference))
        for chain, item in sorted(wanted.items(), key=lambda pair: pair[1].position)
        if chain in located.found
    )
    project = get_project(engine, name)
    if project is not None:
        return project, False, add_items(engine, project.id, items)
    settings = read.projects.get(group[0].project) or _settings_from(name, group, wishes)
    if not items:
        reason = next(iter(located.missing.values()))
        raise UserError(f"no chain of the file is stored, so the project {name!r} is not created; the first: {reason}")
    create_project(
        engine,
        NewProject(
            name=name,
            rubric=settings.rubric,
            blind=settings.blind,
            overlap=settings.overlap,
            seed=settings.seed,
            sample=settings.sample,
            items=items,
        ),
    )
    created = get_project(engine, name)
    if created is None:
        raise UserError(f"the project {name!r} was deleted while labels were imported; import them again")
    return created, True, len(items)


def _settings_from(name: str, group: Sequence[ReadShare], wishes: Wishes) -> ProjectSettings:
    if wishes.rubric is None:
        raise UserError(
            f"there is no project {name!r} and the file does not hold its rubric: "
            "name one with --rubric, or a project that exists with --project"
        )
    people: defaultdict[_Chain, set[str]] = defaultdict(set)
    for each in group:
        if each.share.role == LABEL:
            people[each.share.item.chain].add(each.share.annotator)
    overlap = max((len(names) for names in people.values()), default=1)
    return ProjectSettings(name=name, rubric=wishes.rubric.model_dump(mode="json"), overlap=overlap)


def _history_row(item: ItemRow, share: Share, change: LabelChange) -> HistoryRow:
    return HistoryRow(
        uid=change.uid,
        item_id=item.id,
        run_uid=item.run_uid,
        question_id=item.question_id,
        question_key=item.question_key,
        number=change.number,
        field=change.field,
        value=change.value,
        annotator=share.annotator,
        role=share.role,
        at=change.at,
        seconds=change.seconds,
    )
