"""What a reader sees and does on the compare page, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from app.formats import interval, percent
from app.state import run_tokens
from db.queries import QuestionFilter, RunRow, list_questions, list_runs
from db.session import open_database

from .conftest import PATIENCE
from .sample_runs import HOSTILE_NAME
from .test_dashboard import overflow, visit

expect.set_options(timeout=PATIENCE)

VANILLA, STEPER, BASE = "eval-vanilla-s1", "eval-steper-s1", "eval-base"


@pytest.fixture(scope="module")
def known(sample_url: str) -> dict[str, tuple[str, RunRow]]:
    """The sample's runs and what they are called in URLs, by name."""
    return {run.name: (token, run) for token, run in run_tokens(list_runs(open_database(sample_url))).items()}


@pytest.fixture
def opened(browser_page: Page, dashboard: str, known: dict[str, tuple[str, RunRow]]) -> Iterator[Page]:
    """The page on three runs; a test that uses it fails where the page's scripts threw or asked another place."""
    faults: list[str] = []
    browser_page.on("pageerror", lambda error: faults.append(str(error)))
    browser_page.on(
        "request",
        lambda request: (
            None if request.url.startswith((dashboard, f"blob:{dashboard}", "data:")) else faults.append(request.url)
        ),
    )
    visit(browser_page, address(dashboard, known, VANILLA, STEPER, BASE))
    yield browser_page
    assert faults == []


def address(dashboard: str, known: dict[str, tuple[str, RunRow]], *names: str, **params: str) -> str:
    pairs = [*(f"run={known[name][0]}" for name in names), *(f"{key}={value}" for key, value in params.items())]
    return f"{dashboard}/compare?{'&'.join(pairs)}"


def row(page: Page, table: str, label: str) -> Locator:
    """A line of a table by its name."""
    lines = page.get_by_role("table", name=table, exact=True).locator("tbody tr")
    return lines.filter(has=page.locator(".name .data, .name .chip").get_by_text(label, exact=True))


def test_the_verdict_and_the_matrix_stand_on_the_first_screen(
    opened: Page, known: dict[str, tuple[str, RunRow]]
) -> None:
    sentences = opened.locator(".verdict .sentence")
    expect(sentences).to_have_count(2)
    expect(sentences.first).to_contain_text("25 questions cannot tell eval-vanilla-s1 and eval-steper-s1 apart by em")
    expect(sentences.first).to_be_in_viewport()
    cells = row(opened, "Scores", "EM").locator("td")
    for place, name in enumerate((VANILLA, STEPER, BASE)):
        em = known[name][1].figures["em"]
        expect(cells.nth(place)).to_contain_text(f"{percent(em.mean)}{interval(em.low, em.high)}")
    expect(cells.nth(1)).to_be_in_viewport()
    expect(cells.nth(1)).to_contain_text("+16.0")
    expect(row(opened, "Scores", "EM")).to_contain_text("equals a gold answer once both are normalised")


def test_the_numbers_of_the_flow_lead_to_their_questions(
    opened: Page, dashboard: str, known: dict[str, tuple[str, RunRow]], sample_url: str
) -> None:
    ids = (known[VANILLA][1].id, known[STEPER][1].id)
    total = list_questions(open_database(sample_url), ids, QuestionFilter(outcome="fixed")).total
    fixed = opened.get_by_role("region", name="Run B against run A").get_by_role("link", name="fixed")
    expect(fixed.locator(".count")).to_have_text(str(total))
    fixed.click()
    expect(opened).to_have_url(
        f"{dashboard}/chains?run={known[VANILLA][0]}&run={known[STEPER][0]}&outcome=fixed", timeout=PATIENCE
    )
    expect(opened.locator("nav .head")).to_contain_text(re.compile(rf"of {total}$"))
    expect(opened.get_by_role("article", name="Run A").locator(".final")).to_contain_text("✗")
    expect(opened.get_by_role("article", name="Run B").locator(".final")).to_contain_text("✓")
    opened.go_back()
    expect(opened.locator(".verdict .sentence")).to_have_count(2)
    expect(opened).to_have_url(address(dashboard, known, VANILLA, STEPER, BASE))
    opened.go_forward()
    expect(opened.locator("nav .head")).to_contain_text(re.compile(rf"of {total}$"))


def test_a_number_by_kind_leads_to_the_questions_of_that_kind(
    opened: Page, known: dict[str, tuple[str, RunRow]], sample_url: str
) -> None:
    row(opened, "By kind", "compositional").get_by_role("link").nth(2).click()
    expect(opened).to_have_url(re.compile(rf"run={known[VANILLA][0]}&run={known[BASE][0]}&kind=compositional"))
    expect(opened.locator("nav .head")).to_contain_text(re.compile(r"of 16$"))


def test_another_run_becomes_the_reference(opened: Page, known: dict[str, tuple[str, RunRow]]) -> None:
    opened.get_by_role("button", name="Make run C the reference").first.click()
    tokens = [known[name][0] for name in (BASE, VANILLA, STEPER)]
    expect(opened).to_have_url(re.compile("&".join(f"run={token}" for token in tokens)))
    expect(opened.locator(".verdict .sentence").first).to_contain_text("eval-base and eval-vanilla-s1")
    heads = opened.get_by_role("table", name="Scores", exact=True).locator("thead th")
    expect(heads.nth(1)).to_contain_text("reference")
    expect(heads.nth(1)).to_contain_text(BASE)


def test_a_row_opens_and_its_score_comes_into_focus(opened: Page) -> None:
    recall = row(opened, "Scores", "Hops reached")
    recall.get_by_role("button").click()
    details = opened.locator("tr.details")
    expect(details).to_contain_text("n = 25")
    expect(details).to_contain_text("after Holm")
    details.get_by_role("button", name="put this score in focus").click()
    expect(opened).to_have_url(re.compile("score=hops_reached"))
    expect(opened.locator(".verdict .sentence").first).to_contain_text("hops_reached")
    expect(row(opened, "Scores", "Hops reached").locator(".focus")).to_be_visible()


def test_all_scores_are_shown_on_demand(opened: Page) -> None:
    expect(row(opened, "Scores", "Acc, whole text")).to_have_count(0)
    opened.get_by_role("button", name=re.compile(r"show all \d+ scores")).click()
    expect(opened).to_have_url(re.compile("scores=all"))
    expect(row(opened, "Scores", "Acc, whole text")).to_have_count(1)
    opened.get_by_role("button", name="main scores only").click()
    expect(row(opened, "Scores", "Acc, whole text")).to_have_count(0)


def test_the_score_and_the_ability_are_chosen_and_stand_in_the_url(opened: Page) -> None:
    opened.get_by_label("Score", exact=True).click()
    opened.get_by_role("option", name="Sub-answers").click()
    expect(opened).to_have_url(re.compile("score=sub_answer"))
    opened.get_by_role("radio", name="exp").click()
    expect(opened).to_have_url(re.compile("ability=expansion"))
    expect(opened.locator(".verdict .sentence").first).to_contain_text("sub_answer (expansion)")


def test_ticked_runs_are_compared(browser_page: Page, dashboard: str, known: dict[str, tuple[str, RunRow]]) -> None:
    visit(browser_page, dashboard)
    for name in (VANILLA, STEPER, BASE, "eval-failed"):
        browser_page.get_by_label(f"Compare {name}").check()
    expect(browser_page.get_by_role("link", name="Compare chains of A, B, C")).to_be_visible()
    browser_page.get_by_role("link", name="Compare scores").click()
    tokens = [known[name][0] for name in (VANILLA, STEPER, BASE, "eval-failed")]
    expect(browser_page).to_have_url(re.compile("compare.*" + "&".join(f"run={token}" for token in tokens)))
    expect(browser_page.locator(".warnings")).to_contain_text("not finished: eval-failed")
    expect(browser_page.locator(".verdict .sentence")).not_to_have_count(0)


def test_without_runs_the_newest_that_belong_together_are_one_click_away(
    browser_page: Page, dashboard: str, known: dict[str, tuple[str, RunRow]]
) -> None:
    visit(browser_page, f"{dashboard}/compare")
    browser_page.get_by_role("button", name="Compare the newest runs").click()
    expect(browser_page).to_have_url(re.compile(f"run={known[VANILLA][0]}&run={known[STEPER][0]}&run={known[BASE][0]}"))
    expect(browser_page.locator(".verdict .sentence").first).to_be_visible()


def test_nothing_is_wider_than_a_phone_and_hostile_names_do_nothing(
    opened: Page, dashboard: str, known: dict[str, tuple[str, RunRow]]
) -> None:
    opened.set_viewport_size({"width": 390, "height": 800})
    for names in ((VANILLA, STEPER, BASE), (BASE, HOSTILE_NAME, VANILLA, STEPER, "eval-failed")):
        visit(opened, address(dashboard, known, *names, scores="all"))
        expect(opened.get_by_role("table", name="Cost", exact=True)).to_be_visible()
        assert overflow(opened) <= 0
    expect(opened.get_by_role("table", name="Scores", exact=True)).to_contain_text(HOSTILE_NAME[:30])
    assert opened.locator("img[src=x], main b, .katex").count() == 0
    for field in opened.locator("main input:visible, section input:visible").all():
        assert field.evaluate(
            "node => node.ariaLabel || node.labels?.[0]?.innerText || node.ariaLabelledByElements?.length"
        )


def test_the_curve_of_a_training_run_stands_beside_its_losses(
    browser_page: Page, dashboard: str, known: dict[str, tuple[str, RunRow]]
) -> None:
    visit(browser_page, f"{dashboard}/compare?train={known['steper-s1'][0]}")
    expect(browser_page.locator(".js-plotly-plot .subplot")).to_have_count(5)
    expect(browser_page.locator(".legend .traces")).to_have_count(7)


def test_an_empty_database_says_what_to_do(browser_page: Page, empty_dashboard: str) -> None:
    visit(browser_page, f"{empty_dashboard}/compare")
    expect(browser_page.get_by_text("No runs yet")).to_be_visible()
    expect(browser_page.get_by_text("make demo")).to_be_visible()
