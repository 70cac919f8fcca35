"""How a labelling project stands: what is left, each person, agreement as it forms, its items; giving items back."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from app.formats import duration, interval, moment, percent
from app.standing import Agreed, Standing, left, seconds_left, standing
from app.state import PAGE_SIZE, AnnotateState, pages
from app.store import Store, open_store
from app.urls import read, write
from app.views.disagreements import deciding
from app.views.label_transfer import offer_files, offer_import
from app.views.label_words import readable
from app.views.project_table import Cell, beside, column, door, door_to, draw_table, number, words
from app.views.project_words import Line, say
from app.views.projects import each_for
from app.views.widgets import names_apart, turn_pages
from db.annotation_views import ItemRow, ProgressRow, ProjectRow
from db.annotations import release
from db.queries_annotations import item_rows, labels_revision
from db.queries_texts import chain_texts
from evaluators.agreement import Agreement
from evaluators.people import Proportion

_PEOPLE = (
    column("Person"),
    column("Submitted", right=True, hint="Items, control items counted"),
    column("Skipped", right=True, wide=True),
    column("Held", right=True, hint="Items being worked on"),
    column("Items an hour", right=True, hint="Submitted items an hour of active time"),
    column("Median an item", right=True, hint="Active time on a submitted item"),
    column("Controls right", right=True, hint="Known labels of control items that the person gave, percent"),
    column("Last active", wide=True),
)
_AGREEMENT = (
    column("Verdict"),
    column("Raw agreement", right=True, hint="Share of pairs of labels that are the same, percent"),
    column("Krippendorff's alpha", right=True, hint="1: people always agree, 0: as by chance"),
    column("Labelled by two or more", right=True, hint="Steps or chains"),
)
_ITEMS = (
    column("No.", right=True),
    column("Question"),
    column("Held", right=True),
    column("Submitted", right=True),
    column("History"),
)
_QUESTION = 140


def show_progress(store: Store, project: ProjectRow, state: AnnotateState) -> None:
    """Draw the page of a project's progress."""
    engine = store.database()
    found = _kept(engine, store.url, labels_revision(engine), project)
    _show_state(project, found)
    draw_table(
        "People",
        _PEOPLE,
        [person_cells(row, found.accuracy.get(row.annotator)) for row in found.people],
        key="project_people",
        empty="Nobody has taken an item yet. Open Label and say who you are.",
    )
    _offer_release(project, found.people, deciding(engine, project.id))
    draw_table(
        "Agreement so far",
        _AGREEMENT,
        [agreement_cells(each, project.name) for each in found.agreed],
        key="project_agreement",
        note="95 % intervals over questions" if found.agreed else "",
        empty="It shows here once two people have submitted labels."
        if project.overlap > 1 or project.controls
        else "Each item is for one person: there is nothing to compare.",
    )
    with st.expander("Export and import", icon=":material/import_export:"):
        offer_files(engine, project, begun=bool(found.people))
        offer_import(store, project)
    _show_items(store, project, state)


def state_lines(project: ProjectRow, people: Sequence[ProgressRow]) -> list[Line]:
    """What is left, and what the project is."""
    total = project.items * project.overlap
    share = project.submitted / total if total else 0.0
    done = f"{project.submitted:,} of {total:,} submitted ({percent(share)} %), {left(project):,} left"
    seconds = seconds_left(project, people)
    if seconds:
        done += f"; about {duration(seconds)} of active time at the pace so far"
    controls = f", {project.controls:,} control items for everyone" if project.controls else ""
    told = [
        f"{project.items:,} items, {each_for(project.overlap)}{controls}",
        f"rubric {project.rubric.get('name', '')} {project.rubric.get('version', '')}",
        "blind" if project.blind else "open",
        _sample(project),
    ]
    lines: list[Line] = [("", f"{done}."), ("grey", " · ".join(part for part in told if part))]
    if project.closed:
        lines.append(("warn", "This project is closed: nothing more is recorded."))
    return lines


def person_cells(row: ProgressRow, accuracy: Proportion | None) -> list[Cell]:
    """A row of the table of people."""
    pace = f"{row.timed / row.seconds * 3600:,.0f}" if row.seconds else "–"
    return [
        [words(row.annotator)],
        [number(row.submitted)],
        [number(row.skipped)],
        [number(row.held)],
        [words(pace)],
        [words(duration(row.median_seconds))],
        _share(accuracy),
        [words("–" if row.last is None else moment(row.last))],
    ]


def agreement_cells(each: Agreed, project: str) -> list[Cell]:
    """A row of the table of agreement."""
    doors = {"project": [project], "about": [each.verdict]}
    return [
        [door_to(readable(each.verdict), "agreement", doors)],
        _agreed(each.raw, of_share=True),
        _agreed(each.alpha, of_share=False),
        [number(each.raw.units)],
    ]


def item_cells(item: ItemRow, question: str, state: AnnotateState) -> list[Cell]:
    """A row of the table of items. Which items are controls is not told: who knows it labels them with more care."""
    past = AnnotateState(state.project, state.person, "history", item.id)
    return [
        [words(f"{item.position + 1:,}")],
        [words(question, limit=_QUESTION)],
        [number(item.held)],
        [number(item.submitted)],
        [door("history", past)] if item.held or item.submitted else [words("–", "grey")],
    ]


def _show_state(project: ProjectRow, found: Standing) -> None:
    say(state_lines(project, found.people), key="project_state")


def _sample(project: ProjectRow) -> str:
    sample, count = project.sample.get("sample"), project.sample.get("count")
    if not sample:
        return ""
    # An imported project's sample is whatever its file says.
    asked = isinstance(count, int) and project.items < count
    fewer = f", which leaves {project.items:,} of the {count:,} asked for" if asked else ""
    return f"sample {sample}, seed {project.seed}{fewer}"


def _share(share: Proportion | None) -> Cell:
    if share is None or share.low is None:
        return [words("–", "grey")]
    return [words(percent(share.right / share.n)), beside(f"{interval(share.low, share.high)}, n = {share.n:,}")]


def _agreed(value: Agreement, *, of_share: bool) -> Cell:
    if value.value is None:
        return [words("–", "grey"), beside(value.reason or "")]
    if of_share:
        return [words(percent(value.value)), beside(interval(value.low, value.high))]
    bounds = "" if value.low is None or value.high is None else f"[{value.low:.2f}, {value.high:.2f}]"
    return [words(f"{value.value:.2f}"), beside(bounds)]


def _show_items(store: Store, project: ProjectRow, state: AnnotateState) -> None:
    total = project.items + project.controls
    count = pages(total)
    page = min(state.page, count)
    items = item_rows(store.database(), project.id, (page - 1) * PAGE_SIZE, PAGE_SIZE)
    named = [(item.run_id, item.question_id) for item in items if item.run_id is not None]
    texts = chain_texts(store.database(), named)
    questions = {(text.run_id, text.question_id): text.question for text in texts.values()}
    draw_table(
        "Items",
        _ITEMS,
        [
            item_cells(each, questions.get((each.run_id or -1, each.question_id), each.question_key), state)
            for each in items
        ],
        key="project_items",
        note="in the order of handing out",
    )
    turn_pages(
        count, page, lambda chosen: write(dataclasses.replace(read(AnnotateState), page=chosen)), key="items_page"
    )


def _offer_release(project: ProjectRow, people: Sequence[ProgressRow], decides: Mapping[int, str]) -> None:
    held = Counter({row.annotator: row.held for row in people}) + Counter(decides.values())
    if not held:
        return
    with st.popover("Give back held items", icon=":material/assignment_return:"):
        st.write(
            "Others can then take the items that this person holds and has not submitted. What was drafted "
            "stays in the history; it counts no more, unless the person takes the item again."
        )
        # No counts in the field: it would not know its own choice again once one changes.
        shown = names_apart({name: name for name in sorted(held)}, 60)
        # Nobody is chosen until somebody is: a second press must not give back the next person's.
        person = st.selectbox(
            "Whose",
            list(shown),
            index=None,
            placeholder="choose",
            key="release_person",
            format_func=lambda name: shown.get(name, name),
        )
        st.text(", ".join(f"{shown[name]}: {held[name]:,}" for name in shown))
        st.button(
            "Give back",
            type="primary",
            on_click=_release,
            args=(project.id, person),
            key="release",
            disabled=person is None,
        )


def _release(project_id: int, person: str) -> None:
    release(open_store().database(), project_id, person)


@st.cache_data(show_spinner=False, max_entries=20)
def _kept(_engine: Any, url: str, revision: int, project: ProjectRow) -> Standing:
    return standing(_engine, project)
