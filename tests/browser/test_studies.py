"""What a reader sees of a study, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.formats import interval, percent
from app.study_table import studies_of, study_result
from db import list_runs, open_database, run_arrays, score_arrays
from db.ingest import ingest_all

from .conftest import PATIENCE
from .sample_runs import write_studies
from .test_dashboard import overflow, visit

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("studies")
    write_studies(folder)
    address = f"sqlite:///{folder / 'steper.db'}"
    engine = open_database(address)
    assert [outcome.error for outcome in ingest_all(engine, Path(folder)) if outcome.error] == []
    engine.dispose()
    return address


@pytest.fixture(scope="module")
def address(url: str, start_dashboard: Callable[[str], str]) -> str:
    return start_dashboard(url)


def table(page: Page) -> list[list[str]]:
    """The words of each row."""
    rows = page.get_by_role("table", name="Variants").locator("tbody tr")
    expect(rows.first).to_be_visible()
    return [row.locator("td, th").all_inner_texts() for row in rows.all()]


def test_a_study_says_what_it_shows_above_its_table(browser_page: Page, address: str, url: str) -> None:
    visit(browser_page, f"{address}/studies")
    expect(browser_page.get_by_text("Methods of distillation on the same chains (paper: main results)")).to_be_visible()
    sentence = browser_page.get_by_text("25 questions cannot tell vanilla-kd (2 seeds) and steper (2 seeds) apart")
    expect(sentence).to_be_visible()
    rows = table(browser_page)
    assert [row[0].split("\n")[0] for row in rows] == ["base", "vanilla-kd", "steper"]
    engine = open_database(url)
    runs = studies_of(list_runs(engine))["methods"]
    ids = tuple(run.id for run in runs)
    result = study_result(runs, run_arrays(engine, ids), score_arrays(engine, ids))
    em = result.variants[2].means["em", ""]
    assert "".join(rows[2][1].splitlines()) == f"{percent(em.mean)}{interval(em.low, em.high)}"
    assert [row[-2] for row in rows] == ["1", "2", "2"]
    head = browser_page.get_by_role("table", name="Variants").bounding_box()
    words = sentence.bounding_box()
    assert head is not None and words is not None and words["y"] < head["y"]
    assert overflow(browser_page) <= 0


def test_figures_lead_to_their_chains_and_names_to_the_comparison(browser_page: Page, address: str) -> None:
    visit(browser_page, f"{address}/studies?study=methods")
    browser_page.get_by_role("table", name="Variants").get_by_role("link", name="steper", exact=True).click()
    expect(browser_page.get_by_role("heading", name="Compare")).to_be_visible()
    assert browser_page.url.count("run=") == 2
    visit(browser_page, f"{address}/studies?study=methods")
    rows = browser_page.get_by_role("table", name="Variants").locator("tbody tr")
    rows.nth(0).get_by_role("link").nth(1).click()
    expect(browser_page.get_by_role("heading", name="Chains")).to_be_visible()


def test_sizes_are_drawn_over_parameters_and_a_choice_stays_in_the_address(browser_page: Page, address: str) -> None:
    visit(browser_page, f"{address}/studies?study=sizes&score=f1")
    chart = browser_page.locator(".js-plotly-plot")
    expect(chart.get_by_text("Parameters of the student")).to_be_visible()
    expect(chart.get_by_text("F1, percent")).to_be_visible()
    expect(chart.get_by_text("2x", exact=True)).to_be_visible()
    browser_page.get_by_role("combobox", name="Study").click()
    browser_page.get_by_role("option", name="methods").click()
    expect(browser_page.get_by_text("Methods of distillation on the same chains")).to_be_visible()
    expect(browser_page).to_have_url(f"{address}/studies?study=methods&score=f1")


def test_a_link_to_an_unknown_study_is_told_and_another_shown(browser_page: Page, address: str) -> None:
    visit(browser_page, f"{address}/studies?study=**gone**")
    expect(browser_page.get_by_text("names a study that is not in this database")).to_be_visible()
    assert len(table(browser_page)) == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_window_holds_the_table(browser_page: Page, address: str, scheme: str) -> None:
    browser_page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    browser_page.set_viewport_size({"width": 900, "height": 900})
    visit(browser_page, f"{address}/studies")
    assert len(table(browser_page)) == 3
    assert overflow(browser_page) <= 0


def test_on_a_telephone_figures_stay_in_one_piece(browser_page: Page, address: str) -> None:
    browser_page.set_viewport_size({"width": 420, "height": 900})
    visit(browser_page, f"{address}/studies")
    assert len(table(browser_page)) == 3
    # A text that is broken into lines has a rectangle for each.
    lines = "nodes => Math.max(...nodes.map(node => node.getClientRects().length))"
    assert browser_page.locator("td.right .data").evaluate_all(lines) == 1
    assert overflow(browser_page) <= 0


def test_without_studies_the_page_says_how_to_run_one(browser_page: Page, empty_dashboard: str, dashboard: str) -> None:
    visit(browser_page, f"{dashboard}/studies")
    expect(browser_page.get_by_text("No study is in this database yet.")).to_be_visible()
    visit(browser_page, f"{empty_dashboard}/studies")
    expect(browser_page.get_by_role("heading", name="No runs yet")).to_be_visible()
