"""Labelling in a real browser: fast keys land where they were meant, and the desk shows what it may, as text."""

from __future__ import annotations

import time
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from db.annotation_slots import hand_out
from db.queries_annotations import get_project, item_rows, labels, slots_of
from db.queries_texts import Database

from .conftest import PATIENCE
from .desk import Maker, changes, chosen, saved, visit

expect.set_options(timeout=PATIENCE)


def test_ten_keys_a_second_land_on_the_items_they_were_meant_for(
    browser_page: Page, labelling: str, labelled: Database, project: Maker
) -> None:
    name = project(10)
    visit(browser_page, labelling, name, "ann")
    found = get_project(labelled, name)
    assert found is not None
    # Chains have three and four steps in turn. The verdict on an item tells its number, so that a slip would show.
    expected, pressed = {}, []
    for place, item in enumerate(item_rows(labelled, found.id, limit=10)):
        verdict = place % 3 + 1
        for number in range(1, 4 + place % 2):
            rating = (place + number) % 3 + 1
            pressed += [str(rating), "Enter"]
            expected[item.id, number, "rating"] = rating - 2
        pressed += [str(verdict), "Enter"]
        expected[item.id, 0, "verdict"] = (verdict - 1) / 2
    assert len(pressed) > 80
    begin = time.monotonic()
    for turn, key in enumerate(pressed):
        time.sleep(max(0.0, begin + turn * 0.1 - time.monotonic()))
        browser_page.keyboard.press(key)
    expect(browser_page.get_by_text("All items are done")).to_be_visible()
    saved(browser_page)
    given = {(row.item_id, row.number, row.field): row.value for row in labels(labelled, found.id)}
    assert given == expected
    assert {slot.state for slot in slots_of(labelled, found.id, "ann")} == {"submitted"}
    assert all(row.seconds is not None for row in changes(labelled, name) if row.field == "submit")


def test_a_key_shows_at_once_and_tags_comments_undo_and_back_work(
    browser_page: Page, labelling: str, labelled: Database, project: Maker
) -> None:
    page, name = browser_page, project(3)
    visit(page, labelling, name, "ann")
    press = page.keyboard.press
    before = page.locator(".controls").bounding_box()
    press("3")
    expect(chosen(page)).to_have_text(["3 ✓good"], use_inner_text=False)
    assert page.locator(".controls").bounding_box() == before
    press("1")
    press("q")
    press("e")
    expect(chosen(page)).to_have_count(3)
    press("q")
    press("u")
    press("u")
    expect(page.locator('.choice.tag[aria-pressed="true"]')).to_have_count(1)
    press("c")
    page.keyboard.type("3 is not the year, j k u")
    press("Control+Enter")
    expect(page.get_by_role("button", name="step 1")).to_contain_text("comment")
    press("Enter")
    expect(page.get_by_text("Step 2 of 3")).to_be_visible()
    press("Enter")
    press("Enter")
    press("Enter")
    # Step 2 has no rating: the way on leads back to it.
    expect(page.get_by_text("Step 2 of 3")).to_be_visible()
    expect(page.locator(".middle > [aria-live]")).to_have_text("step 2 has no rating yet")
    press("k")
    expect(page.get_by_text("Step 1 of 3")).to_be_visible()
    expect(page.get_by_label("Comment on step 1")).to_have_value("3 is not the year, j k u")
    saved(page)
    told = [(row.number, row.field, row.value) for row in changes(labelled, name)]
    assert told == [
        (1, "rating", 1),
        (1, "rating", -1),
        (1, "tags", ("unsupported",)),
        (1, "tags", ("unsupported", "wrong_entity")),
        (1, "tags", ("wrong_entity",)),
        (1, "tags", ("unsupported", "wrong_entity")),
        (1, "tags", ("unsupported",)),
        (1, "comment", "3 is not the year, j k u"),
    ]


def test_whoever_has_moved_on_stays_there_when_the_app_puts_the_desk_up_anew(
    browser_page: Page, labelling: str, labelled: Database, project: Maker
) -> None:
    page, name = browser_page, project(1)
    # Whoever decides is not who labels.
    address = f"{labelling}/annotate?{urlencode({'project': name, 'as': 'zoe'})}"
    found = get_project(labelled, name)
    assert found is not None
    (item,) = item_rows(labelled, found.id)
    page.goto(f"{address}&item={item.id}&place=2")
    expect(page.get_by_text("Step 2 of 3")).to_be_visible()
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Step 3 of 3")).to_be_visible()
    saved(page)
    desk = page.locator(".root", has=page.get_by_role("group", name="How good is this step?"))
    desk.evaluate("node => node.remove()")
    page.keyboard.press("3")
    expect(page.get_by_text("Step 3 of 3")).to_be_visible()
    page.keyboard.press("Enter")
    page.keyboard.press("1")
    saved(page)
    given = {(row.number, row.field): row.value for row in labels(labelled, found.id, submitted=False)}
    assert given == {(2, "rating"): 1, (3, "rating"): 1, (0, "verdict"): 0}


def test_the_second_click_of_a_double_one_takes_nothing_back_and_skips_nothing(
    browser_page: Page, labelling: str, labelled: Database, project: Maker
) -> None:
    name = project(4, first=4)
    visit(browser_page, labelling, name, "ann")
    browser_page.get_by_role("button", name="1 ").first.dblclick()
    expect(chosen(browser_page)).to_have_count(1)
    browser_page.get_by_role("button", name="Skip the item").dblclick()
    # Nor does a key that is held down on the button.
    browser_page.get_by_role("button", name="Skip the item").focus()
    for _ in range(3):
        browser_page.keyboard.down("Enter")
    browser_page.keyboard.up("Enter")
    saved(browser_page)
    assert [row.field for row in changes(labelled, name)] == ["rating", "skip", "skip"]


def test_a_submission_is_undone_and_a_skipped_item_comes_no_more(
    browser_page: Page, labelling: str, labelled: Database, project: Maker
) -> None:
    page, name = browser_page, project(3)
    visit(page, labelling, name, "ann")
    for key in ["3", "Enter", "3", "Enter", "3", "Enter", "3", "Enter", "u"]:
        page.keyboard.press(key)
    expect(page.get_by_text("The whole chain", exact=True)).to_be_visible()
    saved(page)
    found = get_project(labelled, name)
    assert found is not None and found.submitted == 0
    page.keyboard.press("s")
    expect(page.get_by_text("Step 1 of 4")).to_be_visible()
    saved(page)
    assert [slot.state for slot in slots_of(labelled, found.id, "ann")] == ["skipped", "held", "held"]
    assert [row.field for row in changes(labelled, name)][-3:] == ["submit", "reopen", "skip"]


def test_a_key_that_is_held_down_acts_once(
    browser_page: Page, labelling: str, labelled: Database, project: Maker
) -> None:
    name = project(6)
    visit(browser_page, labelling, name, "ann")
    for _ in range(5):
        browser_page.keyboard.down("s")
    browser_page.keyboard.up("s")
    saved(browser_page)
    expect(browser_page.get_by_text("item skipped")).to_be_visible()
    assert [row.field for row in changes(labelled, name)] == ["skip"]


def test_who_finds_nothing_free_is_not_told_that_all_is_done(
    browser_page: Page, labelling: str, labelled: Database, project: Maker
) -> None:
    name = project(2)
    found = get_project(labelled, name)
    assert found is not None
    hand_out(labelled, found.id, "bob", 2)
    browser_page.goto(f"{labelling}/annotate?{urlencode({'project': name, 'as': 'ann'})}")
    expect(browser_page.get_by_text("Nothing is free for you now")).to_be_visible()


def test_help_tells_the_keys_and_keys_with_modifiers_are_no_labels(
    browser_page: Page, labelling: str, labelled: Database, project: Maker
) -> None:
    page, name = browser_page, project(2)
    visit(page, labelling, name, "ann")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("rating: bad")
    page.keyboard.press("1")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("Control+3")
    page.keyboard.press("Alt+1")
    expect(chosen(page)).to_have_count(0)
    assert changes(labelled, name) == ()


def test_the_help_that_was_open_is_open_again(browser_page: Page, labelling: str, project: Maker) -> None:
    page, name = browser_page, project(2)
    visit(page, labelling, name, "ann")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_role("radio", name="Progress").click()
    expect(page.get_by_role("group", name="How good is this step?")).to_have_count(0)
    page.get_by_role("radio", name="Label").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("3")
    expect(chosen(page)).to_have_text(["3 ✓good"], use_inner_text=False)


def test_arrows_on_the_apps_own_buttons_are_theirs(
    browser_page: Page, labelling: str, labelled: Database, project: Maker
) -> None:
    page, name = browser_page, project(2)
    visit(page, labelling, name, "ann")
    page.get_by_role("radio", name="Label").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("Step 1 of 3")).to_be_visible()
    page.keyboard.press("1")
    expect(chosen(page)).to_have_count(1)


def test_what_a_blind_project_hides_is_not_even_sent_before_the_item_is_submitted(
    browser_page: Page, labelling: str, labelled: Database, project: Maker
) -> None:
    page, name = browser_page, project(2)
    received: list[str] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda data: received.append(str(data))))
    visit(page, labelling, name, "ann")
    told = "".join(received)
    assert "Glass Harbour" in told
    assert "MALMÖ" not in told and "eval-steper" not in told and "SmolLM2" not in told
    expect(page.get_by_text("What was hidden")).to_have_count(0)
    for key in ["3", "Enter", "3", "Enter", "3", "Enter", "3", "Enter"]:
        page.keyboard.press(key)
    saved(page)
    page.keyboard.press("k")
    expect(page.get_by_text("What was hidden")).to_be_visible()
    expect(page.locator(".revealed")).to_contain_text("eval-steper")


def test_an_open_project_shows_all_from_the_start(browser_page: Page, labelling: str, project: Maker) -> None:
    name = project(2, blind=False)
    visit(browser_page, labelling, name, "ann")
    expect(browser_page.locator(".revealed")).to_contain_text("eval-steper")


def test_hostile_text_is_text_and_huge_text_does_not_freeze_the_desk(
    browser_page: Page, labelling: str, labelled: Database, project: Maker
) -> None:
    page, name = browser_page, project(3, first=25)
    page.on("dialog", lambda dialog: pytest.fail("a script ran"))
    title = None
    visit(page, labelling, name, "<img src=x onerror=alert(1)> **ann**")
    title = page.title()
    for _ in range(3):
        expect(page.locator(".bar h2")).to_contain_text("hostile")
        assert page.locator(".work img, .work script, .work strong").count() == 0
        for key in ("1", "Enter", "1", "Enter"):
            page.keyboard.press(key)
    expect(page.get_by_text("All items are done")).to_be_visible()
    saved(page)
    assert page.title() == title
    found = get_project(labelled, name)
    assert found is not None and found.submitted == 3


def test_the_desk_fits_narrow_windows(browser_page: Page, labelling: str, project: Maker) -> None:
    name = project(2)
    browser_page.set_viewport_size({"width": 900, "height": 800})
    visit(browser_page, labelling, name, "ann")
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser_page.evaluate(overflow) <= 0
    for part in (".evidence", ".middle", ".side"):
        box = browser_page.locator(part).bounding_box()
        assert box is not None and box["width"] > 250 and box["x"] + box["width"] <= 900
