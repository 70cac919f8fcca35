"""Labels from a file into the database: exact authors, times and uids, so that importing twice changes nothing.

Each item is found by its run's uid and its question's key; a project that is not there is created. What does not fit is
left out and told with its line; all else comes in. All of a file is checked before anything is written, so that a file
that is refused leaves nothing behind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from app.label_checks import LONGEST_NAME, person_of, why_unfit, why_unknown
from app.label_foreign import foreign_shares
from app.label_records import (
    VOID,
    ItemName,
    LabelChange,
    Problem,
    ProjectSettings,
    ReadLabels,
    ReadShare,
    Share,
    nothing_to_import,
)
from app.plain import one_line
from db.annotation_restore import restore
from db.annotation_slots import LONGEST_PROJECT, fit_name
from db.annotation_views import LABEL, HistoryRow, ItemRow, NewItem, NewProject, ProjectRow, RestoredSlot
from db.annotations import add_items, close_project, create_project
from db.clean import clean
from db.queries_annotations import get_project, history, item_rows
from db.queries_runs import list_runs
from db.queries_texts import ChainText, Database, chain_texts, question_ids_of
from evaluators.label_rubric import LabelRubric, parse_label_rubric
from steper_core.errors import UserError

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
        UserError: a project has to be created and there is no rubric for it, or nothing in the file fits. Nothing was
            written then.
    """
    if wishes.project is not None:
        wishes = replace(wishes, project=fit_name(wishes.project, "a project", LONGEST_PROJECT))
    problems = list(read.problems)
    shares = [
        *read.shares,
        *foreign_shares(engine, read.foreign, wishes.project, wishes.rubric, wishes.run_ids, problems),
    ]
    groups: defaultdict[str, list[ReadShare]] = defaultdict(list)
    for share in _named(shares, problems):
        groups[wishes.project or share.project].append(share)
    plans = [_plan(engine, name, group, read, wishes, problems) for name, group in groups.items()]
    fitting = [plan for plan in plans if plan.shares]
    if not fitting:
        raise nothing_to_import(problems)
    parts = [_take(engine, plan, problems) for plan in fitting]
    return ImportReport(
        projects=tuple(part.project for part in parts),
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
class _Plan:
    """What is to come into one project, by its id or as it is to be created: all of it fits."""

    name: str
    project: int | NewProject
    closed: bool
    items: tuple[NewItem, ...]
    shares: tuple[ReadShare, ...]


@dataclass(frozen=True)
class _Part:
    """What came into one project."""

    project: str
    created: bool
    items: int
    changes: int
    known: int


def _plan(
    engine: Database,
    name: str,
    group: Sequence[ReadShare],
    read: ReadLabels,
    wishes: Wishes,
    problems: list[Problem],
) -> _Plan:
    listed = [pair for source in dict.fromkeys(each.project for each in group) for pair in read.items.get(source, ())]
    located = _locate(engine, [*(item for _, item in listed), *(each.share.item for each in group)])
    told = {each.share.item.chain for each in group}
    problems.extend(
        Problem(line, located.missing[item.chain])
        for line, item in listed
        if item.chain in located.missing and item.chain not in told
    )
    known = get_project(engine, name) or read.projects.get(group[0].project) or _settings_from(name, group, wishes)
    rubric = parse_label_rubric(known.rubric)
    items = _items(rubric, [*((each.line, each.share.item) for each in group), *listed], located, problems)
    shares = _fitting_shares(rubric, group, located, problems)
    if isinstance(known, ProjectRow):
        return _Plan(name, known.id, False, items, shares)
    return _Plan(name, _new_project(name, known, items), known.closed, items, shares)


def _new_project(name: str, settings: ProjectSettings, items: tuple[NewItem, ...]) -> NewProject:
    return NewProject(
        name=name,
        rubric=settings.rubric,
        blind=settings.blind,
        overlap=settings.overlap,
        seed=settings.seed,
        sample=settings.sample,
        items=items,
    )


def _items(
    rubric: LabelRubric, named: Sequence[tuple[int, ItemName]], located: _Located, problems: list[Problem]
) -> tuple[NewItem, ...]:
    """The stored chains among those that the file names, in its order, each with the known labels that fit it."""
    wanted = {item.chain: (line, item) for line, item in named}
    items = []
    for chain, (line, item) in sorted(wanted.items(), key=lambda pair: pair[1][1].position):
        if chain not in located.found:
            continue
        text = located.found[chain]
        reference = {}
        for place, value in item.reference.items():
            reason = why_unknown(rubric, len(text.steps), place, value)
            if reason is None:
                reference[place] = value
            else:
                problems.append(Problem(line, f"known label {place!r} of {item.question!r}: {reason}"))
        items.append(NewItem(item.run_uid, text.question_id, item.control, reference))
    return tuple(items)


def _fitting_shares(
    rubric: LabelRubric, group: Sequence[ReadShare], located: _Located, problems: list[Problem]
) -> tuple[ReadShare, ...]:
    shares = []
    for each in group:
        reason = _why_not_this_chain(each, located)
        if reason:
            problems.append(Problem(each.line, reason))
            continue
        fitting = _fitting(rubric, len(located.found[each.share.item.chain].steps), each, problems)
        if _is_void(each.share, fitting.share):
            problems.append(Problem(each.line, VOID))
        else:
            shares.append(fitting)
    return tuple(shares)


def _is_void(given: Share, kept: Share) -> bool:
    """Whether a share lost all its changes, or all that label: it would be taken for submitted without a label.

    One that never had any is just held, or was submitted so.
    """
    return bool(given.changes and not kept.changes) or bool(given.labelling and not kept.labelling)


def _take(engine: Database, plan: _Plan, problems: list[Problem]) -> _Part:
    if isinstance(plan.project, NewProject):
        project_id, items = create_project(engine, plan.project), len(plan.items)
    else:
        project_id, items = plan.project, add_items(engine, plan.project, plan.items)
    rows = {(row.run_uid, row.question_key): row for row in item_rows(engine, project_id)}
    stored = {row.uid: row for row in history(engine, project_id)}
    changes: list[HistoryRow] = []
    slots: list[RestoredSlot] = []
    for each in plan.shares:
        item = rows[each.share.item.chain]
        share = _without_conflicts(item, each, stored, problems)
        if _is_void(each.share, share):
            problems.append(Problem(each.line, VOID))
            continue
        changes += [_history_row(item, share, change) for change in share.changes]
        slots.append(RestoredSlot(item.id, share.annotator, share.role, share.state, share.ended))
    restored = restore(engine, project_id, changes, slots)
    if plan.closed:
        close_project(engine, project_id, True)
    known = len(changes) - restored.changes
    return _Part(plan.name, isinstance(plan.project, NewProject), items, restored.changes, known)


def _without_conflicts(item: ItemRow, each: ReadShare, known: dict[str, HistoryRow], problems: list[Problem]) -> Share:
    """The share without changes whose uid another one in `known` has; those that are kept join it."""
    kept = []
    for line, change in zip(each.lines, each.share.changes, strict=True):
        row = _history_row(item, each.share, change)
        if known.setdefault(row.uid, row) == row:
            kept.append(change)
        else:
            problems.append(Problem(line, f"another change has the uid {row.uid!r} already; each has its own"))
    return replace(each.share, changes=tuple(kept))


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


def _fitting(rubric: LabelRubric, steps: int, each: ReadShare, problems: list[Problem]) -> ReadShare:
    """The share with those of its changes that can be labels of its chain."""
    kept = []
    for line, change in zip(each.lines, each.share.changes, strict=True):
        reason = why_unfit(rubric, steps, change)
        if reason is None:
            kept.append((line, change))
        else:
            problems.append(Problem(line, reason))
    share = replace(each.share, changes=tuple(change for _, change in kept))
    return replace(each, share=share, lines=tuple(line for line, _ in kept))


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
    texts = chain_texts(engine, ((runs[uid], number) for (uid, _), number in ids.items()))
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
        # As it is stored, so that the same change is known again.
        value=clean(change.value) if isinstance(change.value, str) else change.value,
        annotator=share.annotator,
        role=share.role,
        at=change.at,
        seconds=change.seconds,
    )
