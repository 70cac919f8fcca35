"""The labelling desk as tests see it: how it is opened, and what the database was told."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from playwright.sync_api import Locator, Page, expect

from db.annotation_views import HistoryRow, NewItem, NewProject
from db.annotations import create_project
from db.queries_annotations import get_project, history
from db.queries_questions import list_questions
from db.queries_runs import list_runs
from db.queries_texts import Database
from evaluators.label_rubric import load_label_rubric

Maker = Callable[..., str]
"""Creates a project, of so many questions, and returns its name: the fixture `project`."""


def make_project(
    engine: Database, name: str, count: int, *, first: int = 0, overlap: int = 1, blind: bool = True
) -> int:
    """Create a project on some of the questions of the only run, and return its id."""
    (run,) = list_runs(engine)
    found = list_questions(engine, (run.id,), offset=first, limit=count).rows
    rubric = load_label_rubric("steps").model_dump(mode="json")
    items = tuple(NewItem(run.uid, row.id) for row in found)
    return create_project(engine, NewProject(name, rubric, blind, overlap, 0, {}, items))


def visit(page: Page, address: str, name: str, person: str) -> None:
    """Open the workbench and wait for its first item."""
    page.goto(f"{address}/annotate?{urlencode({'project': name, 'as': person})}")
    expect(page.get_by_role("group", name="How good is this step?")).to_be_visible()
    expect(page.get_by_text("This page could not be drawn")).to_have_count(0)


def saved(page: Page) -> None:
    expect(page.get_by_text("everything is saved")).to_be_visible()


def changes(engine: Database, name: str) -> tuple[HistoryRow, ...]:
    found = get_project(engine, name)
    assert found is not None
    return history(engine, found.id)


def chosen(page: Page) -> Locator:
    return page.locator('.choice[aria-pressed="true"]')
