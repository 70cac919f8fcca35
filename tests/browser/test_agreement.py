"""The agreement page in a real browser: figures, the two raters' table, and the way to the steps behind a number."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from db.annotation_slots import hand_out
from db.annotation_views import Change, NewItem, NewProject
from db.annotations import create_project, record
from db.ingest import ingest_all
from db.queries_questions import list_questions
from db.queries_runs import list_runs
from db.queries_texts import Database
from db.session import open_database
from evaluators.label_rubric import load_label_rubric

from .conftest import PATIENCE
from .sample_runs import HOSTILE_NAME, write_evaluation

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """Twelve chains, rated by two people who differ on the second step of the first chain alone."""
    folder = tmp_path_factory.mktemp("agreement")
    write_evaluation(folder, "eval-steper", "steper")
    opened = open_database(f"sqlite:///{folder / 'steper.db'}")
    ingest_all(opened, folder)
    (run,) = list_runs(opened)
    rubric = load_label_rubric("steps").model_dump(mode="json")
    for name in ("empty", HOSTILE_NAME):
        items = tuple(NewItem(run.uid, row.id) for row in list_questions(opened, (run.id,), limit=12).rows)
        project = create_project(opened, NewProject(name, rubric, True, 2, 0, {}, items))
    for person in ("ann", HOSTILE_NAME[:60]):
        for place, slot in enumerate(hand_out(opened, project, person, ahead=12)):
            ratings = {1: 1.0, 2: -1.0 if place % 3 else (1.0 if place or person == "ann" else -1.0)}
            made = [
                Change(f"{person}{slot.item_id}{number}", slot.item_id, number, "rating", value)
                for number, value in ratings.items()
            ]
            done = Change(f"{person}{slot.item_id}s", slot.item_id, 0, "submit", None)
            assert record(opened, project, person, [*made, done]).refused == {}
    return opened


@pytest.fixture(scope="module")
def address(engine: Database, start_dashboard: Callable[[str], str]) -> str:
    return start_dashboard(str(engine.url))


def visit(page: Page, address: str, **params: str) -> None:
    page.goto(f"{address}/agreement?{urlencode(params)}")
    expect(page.get_by_role("heading", name="Agreement")).to_be_visible()
    expect(page.get_by_text("This page could not be drawn")).to_have_count(0)


def test_a_number_leads_to_the_steps_behind_it(browser_page: Page, address: str) -> None:
    page = browser_page
    visit(page, address, project=HOSTILE_NAME)
    expect(page.get_by_role("heading", name="People among themselves")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="all people")).to_contain_text("95.8")
    expect(page.get_by_role("heading", name="Judges and metrics against people")).to_be_visible()
    expect(page.get_by_text("On all labels metric sub_answer")).to_be_visible()
    # Rows are one person's labels and columns the other's: one step is bad here and good there.
    page.get_by_role("button", name="1: bad, good").or_(page.get_by_role("button", name="1: good, bad")).click()
    link = page.get_by_role("link", name="Where was the director")
    expect(link).to_have_count(1)
    assert "cell=" in page.url
    link.click()
    expect(page.get_by_label("Step 2").first).to_have_class("step  pointed")


def test_a_tag_can_be_asked_about_and_the_pair_is_chosen(browser_page: Page, address: str) -> None:
    page = browser_page
    visit(page, address, project=HOSTILE_NAME, about="tag:wrong_entity")
    # Nobody gave it: all equal, so that kappa says nothing.
    expect(page.get_by_role("row").filter(has_text="all people")).to_contain_text("100.0")
    visit(page, address, project=HOSTILE_NAME)
    page.get_by_role("button", name="metric sub_answer (best label or not)").click()
    expect(page.get_by_role("columnheader", name="not good")).to_be_visible()
    assert "second=metric" in page.url


def test_a_project_without_labels_and_an_unknown_one_say_so(browser_page: Page, address: str) -> None:
    visit(browser_page, address, project="empty")
    expect(browser_page.get_by_text("Nobody has submitted an item of this project yet")).to_be_visible()
    visit(browser_page, address, project="<b>nothing</b>")
    expect(browser_page.get_by_text("names a project that is not in this database")).to_be_visible()
    expect(browser_page.get_by_text("<b>nothing</b>")).to_be_visible()


def test_the_page_fits_a_narrow_window_and_hostile_names_do_nothing(browser_page: Page, address: str) -> None:
    browser_page.on("dialog", lambda dialog: pytest.fail("a script ran"))
    browser_page.set_viewport_size({"width": 900, "height": 900})
    visit(browser_page, address, project=HOSTILE_NAME)
    expect(browser_page.get_by_role("heading", name="Label by label")).to_be_visible()
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser_page.evaluate(overflow) <= 0
    assert browser_page.locator("img[src=x]").count() == 0
