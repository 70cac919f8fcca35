"""Reading a chain: words and passages that point at each other, people's labels, filters, links to steps."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from app.state import run_tokens
from db.annotation_slots import hand_out
from db.annotation_views import Change, NewItem, NewProject
from db.annotations import create_project, record
from db.ingest import ingest_all
from db.queries_questions import list_questions
from db.queries_runs import list_runs
from db.queries_texts import Database
from db.session import open_database
from db.views import QuestionFilter
from evaluators.label_rubric import load_label_rubric

from .conftest import PATIENCE
from .sample_runs import write_evaluation

expect.set_options(timeout=PATIENCE)

HOSTILE = "<b>x</b> **y** ![i](https://evil.example/i.png) :red[z]"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """Two runs; of the first, two people labelled the first two chains and differ on the second."""
    folder = tmp_path_factory.mktemp("chains")
    for name in ("steper", "vanilla-kd"):
        write_evaluation(folder, f"eval-{name}", name)
    opened = open_database(f"sqlite:///{folder / 'steper.db'}")
    ingest_all(opened, folder)
    run = next(run for run in list_runs(opened) if run.name == "eval-steper")
    ids = [row.id for row in list_questions(opened, (run.id,), limit=2).rows]
    rubric = load_label_rubric("steps").model_dump(mode="json")
    items = tuple(NewItem(run.uid, number) for number in ids)
    project = create_project(opened, NewProject(f"first {HOSTILE}", rubric, True, 2, 0, {}, items))
    for person, ratings in (("ann", (1, 1)), (f"bob {HOSTILE}", (1, -1))):
        for slot, rating in zip(hand_out(opened, project, person), ratings, strict=True):
            made = [
                Change(f"{person}{slot.item_id}r", slot.item_id, 2, "rating", float(rating)),
                Change(f"{person}{slot.item_id}t", slot.item_id, 2, "tags", ("wrong_entity",)),
                Change(f"{person}{slot.item_id}c", slot.item_id, 2, "comment", HOSTILE),
                Change(f"{person}{slot.item_id}s", slot.item_id, 0, "submit", None),
            ]
            assert record(opened, project, person, made).refused == {}
    return opened


@pytest.fixture(scope="module")
def address(engine: Database, start_dashboard: Callable[[str], str]) -> str:
    return start_dashboard(str(engine.url))


@pytest.fixture(scope="module")
def tokens(engine: Database) -> dict[str, str]:
    return {run.name: token for token, run in run_tokens(list_runs(engine)).items()}


def visit(page: Page, address: str, **params: str | list[str]) -> None:
    page.goto(f"{address}/chains?{urlencode(params, doseq=True)}")
    expect(page.get_by_role("article", name="Run A").or_(page.get_by_text("No question matches"))).to_be_visible()
    expect(page.get_by_text("This page could not be drawn")).to_have_count(0)


def test_a_word_and_its_passage_point_at_each_other(browser_page: Page, address: str, tokens: dict[str, str]) -> None:
    visit(browser_page, address, run=tokens["eval-steper"])
    article = browser_page.get_by_role("article", name="Run A")
    word = article.get_by_role("button", name="Glass Harbour").first
    passage = article.locator("li[data-passage]").filter(has_text="The Glass Harbour (film)")
    word.hover()
    expect(passage).to_have_class("lit")
    passage.hover()
    expect(word).to_have_class("grounded lit")
    expect(passage.locator(".text")).to_be_hidden()
    word.focus()
    browser_page.keyboard.press("Enter")
    expect(passage.locator(".text")).to_be_visible()
    expect(article.get_by_text("searched with the question")).to_be_visible()
    expect(article.get_by_text("searched with the line before").first).to_be_visible()


def test_people_stand_beside_scores_and_what_they_wrote_is_text(
    browser_page: Page, address: str, tokens: dict[str, str]
) -> None:
    visit(browser_page, address, run=tokens["eval-steper"], mark="disagreed")
    step = browser_page.get_by_label("Step 2").first
    people = step.get_by_label("Labels of people")
    expect(people.get_by_role("listitem")).to_have_count(2)
    expect(people).to_contain_text("good")
    expect(people).to_contain_text("bad")
    expect(people).to_contain_text("wrong entity")
    expect(people).to_contain_text(f"bob {HOSTILE}"[:30])
    assert people.locator("img, b, strong, script").count() == 0


def test_filters_combine_and_live_in_the_url(
    browser_page: Page, address: str, tokens: dict[str, str], engine: Database
) -> None:
    page = browser_page
    visit(page, address, run=tokens["eval-steper"])
    page.get_by_role("button", name="More filters").click()
    page.get_by_label("Chains that are").click()
    page.get_by_role("option", name="labelled by people").click()
    expect(page.get_by_text("1–2 of 2")).to_be_visible()
    assert "mark=annotated" in page.url
    page.keyboard.press("Escape")
    visit(page, address, run=tokens["eval-steper"], mark=["annotated", "disagreed"])
    expect(page.get_by_text("1–1 of 1")).to_be_visible()
    expect(page.get_by_role("button", name="More filters (2)")).to_be_visible()
    visit(page, address, run=tokens["eval-steper"], steps="4", outcome="right")
    run = next(run for run in list_runs(engine) if run.name == "eval-steper")
    shown = page.get_by_role("navigation", name="Questions").get_by_role("listitem").count()
    where = QuestionFilter("right", step_counts=(4,))
    assert shown == list_questions(engine, (run.id,), where).total > 0


def test_a_link_leads_to_a_step(browser_page: Page, address: str, tokens: dict[str, str]) -> None:
    visit(browser_page, address, run=tokens["eval-steper"], step="3")
    step = browser_page.get_by_label("Step 3").first
    expect(step).to_have_class("step  pointed")
    expect(step).to_be_in_viewport()


@pytest.mark.parametrize(("width", "position"), [(900, "sticky"), (390, "static")])
def test_the_list_of_questions_stays_in_sight_only_beside_the_chain(
    browser_page: Page, address: str, tokens: dict[str, str], width: int, position: str
) -> None:
    """Above it, as in a narrow window, it would lie over the chain."""
    browser_page.set_viewport_size({"width": width, "height": 800})
    visit(browser_page, address, run=tokens["eval-steper"])
    column = browser_page.locator(".stColumn:has(.st-key-question_column)").last
    expect(column).to_have_css("position", position)


@pytest.mark.parametrize("width", [1280, 900])
def test_the_filters_do_not_break_the_page(
    browser_page: Page, address: str, tokens: dict[str, str], width: int
) -> None:
    browser_page.set_viewport_size({"width": width, "height": 900})
    visit(browser_page, address, run=[tokens["eval-steper"], tokens["eval-vanilla-kd"]])
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser_page.evaluate(overflow) <= 0
    for name in ("Search questions", "More filters"):
        box = browser_page.get_by_label(name).or_(browser_page.get_by_role("button", name=name)).first.bounding_box()
        assert box is not None and box["x"] + box["width"] <= width
