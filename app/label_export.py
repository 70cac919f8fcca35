"""All that a project holds, gathered from the database for a file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import get_args

from app.label_records import ChainWords, ItemName, LabelChange, LabelFile, ProjectSettings, Share, StepWords
from db.annotation_views import (
    HELD,
    LABEL,
    RELEASED,
    REOPEN,
    SKIP,
    SKIPPED,
    SUBMIT,
    SUBMITTED,
    HistoryRow,
    ItemRow,
    ProjectRow,
    Role,
)
from db.queries_annotations import annotators, history, item_rows, slots_of
from db.queries_runs import list_runs
from db.queries_texts import ChainText, Database, chain_texts

_AFTER: Mapping[str, str] = {SUBMIT: SUBMITTED, SKIP: SKIPPED, REOPEN: HELD}


def labels_of(engine: Database, project: ProjectRow) -> LabelFile:
    """Everything that a project holds: drafts and skipped items too. People may go on labelling meanwhile."""
    names = {run.uid: run.name for run in list_runs(engine)}
    states = {
        (slot.item_id, annotator, role): slot.state
        for annotator in annotators(engine, project.id)
        for role in get_args(Role)
        for slot in slots_of(engine, project.id, annotator, role)
    }
    changes: defaultdict[tuple[int, str, str], list[LabelChange]] = defaultdict(list)
    for row in history(engine, project.id):
        changes[row.item_id, row.annotator, row.role].append(_change(row))
    # Read last, for items that are added meanwhile to be among them.
    items = item_rows(engine, project.id)
    by_id = {item.id: _item(item, names.get(item.run_uid, "")) for item in items}
    # Who gave an item back holds it no longer, but the history keeps what was done.
    shares = [
        Share(by_id[item_id], annotator, role, _state(states.get(key, RELEASED), changes[key]), tuple(changes[key]))
        for key in sorted(states.keys() | changes.keys())
        for item_id, annotator, role in (key,)
    ]
    return LabelFile(
        project=ProjectSettings(
            name=project.name,
            rubric=project.rubric,
            blind=project.blind,
            overlap=project.overlap,
            seed=project.seed,
            sample=project.sample,
            closed=project.closed,
        ),
        items=tuple(by_id.values()),
        shares=tuple(sorted(shares, key=lambda share: (share.item.position, share.role != LABEL, share.annotator))),
        words=_words(engine, items),
    )


def _state(read: str, changes: Sequence[LabelChange]) -> str:
    """A share's state, brought up to its history: that was read later, and something may have ended in between."""
    last = next((change.field for change in reversed(changes) if change.field in _AFTER), "")
    told = _AFTER.get(last, read)
    # What was taken up again and then given back is told by its state alone.
    return read if told == HELD and read == RELEASED else told


def _item(row: ItemRow, run: str) -> ItemName:
    return ItemName(
        run_uid=row.run_uid,
        run=run,
        dataset=row.dataset,
        question=row.question_key,
        position=row.position,
        control=row.control,
        reference=row.reference,
    )


def _change(row: HistoryRow) -> LabelChange:
    return LabelChange(uid=row.uid, number=row.number, field=row.field, value=row.value, at=row.at, seconds=row.seconds)


def _words(engine: Database, items: tuple[ItemRow, ...]) -> dict[tuple[str, str], ChainWords]:
    texts = chain_texts(engine, ((item.run_id, item.question_id) for item in items if item.run_id is not None))
    return {
        (item.run_uid, item.question_key): words_of(texts[item.run_id, item.question_id])
        for item in items
        if item.run_id is not None and (item.run_id, item.question_id) in texts
    }


def words_of(text: ChainText) -> ChainWords:
    """A stored chain as files tell it."""
    return ChainWords(
        problem=text.question,
        gold=text.gold,
        answer=text.answer,
        steps=tuple(StepWords(step.number, step.ability, step.rationale) for step in text.steps),
    )
