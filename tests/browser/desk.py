"""The labelling desk as tests see it: how it is opened, and what the database was told."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from playwright.sync_api import Locator, Page, expect

from db.annotation_views import HistoryRow
from db.queries_annotations import get_project, history
from db.queries_texts import Database

Maker = Callable[..., str]
"""Creates a project, of so many questions, and returns its name: the fixture `project`."""


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
