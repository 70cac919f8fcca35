"""The history of an item: who changed what when."""

from __future__ import annotations

import dataclasses

from app.formats import duration
from app.plain import one_line
from app.state import AnnotateState, pages
from app.store import Store
from app.urls import read, write
from app.views.label_words import readable
from app.views.project_table import Cell, column, draw_table, label, tag, words
from app.views.project_words import say
from app.views.widgets import turn_pages
from db.annotation_slots import to_label
from db.annotation_views import (
    ADJUDICATE,
    COMMENT,
    REOPEN,
    SKIP,
    SUBMIT,
    TAGS,
    UNSET,
    HistoryRow,
    ItemRow,
    ProjectRow,
)
from db.queries_annotations import history, item_row
from evaluators.label_rubric import LabelRubric, parse_label_rubric

_COLUMNS = (
    column("When", hint="Universal time", tight=True),
    column("Who"),
    column("Place", tight=True),
    column("What"),
)
_PAGE_SIZE = 50
_COMMENT = 1_000
_QUESTION = 200


def show_history(store: Store, project: ProjectRow, state: AnnotateState) -> None:
    """Draw the history of the state's item."""
    engine = store.database()
    item = None if state.item is None else item_row(engine, state.item)
    if item is None or item.project_id != project.id:
        say([("warn", "The link names an item that is not in this project.")], key="history_missing")
        return
    if item.id in to_label(engine, project.id, state.person):
        say(
            [("warn", "This item is yours to label: its history opens once you have submitted it.")], key="history_shut"
        )
        return
    rows = history(engine, project.id, item_id=item.id)
    count = pages(len(rows), _PAGE_SIZE)
    page = min(state.page, count)
    rubric = parse_label_rubric(project.rubric)
    say([("", _question(store, item))], key="history_question")
    draw_table(
        "History",
        _COLUMNS,
        [change_cells(row, rubric) for row in rows[(page - 1) * _PAGE_SIZE : page * _PAGE_SIZE]],
        key="item_history",
        note=f"item {item.position + 1:,}, {len(rows):,} change{'' if len(rows) == 1 else 's'}, the first one first",
        empty="Nobody has changed anything here yet.",
    )
    turn_pages(
        count, page, lambda chosen: write(dataclasses.replace(read(AnnotateState), page=chosen)), key="past_page"
    )


def change_cells(row: HistoryRow, rubric: LabelRubric) -> list[Cell]:
    """A row of the history."""
    place = "" if row.field in (SUBMIT, SKIP, REOPEN) else f"step {row.number}" if row.number else "whole chain"
    decides = [tag("decides")] if row.role == ADJUDICATE else []
    return [
        [words(f"{row.at:%Y-%m-%d %H:%M:%S}", "num")],
        [words(row.annotator), *decides],
        [words(place)],
        _what(row, rubric),
    ]


def _what(row: HistoryRow, rubric: LabelRubric) -> Cell:
    value = row.value
    if row.field == SUBMIT:
        return [words("submitted" if row.seconds is None else f"submitted after {duration(row.seconds)} of work")]
    if row.field in (SKIP, REOPEN):
        return [words("skipped" if row.field == SKIP else "took it up again")]
    name = readable(row.field)
    if value in UNSET:
        return [words(f"{name} cleared", "grey")]
    if row.field == TAGS and isinstance(value, tuple):
        return [words("tags"), *(tag(readable(each)) for each in value)]
    if row.field == COMMENT and isinstance(value, str):
        return [words("comment", "grey"), words(value, limit=_COMMENT)]
    verdict = rubric.verdict(row.field)
    if verdict is None or not isinstance(value, int | float):
        return [words(f"{name} {value}")]
    return [words(name), label(verdict, float(value))]


def _question(store: Store, item: ItemRow) -> str:
    view = store.question(item.question_id, (item.run_id,)) if item.run_id is not None else None
    return one_line(view.text if view is not None else item.question_key, _QUESTION)
