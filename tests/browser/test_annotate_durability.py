"""Labelling when things go wrong: nothing is lost, nothing is handed out twice, nothing is done again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from db.annotation_slots import release
from db.queries_annotations import get_project, item_rows, labels, slots_of
from db.queries_texts import Database

from .conftest import PATIENCE, ROOT, _free_port, _wait
from .desk import Maker, changes, chosen, saved, visit

expect.set_options(timeout=PATIENCE)


def test_a_comment_that_is_refused_is_typed_on(
    browser_page: Page, labelling: str, labelled: Database, project: Maker
) -> None:
    page, name = browser_page, project(1)
    visit(page, labelling, name, "ann")
    found = get_project(labelled, name)
    assert found is not None
    page.keyboard.press("c")
    page.keyboard.type("The year is ")
    saved(page)
    # Somebody thinks that ann has gone, and gives back what she holds.
    assert release(labelled, found.id, "ann") == 1
    page.keyboard.type("wrong, ")
    expect(page.get_by_text("not stored")).to_be_visible()
    page.keyboard.type("just 1 off")
    expect(page.get_by_label("Comment on step 1")).to_have_value("The year is wrong, just 1 off")
    page.keyboard.press("Control+Enter")
    saved(page)
    given = {(row.number, row.field): row.value for row in labels(labelled, found.id, submitted=False)}
    assert given == {(1, "comment"): "The year is wrong, just 1 off"}


def test_two_people_at_once_never_get_the_same_slot(
    chromium: Browser, labelling: str, labelled: Database, project: Maker
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
    found = get_project(labelled, name)
    assert found is not None
    submitted = Counter(row.item_id for row in changes(labelled, name) if row.field == "submit")
    assert submitted and set(submitted.values()) == {1}
    held = [slot.item_id for person in ("ann", "bob") for slot in slots_of(labelled, found.id, person)]
    assert len(held) == len(set(held)) == 8
    for page in pages:
        page.context.close()


def test_a_closed_tab_loses_no_draft(
    browser_page: Page, profile: BrowserContext, labelling: str, labelled: Database, project: Maker
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
    assert {(row.number, row.field) for row in changes(labelled, name)} >= {(1, "rating"), (1, "tags"), (2, "rating")}
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
def mortal(labelled: Database) -> Iterator[Server]:
    server = Server(str(labelled.url))
    yield server
    server.kill()


def test_labels_given_while_the_server_is_down_arrive_when_it_is_back(
    browser_page: Page, mortal: Server, labelled: Database, project: Maker
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
    found = get_project(labelled, name)
    assert found is not None
    first, second, *_ = item_rows(labelled, found.id)
    assert [(row.item_id, row.number, row.field, row.value) for row in changes(labelled, name)] == [
        (first.id, 1, "rating", 1),
        (first.id, 2, "rating", -1),
        (first.id, 2, "tags", ("contradiction",)),
        (first.id, 3, "rating", 0),
        (first.id, 0, "verdict", 1),
        (first.id, 0, "submit", None),
        (second.id, 1, "rating", 1),
    ]
