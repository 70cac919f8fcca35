"""Labelling in a real browser: fast keys land where they were meant, nothing is lost, nothing is handed out twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from db.annotation_slots import hand_out, release
from db.annotation_views import HistoryRow, NewItem, NewProject
from db.annotations import create_project
from db.ingest import ingest_all
from db.queries_annotations import get_project, history, item_rows, labels, slots_of
from db.queries_questions import list_questions
from db.queries_runs import list_runs
from db.queries_texts import Database
from db.session import open_database
from evaluators.label_rubric import load_label_rubric

from .conftest import PATIENCE, ROOT, _free_port, _wait
from .sample_runs import write_evaluation

expect.set_options(timeout=PATIENCE)

Maker = Callable[..., str]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database of its own: other tests look at one that nobody labels in."""
    folder = tmp_path_factory.mktemp("labelled")
    write_evaluation(folder, "eval-steper", "steper", hostile=3)
    place = f"sqlite:///{folder / 'steper.db'}"
    engine = open_database(place)
    ingest_all(engine, folder)
    engine.dispose()
    return place


@pytest.fixture(scope="module")
def engine(url: str) -> Database:
    return open_database(url)


@pytest.fixture(scope="module")
def labelling(start_dashboard: Callable[[str], str], url: str) -> str:
    return start_dashboard(url)


@pytest.fixture
def project(engine: Database, request: pytest.FixtureRequest) -> Maker:
    """Creates a project named after the test on some of the questions, and returns its name."""

    def make(count: int = 12, *, first: int = 0, overlap: int = 1, blind: bool = True) -> str:
        (run,) = list_runs(engine)
        found = list_questions(engine, (run.id,), offset=first, limit=count).rows
        rubric = load_label_rubric("steps").model_dump(mode="json")
        items = tuple(NewItem(run.uid, row.id) for row in found)
        name = request.node.name
        create_project(engine, NewProject(name, rubric, blind, overlap, 0, {}, items))
        return name

    return make


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


def test_ten_keys_a_second_land_on_the_items_they_were_meant_for(
    browser_page: Page, labelling: str, engine: Database, project: Maker
) -> None:
    name = project(10)
    visit(browser_page, labelling, name, "ann")
    found = get_project(engine, name)
    assert found is not None
    # Chains have three and four steps in turn. The verdict on an item tells its number, so that a slip would show.
    expected, pressed = {}, []
    for place, item in enumerate(item_rows(engine, found.id, limit=10)):
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
    given = {(row.item_id, row.number, row.field): row.value for row in labels(engine, found.id)}
    assert given == expected
    assert {slot.state for slot in slots_of(engine, found.id, "ann")} == {"submitted"}
    assert all(row.seconds is not None for row in changes(engine, name) if row.field == "submit")


def test_a_key_shows_at_once_and_tags_comments_undo_and_back_work(
    browser_page: Page, labelling: str, engine: Database, project: Maker
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
    told = [(row.number, row.field, row.value) for row in changes(engine, name)]
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
    browser_page: Page, labelling: str, engine: Database, project: Maker
) -> None:
    page, name = browser_page, project(1)
    # Whoever decides is not who labels.
    address = f"{labelling}/annotate?{urlencode({'project': name, 'as': 'zoe'})}"
    found = get_project(engine, name)
    assert found is not None
    (item,) = item_rows(engine, found.id)
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
    given = {(row.number, row.field): row.value for row in labels(engine, found.id, submitted=False)}
    assert given == {(2, "rating"): 1, (3, "rating"): 1, (0, "verdict"): 0}


def test_the_second_click_of_a_double_one_takes_nothing_back_and_skips_nothing(
    browser_page: Page, labelling: str, engine: Database, project: Maker
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
    assert [row.field for row in changes(engine, name)] == ["rating", "skip", "skip"]


def test_a_submission_is_undone_and_a_skipped_item_comes_no_more(
    browser_page: Page, labelling: str, engine: Database, project: Maker
) -> None:
    page, name = browser_page, project(3)
    visit(page, labelling, name, "ann")
    for key in ["3", "Enter", "3", "Enter", "3", "Enter", "3", "Enter", "u"]:
        page.keyboard.press(key)
    expect(page.get_by_text("The whole chain", exact=True)).to_be_visible()
    saved(page)
    found = get_project(engine, name)
    assert found is not None and found.submitted == 0
    page.keyboard.press("s")
    expect(page.get_by_text("Step 1 of 4")).to_be_visible()
    saved(page)
    assert [slot.state for slot in slots_of(engine, found.id, "ann")] == ["skipped", "held", "held"]
    assert [row.field for row in changes(engine, name)][-3:] == ["submit", "reopen", "skip"]


def test_a_key_that_is_held_down_acts_once(
    browser_page: Page, labelling: str, engine: Database, project: Maker
) -> None:
    name = project(6)
    visit(browser_page, labelling, name, "ann")
    for _ in range(5):
        browser_page.keyboard.down("s")
    browser_page.keyboard.up("s")
    saved(browser_page)
    expect(browser_page.get_by_text("item skipped")).to_be_visible()
    assert [row.field for row in changes(engine, name)] == ["skip"]


def test_who_finds_nothing_free_is_not_told_that_all_is_done(
    browser_page: Page, labelling: str, engine: Database, project: Maker
) -> None:
    name = project(2)
    found = get_project(engine, name)
    assert found is not None
    hand_out(engine, found.id, "bob", 2)
    browser_page.goto(f"{labelling}/annotate?{urlencode({'project': name, 'as': 'ann'})}")
    expect(browser_page.get_by_text("Nothing is free for you now")).to_be_visible()


def test_help_tells_the_keys_and_keys_with_modifiers_are_no_labels(
    browser_page: Page, labelling: str, engine: Database, project: Maker
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
    assert changes(engine, name) == ()


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
    browser_page: Page, labelling: str, engine: Database, project: Maker
) -> None:
    page, name = browser_page, project(2)
    visit(page, labelling, name, "ann")
    page.get_by_role("radio", name="Label").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("Step 1 of 3")).to_be_visible()
    page.keyboard.press("1")
    expect(chosen(page)).to_have_count(1)


def test_a_comment_that_is_refused_is_typed_on(
    browser_page: Page, labelling: str, engine: Database, project: Maker
) -> None:
    page, name = browser_page, project(1)
    visit(page, labelling, name, "ann")
    found = get_project(engine, name)
    assert found is not None
    page.keyboard.press("c")
    page.keyboard.type("The year is ")
    saved(page)
    # Somebody thinks that ann has gone, and gives back what she holds.
    assert release(engine, found.id, "ann") == 1
    page.keyboard.type("wrong, ")
    expect(page.get_by_text("not stored")).to_be_visible()
    page.keyboard.type("just 1 off")
    expect(page.get_by_label("Comment on step 1")).to_have_value("The year is wrong, just 1 off")
    page.keyboard.press("Control+Enter")
    saved(page)
    given = {(row.number, row.field): row.value for row in labels(engine, found.id, submitted=False)}
    assert given == {(1, "comment"): "The year is wrong, just 1 off"}


def test_two_people_at_once_never_get_the_same_slot(
    chromium: Browser, labelling: str, engine: Database, project: Maker
) -> None:
    name = project(8)
    pages = [chromium.new_context().new_page() for _ in range(2)]
    for page, person in zip(pages, ("ann", "bob"), strict=True):
        visit(page, labelling, name, person)
    for _ in range(8):
        for page in pages:
            for key in ["3", "Enter", "3", "Enter", "3", "Enter", "3", "Enter", "3", "Enter"]:
                page.keyboard.press(key)
    for page in pages:
        page.wait_for_timeout(500)
        saved(page)
    found = get_project(engine, name)
    assert found is not None
    submitted = Counter(row.item_id for row in changes(engine, name) if row.field == "submit")
    assert submitted and set(submitted.values()) == {1}
    held = [slot.item_id for person in ("ann", "bob") for slot in slots_of(engine, found.id, person)]
    assert len(held) == len(set(held)) == 8
    for page in pages:
        page.context.close()


def test_a_closed_tab_loses_no_draft(
    browser_page: Page, profile: BrowserContext, labelling: str, engine: Database, project: Maker
) -> None:
    name = project(2)
    visit(browser_page, labelling, name, "ann")
    for key in ["1", "e", "Enter", "2"]:
        browser_page.keyboard.press(key)
    browser_page.keyboard.press("c")
    browser_page.keyboard.type("half a thou")
    # The tab is gone before the server can have answered.
    browser_page.evaluate("document.activeElement?.blur?.()")
    browser_page.close(run_before_unload=False)
    again = profile.new_page()
    visit(again, labelling, name, "ann")
    saved(again)
    expect(again.get_by_role("button", name="step 1")).to_contain_text("bad")
    expect(again.get_by_role("button", name="step 2")).to_contain_text("neutral")
    assert {(row.number, row.field) for row in changes(engine, name)} >= {(1, "rating"), (1, "tags"), (2, "rating")}
    # What was done before the tab was closed can be undone after it.
    again.keyboard.press("u")
    again.close()


def test_what_was_undone_is_not_done_again_by_undo_after_a_reload(
    browser_page: Page, labelling: str, project: Maker
) -> None:
    page, name = browser_page, project(1)
    visit(page, labelling, name, "ann")
    page.keyboard.press("1")
    page.keyboard.press("c")
    page.keyboard.type("Why?")
    page.keyboard.press("Escape")
    for key in ["u", "e", "u"]:
        page.keyboard.press(key)
    expect(chosen(page)).to_have_text(["1 ✗bad"], use_inner_text=False)
    saved(page)
    visit(page, labelling, name, "ann")
    first = page.get_by_role("button", name="step 1")
    expect(first).to_contain_text("bad")
    page.keyboard.press("u")
    expect(first).not_to_contain_text("bad")
    for word in ("unsupported", "comment"):
        expect(first).not_to_contain_text(word)


class Server:
    """A dashboard that can be killed and started again under the same address."""

    def __init__(self, url: str) -> None:
        self.port = _free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._url = url
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app/streamlit_app.py")]
        options = [f"--server.port={self.port}", "--server.address=127.0.0.1", "--server.headless=true"]
        self._process = subprocess.Popen(
            [*command, *options], env={**os.environ, "STEPER_DATABASE_URL": self._url}, cwd=ROOT
        )
        _wait(f"{self.address}/_stcore/health", self._process)

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


@pytest.fixture
def mortal(url: str) -> Iterator[Server]:
    server = Server(url)
    yield server
    server.kill()


def test_labels_given_while_the_server_is_down_arrive_when_it_is_back(
    browser_page: Page, mortal: Server, engine: Database, project: Maker
) -> None:
    page, name = browser_page, project(4)
    visit(page, mortal.address, name, "ann")
    page.keyboard.press("3")
    saved(page)
    mortal.kill()
    for key in ["Enter", "1", "w", "Enter", "2", "Enter", "3", "Enter", "3"]:
        page.keyboard.press(key)
        time.sleep(0.1)
    expect(page.get_by_text("saving 6 changes…")).to_be_visible()
    mortal.start()
    saved(page)
    found = get_project(engine, name)
    assert found is not None
    first, second, *_ = item_rows(engine, found.id)
    assert [(row.item_id, row.number, row.field, row.value) for row in changes(engine, name)] == [
        (first.id, 1, "rating", 1),
        (first.id, 2, "rating", -1),
        (first.id, 2, "tags", ("contradiction",)),
        (first.id, 3, "rating", 0),
        (first.id, 0, "verdict", 1),
        (first.id, 0, "submit", None),
        (second.id, 1, "rating", 1),
    ]


def test_what_a_blind_project_hides_is_not_even_sent_before_the_item_is_submitted(
    browser_page: Page, labelling: str, engine: Database, project: Maker
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
    browser_page: Page, labelling: str, engine: Database, project: Maker
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
    found = get_project(engine, name)
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
