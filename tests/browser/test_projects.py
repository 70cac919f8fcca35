"""The pages around labelling in a real browser: from a new project to the last decision."""

from __future__ import annotations

import contextlib
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, TimeoutError, expect

from db.annotation_views import Change
from db.annotations import hand_out, record
from db.queries_annotations import get_project, history, slots_of
from db.queries_texts import Database

from .conftest import PATIENCE
from .desk import make_project

expect.set_options(timeout=PATIENCE)

HOSTILE = "**bold** <img src=x onerror=alert(1)> :red[name] $x^2$"
"""A name as a stranger may choose it."""


@pytest.fixture(scope="module")
def differing(labelled: Database) -> str:
    """A project of four items for two people, who differ on the second step of the first three."""
    project = make_project(labelled, HOSTILE, 4, overlap=2)
    for person, rating in (("ann", 1.0), (f"{HOSTILE} b"[:60], -1.0)):
        slots = hand_out(labelled, project, person, 4)
        for slot in slots[:3]:
            uid = f"{person}{slot.item_id}"
            told = Change(f"{uid}r", slot.item_id, 2, "rating", rating)
            comment = Change(f"{uid}c", slot.item_id, 2, "comment", HOSTILE)
            end = Change(f"{uid}s", slot.item_id, 0, "submit", None, 30.0)
            assert not record(labelled, project, person, [told, comment, end]).refused
    return HOSTILE


def visit(page: Page, address: str, **params: str) -> None:
    page.on("dialog", lambda dialog: pytest.fail("a script ran"))
    page.goto(f"{address}/annotate?{urlencode(params)}")
    expect(page.get_by_role("heading", name="Annotate")).to_be_visible()


def fits(page: Page) -> bool:
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    return bool(page.evaluate(overflow) <= 0)


def unfold(page: Page, title: str) -> None:
    """Open a folded part and let it come to rest: a press on what still slides ends on what has taken its place."""
    summary = page.locator("summary").filter(has_text=title)
    summary.click()
    part = summary.locator("xpath=..").element_handle()
    page.wait_for_function("part => part.open && part.getAnimations().length === 0", arg=part)


def choose(page: Page, label: str, option: str) -> None:
    """Choose from a list, opening it again if the page, drawn anew under it, has closed it."""
    found = page.get_by_role("option", name=option)
    for _ in range(3):
        page.get_by_label(label).click()
        with contextlib.suppress(TimeoutError):
            found.click(timeout=5000)
            page.keyboard.press("Escape")
            return
    raise AssertionError(f"{option} never stood in the list of {label}")


def test_a_project_is_made_by_the_form_and_labelled(
    browser_page: Page, labelling: str, labelled: Database, differing: str
) -> None:
    page = browser_page
    visit(page, labelling)
    expect(page.get_by_role("table", name="Projects")).to_be_visible()
    unfold(page, "New project")
    page.get_by_role("textbox", name="Name", exact=True).fill("made here")
    page.get_by_role("button", name="Create project").click()
    expect(page.get_by_text("Choose at least one run.")).to_be_visible()
    expect(page.get_by_role("textbox", name="Name", exact=True)).to_have_value("made here")
    expect(page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')).to_be_visible()
    choose(page, "Runs whose chains are to be labelled", "eval-steper")
    expect(page.get_by_role("button", name="eval-steper")).to_be_visible()
    page.get_by_role("button", name="Create project").click()
    expect(page.get_by_text("Nobody has taken an item yet.")).to_be_visible()
    page.get_by_role("radio", name="Label").click()
    who = page.get_by_role("combobox", name="Who are you?")
    who.fill("ann")
    who.press("Enter")
    expect(page.get_by_role("group", name="How good is this step?")).to_be_visible()
    made = get_project(labelled, "made here")
    assert made is not None and slots_of(labelled, made.id, "ann")
    page.get_by_role("button", name="change").click()
    expect(who).to_be_visible()
    page.get_by_role("button", name="All projects").click()
    expect(page.get_by_role("link", name="made here")).to_be_visible()


def test_disagreements_are_decided_one_after_the_other(
    browser_page: Page, labelling: str, labelled: Database, differing: str
) -> None:
    page = browser_page
    visit(page, labelling, project=differing, view="disagreements", **{"as": "dora"})
    rows = page.get_by_role("table", name="Disagreements").locator("tbody tr")
    expect(rows).to_have_count(3)
    assert page.locator(".root img, .root strong").count() == 0
    rows.nth(0).get_by_role("link").first.click()
    expect(page.get_by_text("Step 2 of")).to_be_visible()
    page.get_by_role("button", name="next open one").click()
    expect(page.get_by_text("Step 2 of 4")).to_be_visible()
    page.get_by_role("button", name="back to the list").click()
    expect(rows.nth(0)).to_contain_text("dora is deciding it")
    rows.nth(0).get_by_role("link").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Step 2 of")).to_be_visible()
    # The step, the one after it and the verdict on the chain; then the first step, which the desk asks for, to the end.
    for key in ["3", "Enter", "3", "Enter", "3", "Enter", "3", "Enter", "Enter", "Enter", "Enter"]:
        page.keyboard.press(key)
    expect(page.get_by_text("everything is saved")).to_be_visible()
    expect(page.get_by_text("Decided. The list of disagreements has the next one.")).to_be_visible()
    page.get_by_role("button", name="back to the list").click()
    expect(rows).to_have_count(2)
    page.get_by_role("radio", name="Decided (1)").click()
    expect(rows).to_have_count(1)
    rows.nth(0).get_by_role("link", name="history").click()
    past = page.get_by_role("table", name="History").locator("tbody tr")
    expect(past.filter(has_text="dora").filter(has_text="submitted")).to_have_count(1)
    expect(past.filter(has_text=HOSTILE).first).to_be_visible()
    page.get_by_role("radio", name="Disagreements").click()
    expect(rows).to_have_count(2)


def test_progress_gives_back_exports_and_imports(
    browser_page: Page, labelling: str, labelled: Database, differing: str, tmp_path: Path
) -> None:
    page = browser_page
    visit(page, labelling, project=differing, view="progress")
    people = page.get_by_role("table", name="People").locator("tbody tr")
    expect(people).to_have_count(2)
    expect(people.nth(1)).to_contain_text("120")
    found = get_project(labelled, differing)
    assert found is not None and len(slots_of(labelled, found.id, "ann")) == 4
    unfold(page, "Export and import")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="JSONL").click()
    file = tmp_path / "labels.jsonl"
    waiting.value.save_as(file)
    before = len(history(labelled, found.id))
    assert file.read_text("utf-8").count(differing.replace('"', '\\"')) > 0
    page.locator('input[type="file"]').set_input_files(file)
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("0 changes by")).to_be_visible()
    assert len(history(labelled, found.id)) == before
    page.get_by_role("button", name="Give back held items").click()
    page.get_by_role("combobox", name="Whose").click()
    page.get_by_role("option", name="ann", exact=True).click()
    page.get_by_role("button", name="Give back", exact=True).click()
    expect(people.filter(has_text="ann").locator("td").nth(3)).to_have_text("0")
    assert len(slots_of(labelled, found.id, "ann")) == 3


@pytest.mark.parametrize("view", ["progress", "disagreements"])
def test_narrow_windows_fit(browser_page: Page, labelling: str, differing: str, view: str) -> None:
    browser_page.set_viewport_size({"width": 900, "height": 800})
    visit(browser_page, labelling, project=differing, view=view)
    expect(browser_page.get_by_role("table").first).to_be_visible()
    assert fits(browser_page)
