"""The workbench: one person's items, place by place, with the keys that label them.

What a blind project hides is left out of the data, not only of the picture, until the person has submitted the item.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import streamlit as st

from app.formats import duration
from app.plain import one_line, plain
from app.store import Store
from app.tokens import ABILITIES, ABILITY_COLOURS, ABILITY_INKS, RIGHT, UNSCORED, WRONG
from app.versions import newest_value
from app.views.chain import asked_with, read_by
from app.views.component import mounted
from app.views.grounded import segments
from app.views.label_words import label_chip, readable, rubric_data
from db.annotation_slots import adjudicate, hand_out, held_by_others
from db.annotation_views import (
    ADJUDICATE,
    COMMENT,
    HELD,
    REOPEN,
    SKIP,
    SUBMIT,
    SUBMITTED,
    TAGS,
    UNSET,
    HistoryRow,
    ItemRow,
    LabelRow,
    ProjectRow,
    Role,
    Slot,
)
from db.queries import ChainView, PassageView, QuestionView, RunRow, StepView
from db.queries_annotations import history, item_row, labels, slots_of
from db.queries_progress import pace_of, submitted_count
from evaluators.label_rubric import LabelRubric

AHEAD = 5
"""Items that lie ready: enough for a person who submits one with every third key while the server answers."""

_BEHIND = 3
"""Submitted items that lie ready for going back."""

_TITLE = 160
_LONGEST_TEXT = 20_000
"""Characters of a passage or a line that are sent; more of them nobody reads at this desk."""


@dataclasses.dataclass(frozen=True)
class Desk:
    """Who works on what: a person labels a project's items, or decides the one `item` where people differ."""

    project: ProjectRow
    rubric: LabelRubric
    person: str
    role: Role
    item: int | None = None
    place: int | None = None
    visit: int = 0


def work_data(store: Store, desk: Desk, stored: Sequence[str], refused: Mapping[str, str]) -> dict[str, Any]:
    """What the component draws; `stored` and `refused` acknowledge what it sent."""
    engine = store.database()
    slots = _slots(store, desk)
    runs = {run.id: run for run in store.runs()}
    items = [_item(store, desk, slot, runs) for slot in slots]
    held = [slot.item_id for slot in slots if slot.state == HELD]
    return {
        # The browser keeps by it what is not stored yet; another database has a project of the same id.
        "name": f"{desk.project.id}:{desk.project.created.isoformat()}:{desk.role}:{desk.person}",
        "mode": desk.role,
        "blind": desk.project.blind,
        "closed": desk.project.closed,
        "rubric": rubric_data(desk.rubric),
        "items": [item for item in items if item is not None],
        "first": desk.item if desk.item is not None else (held[0] if held else None),
        "place": desk.place,
        # Only a new visit or another address moves a person to another place: the same page drawn again does not.
        "asked": f"{desk.visit}:{desk.item}:{desk.place}",
        "left": bool(held),
        # Whether something may yet come free for who has nothing at hand.
        "busy": desk.role != ADJUDICATE and not held and held_by_others(engine, desk.project.id, desk.person),
        "stored": list(stored),
        "refused": {uid: plain(reason) for uid, reason in refused.items()},
        "progress": _progress(
            desk, pace_of(engine, desk.project.id, desk.person), submitted_count(engine, desk.project.id)
        ),
    }


def _slots(store: Store, desk: Desk) -> Sequence[Slot]:
    engine, project = store.database(), desk.project
    if desk.role == ADJUDICATE:
        return () if desk.item is None else (adjudicate(engine, project.id, desk.person, desk.item),)
    slots = slots_of(engine, project.id, desk.person, limit=_BEHIND)
    ended = [slot for slot in slots if slot.state != HELD]
    if len(slots) - len(ended) >= AHEAD or project.closed:
        return slots
    return [*ended, *hand_out(engine, project.id, desk.person, AHEAD)]


def _item(store: Store, desk: Desk, slot: Slot, runs: Mapping[int, RunRow]) -> dict[str, Any] | None:
    engine = store.database()
    row = item_row(engine, slot.item_id)
    if row is None:
        return None
    view = store.question(row.question_id, (row.run_id,)) if row.run_id is not None else None
    chain = view.chains[0] if view is not None else None
    given = labels(engine, desk.project.id, item_id=row.id, submitted=False)
    own = [label for label in given if label.annotator == desk.person and label.role == desk.role]
    shown = not desk.project.blind or slot.state == SUBMITTED or desk.role == ADJUDICATE
    base = {
        "id": row.id,
        "state": slot.state,
        "available": chain is not None,
        "labels": {f"{label.number}/{label.field}": label.value for label in own},
        "undo": _undo(history(engine, desk.project.id, item_id=row.id, annotator=desk.person), desk.role)
        if slot.state == HELD
        else [],
        "others": _others(desk.rubric, given) if desk.role == ADJUDICATE else [],
    }
    if view is None or chain is None:
        return {
            **base,
            "question": f"item {row.position + 1}",
            "steps": [],
            "abilities": [],
            "answer": None,
            "revealed": None,
        }
    return {
        **base,
        "question": plain(view.text),
        "steps": _steps(store.url, store.revision, view.id, chain.run_id, gold=shown),
        "abilities": sorted({step.ability for step in chain.steps}),
        "answer": None if chain.answer is None else plain(chain.answer),
        "revealed": _revealed(row, view, chain, runs.get(row.run_id or -1)) if shown else None,
    }


@st.cache_data(show_spinner=False, max_entries=200)
def _steps(url: str, revision: int, question_id: int, run_id: int, *, gold: bool) -> list[dict[str, Any]]:
    """A chain's steps as they are sent. They are kept: to find its words in its passages with every key takes long."""
    view = Store(url, revision).question(question_id, (run_id,))
    chain = view.chains[0] if view is not None else None
    return [] if view is None or chain is None else [_step(step, chain, view, gold=gold) for step in chain.steps]


def _step(step: StepView, chain: ChainView, view: QuestionView, *, gold: bool) -> dict[str, Any]:
    rationale = plain(step.rationale[:_LONGEST_TEXT])
    return {
        "number": step.number,
        "ability": {
            "name": step.ability,
            "short": ABILITIES.get(step.ability, one_line(step.ability, 12)),
            "colour": ABILITY_COLOURS.get(step.ability, "#7F7F7F"),
            "ink": ABILITY_INKS.get(step.ability, "#000000"),
        },
        **asked_with(step, chain, view.text),
        "passages": [_passage(passage, gold=gold) for passage in step.passages],
        "rationale": rationale,
        "segments": segments(rationale, read_by(chain, step.number), view.text),
    }


def _passage(passage: PassageView, *, gold: bool) -> dict[str, Any]:
    return {
        "title": one_line(passage.title, _TITLE) or "(no title)",
        "text": plain(passage.text[:_LONGEST_TEXT]),
        "gold": passage.gold and gold,
    }


def _revealed(row: ItemRow, view: QuestionView, chain: ChainView, run: RunRow | None) -> dict[str, Any]:
    em = newest_value(chain.scores, "em")
    outcome = {1.0: f"{RIGHT} right", 0.0: f"{WRONG} wrong"}.get(
        em if em is not None else -1.0, f"{UNSCORED} not scored"
    )
    facts = {
        "gold": ", ".join((view.answer, *view.aliases[:5])),
        "answer": outcome,
        "run": run.name if run else row.run_uid,
        "method": run.method if run else "",
        "model": run.model if run else "",
        **{f"hop {number}": f"{hop.question} {hop.answer or ''}" for number, hop in enumerate(view.hops, start=1)},
    }
    judged = [
        f"{vote.judge}, {'chain' if not vote.number else f'step {vote.number}'}: "
        + (", ".join(f"{name} {value:g}" for name, value in vote.verdicts.items()) or "no verdict")
        for vote in chain.judgements[:20]
    ]
    return {
        "facts": [{"name": name, "value": plain(value[:_LONGEST_TEXT])} for name, value in facts.items() if value],
        "judged": [one_line(vote, 160) for vote in judged],
    }


def _undo(changes: Iterable[HistoryRow], role: Role) -> list[dict[str, Any]]:
    """The person's changes with what stood there before, for undoing them after the page was loaded anew."""
    now: dict[tuple[int, str], Any] = {}
    steps: list[dict[str, Any]] = []
    for change in changes:
        if change.role != role or change.field in (SUBMIT, SKIP, REOPEN):
            continue
        place = (change.number, change.field)
        before, last = now.get(place), steps[-1] if steps else None
        now[place] = change.value
        if last and (last["number"], last["field"]) == place and _equal(last["before"], change.value):
            # What takes the last change back is an undo, or as good as one: neither is undone.
            steps.pop()
        else:
            steps.append({"number": change.number, "field": change.field, "before": before})
    return steps


def _equal(one: Any, other: Any) -> bool:
    """Whether two values say the same: an empty comment says what no comment says."""
    return bool(one == other or (one in UNSET and other in UNSET))


def _others(rubric: LabelRubric, given: Iterable[LabelRow]) -> list[dict[str, Any]]:
    by_place: defaultdict[tuple[int, str], dict[str, Any]] = defaultdict(dict)
    for label in given:
        if label.role != ADJUDICATE and label.state == SUBMITTED:
            by_place[label.number, label.annotator][label.field] = label.value
    return [
        {
            "number": number,
            "who": one_line(who, 60),
            "labels": [
                label_chip(verdict, float(fields[verdict.name]))
                for verdict in rubric.verdicts
                if isinstance(fields.get(verdict.name), int | float)
            ],
            "tags": [readable(tag) for tag in fields.get(TAGS, ())],
            "comment": plain(fields.get(COMMENT, "")),
        }
        for (number, who), fields in sorted(by_place.items())
    ]


def _progress(desk: Desk, pace: tuple[int, float | None], submitted: int) -> dict[str, Any]:
    total = desk.project.items * desk.project.overlap
    mine, median = pace
    return {
        "share": min(1.0, submitted / total) if total else 0.0,
        "words": f"{mine:,} done by you, {submitted:,} of {total:,} by all",
        "pace": f"median {duration(median)} an item" if median else "",
    }


@st.cache_resource(show_spinner=False)
def _mounted() -> Any:
    return mounted("annotate", "annotate_desk.js")


def draw_work(data: dict[str, Any], *, key: str, on_queue: Any) -> None:
    """Draw the workbench; `on_queue` is called with what the browser sent, before the page is drawn again."""

    def called() -> None:
        result = st.session_state.get(key)
        on_queue(result.get("queue") if isinstance(result, dict) else None)

    _mounted()(key=key, data=data, on_queue_change=called)
