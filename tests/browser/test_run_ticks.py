"""Ticks of the table of runs, drawing by drawing: the script alone, without a server between."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app.state import RunsState
from app.views.run_table import table_data
from db.queries import RunRow, list_runs
from db.session import open_database

ASSETS = Path(__file__).parents[2] / "app/views/assets"
MOUNT = """
async (source) => {
  const script = await import(`data:text/javascript;base64,${source}`);
  window.sent = [];
  const setTriggerValue = (_, event) => window.sent.push(event.value);
  document.body.replaceChildren();
  window.drawn = (data) => script.default({ data, parentElement: document.body, setTriggerValue });
}
"""


class Table:
    """The script on a blank page; `draw` is what the server's answer does."""

    def __init__(self, page: Page, runs: dict[str, RunRow]) -> None:
        self.page, self.runs = page, runs
        source = "\n".join((ASSETS / name).read_text("utf-8") for name in ("dom.js", "run_table.js"))
        page.evaluate(MOUNT, base64.b64encode(source.encode()).decode())

    def draw(self, *ticked: str) -> None:
        data = table_data(self.runs, list(self.runs.values()), {}, RunsState(ticked=ticked))
        self.page.evaluate("(data) => window.drawn(data)", data)

    def tick(self, token: str) -> None:
        self.page.locator(f"[data-focus=tick-{token}]").click()

    def ticked(self) -> set[str]:
        return {token for token in self.runs if self.page.locator(f"[data-focus=tick-{token}]").is_checked()}

    def sent(self) -> Any:
        return self.page.evaluate("window.sent.at(-1)")


@pytest.fixture
def table(browser_page: Page, sample_url: str) -> Iterator[Table]:
    evaluations = [run for run in list_runs(open_database(sample_url)) if run.kind == "evaluate" and run.chain_count]
    yield Table(browser_page, dict(zip("abc", evaluations, strict=False)))


def test_a_drawing_under_way_does_not_undo_a_tick(table: Table) -> None:
    table.draw()
    table.tick("a")
    table.tick("b")
    table.draw("a")
    assert table.ticked() == {"a", "b"}
    table.tick("c")
    assert table.sent() == ["a", "b", "c"]
    table.draw("a", "b", "c")
    table.tick("b")
    table.draw("a", "b", "c")
    assert table.ticked() == {"a", "c"}


def test_a_press_outlives_the_button_that_a_drawing_replaces(table: Table) -> None:
    table.draw()
    table.page.locator("[data-focus=tick-b]").hover()
    table.page.mouse.down()
    table.draw()
    table.page.mouse.up()
    assert table.sent() == ["b"]
    # One that ends on another button is none.
    table.page.locator("[data-focus=tick-a]").hover()
    table.page.mouse.down()
    table.draw("b")
    table.page.locator("[data-focus=tick-c]").hover()
    table.page.mouse.up()
    assert table.ticked() == {"b"} and table.sent() == ["b"]


def test_runs_are_not_followed_while_a_tick_is_on_its_way_and_none_is_ticked_beyond_the_last(table: Table) -> None:
    table.draw("a", "b")
    table.tick("c")
    assert table.page.locator(".compare .go").evaluate("(node) => node.inert")
    table.draw("a", "b", "c")
    assert not table.page.locator(".compare .go").evaluate("(node) => node.inert")


def test_what_was_drawn_can_be_undone_by_going_back(table: Table) -> None:
    table.draw()
    table.tick("a")
    table.draw("a")
    table.draw()
    assert table.ticked() == set()


def test_clear_takes_back_all_ticks(table: Table) -> None:
    table.draw("a", "b")
    expect(table.page.get_by_label(f"Compare {table.runs['a'].name}")).to_be_checked()
    table.page.get_by_role("button", name="clear").click()
    assert table.sent() == []
    table.draw("a", "b")
    assert table.ticked() == set()


def test_a_tick_that_was_not_taken_is_given_up(table: Table) -> None:
    table.draw()
    table.tick("a")
    table.page.evaluate("performance.now = () => 1e9")
    table.draw()
    assert table.ticked() == set()
