"""Where people differ: the places to decide, the widest first, and those that were decided."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import streamlit as st

from app.plain import one_line
from app.standing import given_labels
from app.state import PAGE_SIZE, AnnotateState, pages
from app.store import Store
from app.urls import read, write
from app.views.label_words import readable
from app.views.project_table import Cell, ability, below, column, door, draw_table, label, words
from app.views.widgets import choose_one, turn_pages
from db.annotation_slots import to_label
from db.annotation_views import ADJUDICATE, HELD, LabelRow, ProjectRow
from db.queries_annotations import annotators, labels, labels_revision, slots_of
from db.queries_texts import ChainText, Database, chain_texts
from evaluators.label_rubric import LabelRubric, LabelVerdict, parse_label_rubric
from evaluators.people import Disagreement, disagreements

_COLUMNS = (
    column("Question"),
    column("Place", tight=True),
    column("Verdict"),
    column("Who said what"),
    column("Decision", hint="What was decided, or by whom it is being decided"),
    column("History", hint="Who changed what when"),
)
_NAMES = {"open": "Open", "decided": "Decided"}
_QUESTION = 110


@dataclasses.dataclass(frozen=True)
class Difference:
    """A place on which people differ, and the chain it is in."""

    found: Disagreement
    run_uid: str
    question_id: int
    question_key: str


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """What rows are told with: who is reading, the rubric, the chains' words by item, and who decides which item.

    `own` are items that the reader is labelling, or may yet be handed.
    """

    state: AnnotateState
    rubric: LabelRubric
    texts: Mapping[int, ChainText]
    deciding: Mapping[int, str]
    own: Set[int]


def differences_of(rows: Sequence[LabelRow], rubric: LabelRubric) -> tuple[Difference, ...]:
    """Where submitted labels differ, the widest first."""
    chains = {row.item_id: (row.run_uid, row.question_id, row.question_key) for row in rows}
    return tuple(Difference(found, *chains[found.item]) for found in disagreements(given_labels(rows, rubric)))


def deciding(engine: Database, project_id: int) -> dict[int, str]:
    """Who is deciding which items now, without having submitted them."""
    return {
        slot.item_id: name
        for name in annotators(engine, project_id)
        for slot in slots_of(engine, project_id, name, ADJUDICATE, limit=0)
        if slot.state == HELD
    }


def next_open(
    differences: Iterable[Difference], after: int | None, others: Iterable[int] = ()
) -> tuple[int, int] | None:
    """Item and place of the next open disagreement in another item, from the start again after the last; or None.

    `others` are items that are not for the person to decide.
    """
    passed = set(others)
    order = [each for each in differences if each.found.item == after or _is_open(each)]
    last = max((place for place, each in enumerate(order) if each.found.item == after), default=-1)
    for each in (*order[last + 1 :], *order[: last + 1]):
        if _is_open(each) and each.found.item != after and each.found.item not in passed:
            return each.found.item, each.found.number
    return None


def all_differences(store: Store, project: ProjectRow) -> tuple[Difference, ...]:
    """Where people differ in a project now."""
    engine = store.database()
    return _kept(engine, store.url, labels_revision(engine), project)


def show_disagreements(store: Store, project: ProjectRow, state: AnnotateState) -> None:
    """Draw the list, 20 a page."""
    every = all_differences(store, project)
    counts = {"open": sum(map(_is_open, every)), "decided": sum(not _is_open(each) for each in every)}
    choose_one(
        "Places where people differ",
        tuple(_NAMES),
        "decided" if state.decided else "open",
        lambda chosen: _change(decided=chosen == "decided", page=1),
        key="disagreements_show",
        name=lambda name: f"{_NAMES[name]} ({counts[name]:,})",
    )
    chosen = [each for each in every if _is_open(each) != state.decided]
    count = pages(len(chosen))
    page = min(state.page, count)
    rows = chosen[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    engine = store.database()
    around = Surroundings(
        state,
        parse_label_rubric(project.rubric),
        _texts(store, rows),
        deciding(engine, project.id),
        to_label(engine, project.id, state.person),
    )
    items = len({each.found.item for each in chosen})
    draw_table(
        "Disagreements",
        _COLUMNS,
        [difference_cells(each, around) for each in rows],
        key="disagreements",
        note=f"{_counted(len(chosen), 'place')} in {_counted(items, 'item')}, those farthest apart first"
        if chosen
        else "",
        empty=_nothing(project, bool(every), decided=state.decided),
    )
    turn_pages(count, page, lambda number: _change(page=number), key="disagreements_page")


def difference_cells(each: Difference, around: Surroundings) -> list[Cell]:
    """A row of the list."""
    found, state = each.found, around.state
    words_of = around.texts.get(found.item)
    question = one_line(words_of.question, _QUESTION) if words_of else each.question_key
    about = [_place(found.number, words_of), [words(readable(found.field))]]
    if found.item in around.own:
        said = words("shown once you have submitted it", "grey")
        return [[words(question)], *about, [said], [words("yours to label", "grey")], [words("–", "grey")]]
    desk = AnnotateState(state.project, state.person, "work", found.item, found.number)
    past = AnnotateState(state.project, state.person, "history", found.item)
    verdict = next(verdict for verdict in around.rubric.verdicts if verdict.name == found.field)
    return [
        [door(question, desk, "Decide it")],
        *about,
        [label(verdict, value, who) for who, value in sorted(found.values.items())],
        _decision(found, verdict, around.deciding.get(found.item)),
        [door("history", past)],
    ]


def _place(number: int, text: ChainText | None) -> Cell:
    if not number:
        return [words("whole chain")]
    name = next((step.ability for step in text.steps if step.number == number), "") if text else ""
    return [words(f"step {number}"), *([ability(name)] if name else [])]


def _decision(found: Disagreement, verdict: LabelVerdict, who: str | None) -> Cell:
    if found.adjudicated is not None:
        return [label(verdict, found.adjudicated)]
    return [words("open", "warn"), *([below(f"{who} is deciding it")] if who else [])]


def _is_open(each: Difference) -> bool:
    return each.found.adjudicated is None


def _nothing(project: ProjectRow, differ: bool, *, decided: bool) -> str:
    if decided:
        return "Nothing was decided yet."
    if differ:
        return "All disagreements are decided."
    if project.overlap < 2:
        return "Each item of this project is for one person: people cannot differ."
    return "People differ nowhere so far. A disagreement shows here once two people have submitted the same item."


def _texts(store: Store, rows: Sequence[Difference]) -> dict[int, ChainText]:
    runs = {run.uid: run.id for run in store.runs()}
    chains = {each.found.item: (runs[each.run_uid], each.question_id) for each in rows if each.run_uid in runs}
    found = chain_texts(store.database(), chains.values())
    return {item: found[chain] for item, chain in chains.items() if chain in found}


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


@st.cache_data(show_spinner=False, max_entries=20)
def _kept(_engine: Any, url: str, revision: int, project: ProjectRow) -> tuple[Difference, ...]:
    return differences_of(labels(_engine, project.id), parse_label_rubric(project.rubric))


def _change(**changes: Any) -> None:
    write(dataclasses.replace(read(AnnotateState), **changes))
