"""The pages on a database that the real pipeline filled, with a tiny model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.formats import percent
from app.state import run_tokens
from db import RunRow, list_questions, list_runs, open_database

from .test_dashboard import visit


@pytest.fixture(scope="module")
def demo_url(whole_demo: tuple[Path, str]) -> str:
    """The database of the demo."""
    return f"sqlite:///{whole_demo[0] / 'steper.db'}"


@pytest.fixture(scope="module")
def address(start_dashboard: Callable[[str], str], demo_url: str) -> str:
    """A dashboard on it."""
    return start_dashboard(demo_url)


@pytest.fixture(scope="module")
def by_token(demo_url: str) -> dict[str, RunRow]:
    """The runs of the demo by what they are called in URLs."""
    return run_tokens(list_runs(open_database(demo_url)))


def token_of(by_token: dict[str, RunRow], name: str) -> str:
    return next(token for token, run in by_token.items() if run.name == name)


def test_runs_shows_every_system_with_its_figures(
    browser_page: Page, address: str, by_token: dict[str, RunRow]
) -> None:
    visit(browser_page, address)
    for run in by_token.values():
        expect(browser_page.get_by_text(run.name, exact=True).first).to_be_visible()
    gold = next(run for run in by_token.values() if run.name == "demo-eval-gold")
    row = browser_page.get_by_role("row").filter(has_text="demo-eval-gold")
    expect(row).to_contain_text(percent(gold.figures["em"].mean))


def test_chains_shows_two_systems_on_the_same_question(
    browser_page: Page, address: str, demo_url: str, by_token: dict[str, RunRow]
) -> None:
    names = ("demo-eval-gold", "demo-eval-steper-s0")
    tokens = [token_of(by_token, name) for name in names]
    visit(browser_page, f"{address}/chains?" + "&".join(f"run={token}" for token in tokens))
    ids = tuple(by_token[token].id for token in tokens)
    first = list_questions(open_database(demo_url), ids, limit=1).rows[0]
    expect(browser_page.get_by_text(first.text, exact=True).first).to_be_visible()
    expect(browser_page.get_by_text("So the answer is:").first).to_be_visible()


def test_training_shows_both_students(browser_page: Page, address: str, by_token: dict[str, RunRow]) -> None:
    tokens = [token_of(by_token, name) for name in ("demo-steper-s0", "demo-vanilla-kd-s0")]
    visit(browser_page, f"{address}/training?" + "&".join(f"run={token}" for token in tokens))
    expect(browser_page.get_by_text("Normalised sigma")).to_be_visible()
    for name in ("demo-steper-s0", "demo-vanilla-kd-s0"):
        expect(browser_page.get_by_text(name).first).to_be_visible()
