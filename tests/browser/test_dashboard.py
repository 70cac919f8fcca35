"""What a reader sees and does in the dashboard, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, expect

from app.formats import interval, percent
from app.state import run_tokens
from db.queries import RunRow, list_questions, list_runs, train_points
from db.session import open_database

from .conftest import PATIENCE
from .sample_runs import HOSTILE_NAME, HOSTILE_TEXTS, LONG

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def runs(sample_url: str) -> dict[str, RunRow]:
    """The sample's runs by name."""
    return {run.name: run for run in list_runs(open_database(sample_url))}


@pytest.fixture(scope="session")
def tokens(runs: dict[str, RunRow]) -> dict[str, str]:
    """What the sample's runs are called in URLs, by name."""
    return {run.name: token for token, run in run_tokens(runs.values()).items()}


@pytest.fixture
def strangers(browser_page: Page, dashboard: str) -> Iterator[list[str]]:
    """Requests that left for another place than the dashboard; a test that uses this fails if there is one."""
    left: list[str] = []
    allowed = (dashboard, dashboard.replace("http", "ws"), f"blob:{dashboard}", "data:")

    def note(request: Request) -> None:
        if not request.url.startswith(allowed):
            left.append(request.url)

    browser_page.on("request", note)
    browser_page.on("websocket", lambda socket: left.append(socket.url) if not socket.url.startswith(allowed) else None)
    yield left
    assert left == []


def visit(page: Page, address: str) -> None:
    """Open an address and wait until the page is drawn without an error."""
    page.goto(address)
    settle(page)
    expect(page.locator('[data-testid="stException"], [data-testid="stErrorElement"]')).to_have_count(0)
    expect(page.get_by_text("This page could not be drawn")).to_have_count(0)


def settle(page: Page) -> None:
    """Wait until the page is drawn."""
    expect(page.locator("h2").first).to_be_visible()
    expect(page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')).to_be_attached()


def row_of(page: Page, name: str) -> Locator:
    """The lines of a run in its table."""
    return page.locator("tbody.run").filter(has=page.get_by_role("button", name=name, exact=True))


def active_question(page: Page) -> Locator:
    """The chosen line of the list of questions."""
    return page.locator('nav li button[aria-current="true"]')


def question_text(index: int) -> re.Pattern[str]:
    """What stands in the question with a number."""
    return re.compile(rf"number {index}, born")


def test_runs_show_the_figures_of_the_data(
    browser_page: Page, dashboard: str, runs: dict[str, RunRow], strangers: list[str]
) -> None:
    visit(browser_page, dashboard)
    for name in ("eval-base", "eval-vanilla-s1", "eval-steper-s1"):
        cells = row_of(browser_page, name).locator("tr.main td.right")
        for position, figure in enumerate(("em", "f1", "acc", "gold_recall")):
            row = runs[name].figures[figure]
            expect(cells.nth(position)).to_have_text(f"{percent(row.mean)}{interval(row.low, row.high)}")
        expect(cells.nth(4)).to_have_text(str(runs[name].figures["em"].n))
    names = browser_page.locator("table").first.locator(".name .data").all_inner_texts()
    assert names.index("eval-base") < names.index("eval-vanilla-s1") < names.index("eval-steper-s1")


def test_a_failed_run_says_why_and_how_to_resume(browser_page: Page, dashboard: str) -> None:
    visit(browser_page, dashboard)
    row = row_of(browser_page, "eval-failed")
    expect(row).to_contain_text("✗ failed")
    expect(row).to_contain_text("RuntimeError: out of memory at step 12")
    expect(row.locator("code")).to_have_text("steper evaluate --name eval-failed")


def test_a_run_opens_to_its_config_and_the_url_keeps_it_open(browser_page: Page, dashboard: str) -> None:
    visit(browser_page, dashboard)
    browser_page.get_by_role("button", name="teacher", exact=True).click()
    row = row_of(browser_page, "teacher")
    expect(row).to_contain_text("retrieval.passages")
    expect(row).to_contain_text("Rejected: wrong answer")
    expect(browser_page).to_have_url(re.compile(r"open=\w{8}"))
    visit(browser_page, browser_page.url)
    expect(row_of(browser_page, "teacher")).to_contain_text("retrieval.passages")


def test_a_filter_stands_in_the_url_and_the_url_brings_it_back(
    browser_page: Page, dashboard: str, chromium: Browser
) -> None:
    visit(browser_page, dashboard)
    browser_page.get_by_label("Method").click()
    browser_page.get_by_role("option", name="vanilla-kd").click()
    expect(browser_page).to_have_url(re.compile("method=vanilla-kd"))
    expect(row_of(browser_page, "eval-base")).to_have_count(0)
    browser_page.keyboard.press("Escape")
    browser_page.get_by_role("button", name="EM", exact=True).click()
    expect(browser_page).to_have_url(re.compile("sort=-em"))
    # The address changes before the table does.
    expect(browser_page.locator('th[aria-sort="descending"]')).to_have_text("EM ↓")
    names = ["eval-vanilla-s1", "vanilla-kd-s1"]
    expect(browser_page.locator(".name .data")).to_have_text(names)
    fresh = chromium.new_context()
    page = fresh.new_page()
    visit(page, browser_page.url)
    expect(page.locator(".name .data")).to_have_text(names)
    expect(page.locator('th[aria-sort="descending"]')).to_have_text("EM ↓")
    fresh.close()
    browser_page.go_back()
    expect(browser_page).not_to_have_url(re.compile("sort="))
    expect(browser_page.locator('th[aria-sort="descending"]')).to_have_count(0)


def test_the_start_page_answers_to_its_name_too(browser_page: Page, dashboard: str) -> None:
    browser_page.goto(f"{dashboard}/runs?kind=train")
    expect(browser_page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    expect(browser_page).to_have_url(f"{dashboard}/?kind=train")
    expect(browser_page).to_have_title("Runs · StepER")
    expect(browser_page.get_by_text("Page not found")).to_have_count(0)


def test_two_events_before_the_first_is_answered_both_hold(browser_page: Page, dashboard: str) -> None:
    visit(browser_page, dashboard)
    browser_page.get_by_label("Compare eval-base").wait_for()
    browser_page.evaluate(
        """async () => {
            const roots = [...document.querySelectorAll("*")].map((node) => node.shadowRoot).filter(Boolean);
            const find = (query) => roots.map((root) => root.querySelector(query)).find(Boolean);
            find("input[aria-label='Compare eval-base']").click();
            await new Promise((resolve) => setTimeout(resolve, 20));
            find("button[data-focus=sort-f1]").click();
        }"""
    )
    expect(browser_page).to_have_url(re.compile("tick=.*sort=|sort=.*tick="))
    expect(browser_page.get_by_label("Compare eval-base")).to_be_checked()


def test_ticked_runs_stand_side_by_side(
    browser_page: Page, dashboard: str, tokens: dict[str, str], strangers: list[str]
) -> None:
    visit(browser_page, dashboard)
    browser_page.get_by_label("Compare eval-steper-s1").check()
    browser_page.get_by_label("Compare eval-base").check()
    expect(browser_page.locator(".compare .picked")).to_have_text(["Aeval-steper-s1", "Beval-base"])
    browser_page.get_by_role("link", name="Compare chains").click()
    expect(browser_page).to_have_url(f"{dashboard}/chains?run={tokens['eval-steper-s1']}&run={tokens['eval-base']}")
    expect(browser_page.locator("article.run h3 .data")).to_have_text(["eval-steper-s1", "eval-base"])
    base = browser_page.get_by_role("article", name="Run B")
    expect(base.locator(".final")).to_contain_text("✓")
    expect(base.locator(".step")).to_have_count(3)
    expect(base.locator(".chip")).to_have_text(["init", "exp", "agg"])
    wrong = browser_page.get_by_role("article", name="Run A")
    expect(wrong.locator(".final")).to_contain_text("✗")
    expect(wrong.locator(".flag")).to_have_count(1)
    expect(wrong.locator(".step").first.locator(".flag")).to_contain_text("⚑")
    expect(browser_page.locator(".hops li")).to_have_count(3)
    expect(browser_page.locator(".hops li").first).to_contain_text("★ found, step 1")


def test_the_outcome_filter_counts_as_the_database_does(
    browser_page: Page, dashboard: str, tokens: dict[str, str], runs: dict[str, RunRow], sample_url: str
) -> None:
    from db.queries import QuestionFilter

    ids = (runs["eval-steper-s1"].id, runs["eval-base"].id)
    engine = open_database(sample_url)
    visit(browser_page, f"{dashboard}/chains?run={tokens['eval-steper-s1']}&run={tokens['eval-base']}")
    for outcome in ("right", "wrong", "differs"):
        total = list_questions(engine, ids, QuestionFilter(outcome=outcome)).total
        browser_page.get_by_role("radio", name=outcome).click()
        expect(browser_page).to_have_url(re.compile(f"outcome={outcome}"))
        expect(browser_page.locator("nav .head")).to_contain_text(re.compile(f"of {total}$"))


def test_keys_move_through_questions_and_pages(
    browser_page: Page, dashboard: str, tokens: dict[str, str], chromium: Browser
) -> None:
    visit(browser_page, f"{dashboard}/chains?run={tokens['eval-steper-s1']}")
    card = browser_page.locator(".card h2")
    expect(card).to_have_text(question_text(0))
    # The list, which listens to the keys, may come after the card.
    expect(active_question(browser_page)).to_contain_text("number 0")
    for _ in range(7):
        browser_page.keyboard.press("j")
    expect(card).to_have_text(question_text(7))
    expect(active_question(browser_page)).to_contain_text("number 7")
    browser_page.keyboard.press("k")
    expect(card).to_have_text(question_text(6))
    fresh = chromium.new_context()
    page = fresh.new_page()
    visit(page, browser_page.url)
    expect(page.locator(".card h2")).to_have_text(question_text(6))
    fresh.close()
    for _ in range(13):
        browser_page.keyboard.press("j")
    expect(card).to_have_text(question_text(19))
    browser_page.keyboard.press("j")
    expect(card).to_have_text(question_text(20))
    expect(browser_page).to_have_url(re.compile("page=2"))
    expect(browser_page.locator("nav .head")).to_contain_text("21–25 of 25")
    browser_page.keyboard.press("k")
    expect(card).to_have_text(question_text(19))


def test_keys_change_the_run_hide_gold_and_search(browser_page: Page, dashboard: str, tokens: dict[str, str]) -> None:
    visit(browser_page, f"{dashboard}/chains?run={tokens['eval-steper-s1']}")
    expect(browser_page).to_have_title("Chains · StepER")
    shown = browser_page.locator("article.run h3 .data")
    expect(shown).to_have_text("eval-steper-s1")
    card = browser_page.locator(".card h2")
    browser_page.keyboard.press("j")
    expect(card).to_have_text(question_text(1))
    browser_page.keyboard.press("]")
    expect(shown).to_have_text("eval-vanilla-s1")
    expect(card).to_have_text(question_text(1))
    browser_page.keyboard.press("[")
    expect(shown).to_have_text("eval-steper-s1")
    expect(browser_page.locator(".star").filter(has_text="★").first).to_be_visible()
    browser_page.keyboard.press("g")
    expect(browser_page).to_have_url(re.compile("gold=hidden"))
    expect(browser_page.locator(".hops")).to_have_count(0)
    expect(browser_page.locator(".star").filter(has_text="★")).to_have_count(0)
    browser_page.keyboard.press("/")
    field = browser_page.get_by_label("Search questions")
    expect(field).to_be_focused()
    field.press_sequentially("number 1j")
    field.press("Backspace")
    field.press("Enter")
    expect(browser_page).to_have_url(re.compile("text=number"))
    expect(browser_page.locator("nav .head")).to_contain_text("of 11")
    expect(active_question(browser_page)).to_contain_text("number 1,")


def test_passages_unfold_and_show_their_score(browser_page: Page, dashboard: str, tokens: dict[str, str]) -> None:
    visit(browser_page, f"{dashboard}/chains?run={tokens['eval-steper-s1']}")
    passage = browser_page.locator(".passages li").first
    expect(passage.locator("summary")).to_contain_text("15.20")
    expect(passage.locator(".text")).to_be_hidden()
    passage.locator("summary").click()
    expect(passage.locator(".text")).to_contain_text("drama film directed by")


def test_hostile_texts_are_shown_and_do_nothing(
    browser_page: Page, dashboard: str, tokens: dict[str, str], strangers: list[str]
) -> None:
    dialogs: list[str] = []
    browser_page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    visit(browser_page, dashboard)
    expect(browser_page.locator(".name .data").filter(has_text=HOSTILE_NAME)).to_have_count(1)
    visit(browser_page, f"{dashboard}/chains?run={tokens[HOSTILE_NAME]}")
    expect(browser_page.get_by_test_id("stMultiSelect").first).to_contain_text(HOSTILE_NAME[:30])
    for index, text in enumerate(HOSTILE_TEXTS):
        if index == 0:
            browser_page.locator("nav li button").nth(2).click()
        else:
            browser_page.keyboard.press("j")
        card = browser_page.locator(".card h2")
        expect(card).to_contain_text(f"hostile {index}")
        if index != 2:
            expect(card).to_contain_text(" ".join(text.split()))
        expect(browser_page.locator(".rationale")).to_contain_text("show all")
    assert "[U+202E]" in browser_page.locator("nav li").nth(4).inner_text()
    browser_page.locator(".query button").first.click()
    expect(browser_page.locator(".query .data")).to_have_text(re.compile(rf"^\s*{LONG.strip()[:200]}"))
    assert len(browser_page.locator(".query .data").inner_text()) >= len(LONG) - 1
    assert overflow(browser_page) <= 0
    assert dialogs == []
    assert browser_page.locator("img[src*=evil], main script, b, .katex").count() == 0
    assert browser_page.title() != "owned"


def test_training_draws_every_loss_and_says_what_has_no_sigma(
    browser_page: Page, dashboard: str, tokens: dict[str, str], runs: dict[str, RunRow], sample_url: str
) -> None:
    visit(browser_page, f"{dashboard}/training?run={tokens['steper-s1']}&run={tokens['vanilla-kd-s1']}")
    # Loss, sigma, rate, three scores of the evaluated checkpoints, and speed.
    expect(browser_page.locator(".js-plotly-plot .subplot")).to_have_count(7)
    expect(browser_page.locator(".legend .traces")).to_have_count(7)
    rows = browser_page.locator("table tbody tr")
    expect(rows.nth(0)).not_to_contain_text("no sigma")
    expect(rows.nth(1)).to_contain_text("no sigma")
    last = [point for point in train_points(open_database(sample_url), runs["steper-s1"].id) if not point.held_out][-1]
    for name, loss in zip(("Loss init", "Loss exp", "Loss agg"), last.losses.values(), strict=True):
        column = browser_page.locator("table thead th").all_inner_texts().index(name)
        expect(rows.nth(0).locator("td").nth(column)).to_have_text(f"{loss:.3f}")


def test_coming_back_by_the_menu_finds_the_page_as_it_was_left(
    browser_page: Page, dashboard: str, tokens: dict[str, str]
) -> None:
    visit(browser_page, f"{dashboard}/chains?run={tokens['eval-base']}&outcome=wrong")
    browser_page.get_by_role("link", name="Runs", exact=True).click()
    expect(browser_page.locator("tbody.run").first).to_be_visible()
    browser_page.get_by_role("link", name="Chains", exact=True).first.click()
    expect(browser_page).to_have_url(re.compile("outcome=wrong"))
    expect(browser_page.locator("article.run h3 .data")).to_have_text("eval-base")


@pytest.mark.parametrize("path", ["", "chains", "training"])
def test_an_empty_database_says_what_to_do(browser_page: Page, empty_dashboard: str, path: str) -> None:
    visit(browser_page, f"{empty_dashboard}/{path}")
    expect(browser_page.get_by_text("No runs yet")).to_be_visible()
    expect(browser_page.get_by_text("make demo")).to_be_visible()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("chains?run=ffffffff&run=<script>", "not in this database"),
        ("chains?run={base}&q=999999", "question that is not in this database"),
        ("chains?run={base}&q=%00%ff&page=x&hops=z&outcome=?&kind=none", "question that is not in this database"),
        ("training?run=abc", "not in this database"),
    ],
)
def test_links_that_lead_nowhere_say_so(
    browser_page: Page, dashboard: str, tokens: dict[str, str], path: str, said: str
) -> None:
    visit(browser_page, f"{dashboard}/{path.format(base=tokens['eval-base'])}")
    expect(browser_page.get_by_text(said)).to_be_visible()


def test_nothing_is_wider_than_a_narrow_window(
    browser_page: Page, dashboard: str, tokens: dict[str, str], strangers: list[str]
) -> None:
    browser_page.set_viewport_size({"width": 900, "height": 900})
    three = "&".join(f"run={tokens[name]}" for name in ("eval-base", "eval-vanilla-s1", "eval-steper-s1"))
    trained = f"training?run={tokens['steper-s1']}"
    for path in (f"?open={tokens['eval-base']}&tick={tokens['eval-base']}", f"chains?{three}", trained):
        visit(browser_page, f"{dashboard}/{path}")
        expect(browser_page.locator("article.run, tbody tr").first).to_be_visible()
        assert overflow(browser_page) <= 0, path
        tables = browser_page.locator(".scroll")
        assert all(table.evaluate("node => node.scrollWidth <= node.clientWidth") for table in tables.all()), path


def test_every_field_has_a_name(browser_page: Page, dashboard: str, tokens: dict[str, str]) -> None:
    for path in ("", f"chains?run={tokens['eval-base']}", f"training?run={tokens['steper-s1']}"):
        visit(browser_page, f"{dashboard}/{path}")
        for field in browser_page.locator("main input:visible, section input:visible").all():
            assert field.evaluate(
                "node => node.ariaLabel || node.labels?.[0]?.innerText || node.ariaLabelledByElements?.length"
            )


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(
        page.evaluate(
            "() => Math.max(...[document.documentElement, document.querySelector('.stMain')]"
            ".map((node) => node.scrollWidth - node.clientWidth))"
        )
    )


@pytest.mark.parametrize(("page", "names"), [("runs", "td.tick + td"), ("training", "td:first-child")])
def test_on_a_telephone_names_of_runs_can_be_read(
    browser_page: Page, dashboard: str, tokens: dict[str, str], page: str, names: str
) -> None:
    browser_page.set_viewport_size({"width": 420, "height": 900})
    visit(browser_page, f"{dashboard}/{page}?run={tokens['steper-s1']}")
    expect(browser_page.locator(names).first).to_be_visible()
    widths = "nodes => Math.min(...nodes.map(node => node.clientWidth))"
    assert browser_page.locator(names).evaluate_all(widths) >= 150
    assert overflow(browser_page) <= 0


def test_two_chains_are_aligned_and_their_words_tinted(
    browser_page: Page, dashboard: str, tokens: dict[str, str]
) -> None:
    visit(browser_page, f"{dashboard}/chains?run={tokens['eval-steper-s1']}&run={tokens['eval-base']}")
    grounded = browser_page.locator(".rationale .grounded").first
    expect(grounded).to_be_visible()
    expect(grounded).to_have_attribute("title", re.compile("^in "))
    steps = browser_page.locator(".step")
    marks = browser_page.locator(".step .mark").filter(has_text=re.compile("^(equal|changed|only here)$"))
    expect(marks).to_have_count(steps.count())
    # Steps that correspond stand on one line of the page.
    first, second = (browser_page.locator(".run").nth(place).locator(".step").last for place in (0, 1))
    first_box, second_box = first.bounding_box(), second.bounding_box()
    assert first_box is not None and second_box is not None and first_box["y"] == second_box["y"]
