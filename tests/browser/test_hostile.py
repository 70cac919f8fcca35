"""Whatever runs, questions, judges and people are called and say: it is text on every page, and no request leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, Request, expect

from app.state import run_tokens
from db.annotation_slots import adjudicate, hand_out
from db.annotation_views import Change, NewItem, NewProject
from db.annotations import create_project, record
from db.ingest import ingest_all
from db.queries_annotations import get_project, item_rows
from db.queries_questions import list_questions
from db.queries_runs import list_runs
from db.queries_texts import Database
from db.session import open_database
from evaluators.label_rubric import load_label_rubric
from steper_core.records import Judgement
from steper_core.run_records import RunKind, StudyRef
from steper_core.rundir import open_run

from .conftest import PATIENCE
from .sample_runs import DATASET, HOSTILE_NAME, HOSTILE_TEXTS, LONG, write_evaluation, write_training

expect.set_options(timeout=PATIENCE)
PERSON = " ".join(HOSTILE_TEXTS[1].split())[:55].strip()
"""A heading, bold text, a colour, a formula, a link and an image, all in markdown."""

WORDS = f"{HOSTILE_TEXTS[0]} {HOSTILE_TEXTS[1]} \x00 {HOSTILE_TEXTS[2]} {LONG}"[:19_000]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """Two runs with hostile questions, a training run, a judge run and a project, all of hostile names and words."""
    folder = tmp_path_factory.mktemp("hostile")
    write_evaluation(folder, HOSTILE_NAME, "steper", count=6, hostile=4)
    study = StudyRef(
        name=HOSTILE_TEXTS[1], title=HOSTILE_TEXTS[0], shows=HOSTILE_TEXTS[2], variant=HOSTILE_TEXTS[1], paper=WORDS
    )
    write_evaluation(folder, "**second** :red[x]", "vanilla-kd", count=6, hostile=4, study=study)
    write_training(folder, ":red[t] $x$ **t**", "steper", sigmas=True)
    opened = open_database(f"sqlite:///{folder / 'steper.db'}")
    ingest_all(opened, folder)
    run = next(run for run in list_runs(opened) if run.name == HOSTILE_NAME)
    with open_run(
        folder / "judge",
        kind=RunKind.JUDGE,
        config={},
        dataset=DATASET,
        model=HOSTILE_TEXTS[1],
        judged=(run.uid,),
    ) as judging:
        asked = [row.key for row in list_questions(opened, (run.id,), limit=20).rows]
        judging.append_judgements(
            Judgement(
                question_id=key,
                step=1,
                rubric="steps",
                version="1",
                judge=HOSTILE_TEXTS[1],
                vote=1,
                verdicts={"rating": 1.0, HOSTILE_TEXTS[0]: 1.0},
                tags=(HOSTILE_TEXTS[1],),
                explanation=WORDS,
                key="k",
            )
            for key in asked
        )
    ingest_all(opened, folder)
    rubric = load_label_rubric("steps").model_dump(mode="json")
    items = tuple(NewItem(run.uid, row.id) for row in list_questions(opened, (run.id,), limit=10).rows)
    project = create_project(opened, NewProject(HOSTILE_NAME, rubric, False, 2, 0, {"note": WORDS}, items))
    for person, rating in ((PERSON, 1.0), ("bob", -1.0)):
        for slot in hand_out(opened, project, person, ahead=8):
            made = [
                Change(f"{person}{slot.item_id}r", slot.item_id, 1, "rating", rating),
                Change(f"{person}{slot.item_id}c", slot.item_id, 1, "comment", WORDS),
                Change(f"{person}{slot.item_id}s", slot.item_id, 0, "submit", None),
            ]
            assert record(opened, project, person, made).refused == {}
    adjudicate(opened, project, PERSON, item_rows(opened, project)[0].id)
    return opened


@pytest.fixture(scope="module")
def address(engine: Database, start_dashboard: Callable[[str], str]) -> str:
    return start_dashboard(str(engine.url))


def addresses(engine: Database) -> dict[str, str]:
    """Every page in every view, on the hostile data."""
    tokens = {run.name: token for token, run in run_tokens(list_runs(engine)).items()}
    first, second = tokens[HOSTILE_NAME], tokens["**second** :red[x]"]
    run = next(run for run in list_runs(engine) if run.name == HOSTILE_NAME)
    questions = [row.id for row in list_questions(engine, (run.id,), limit=20).rows if row.key.startswith("hostile")]
    project = get_project(engine, HOSTILE_NAME)
    assert project is not None and questions
    item = str(item_rows(engine, project.id)[0].id)
    about = {"project": HOSTILE_NAME, "as": PERSON}

    def url(page: str, **params: object) -> str:
        return f"{page}?{urlencode(params, doseq=True)}"

    return {
        "runs": url("runs", open=first, tick=[first, second]),
        **{f"chain {number}": url("chains", run=[first, second], q=number) for number in questions},
        "chains searched": url("chains", run=first, text=HOSTILE_TEXTS[0]),
        "compare": url("compare", run=[first, second]),
        "compare by a score of that name": url("compare", run=[first, second], score=HOSTILE_TEXTS[0]),
        "studies": url("studies", study=HOSTILE_TEXTS[1]),
        "no such study": url("studies", study=HOSTILE_TEXTS[0], score=HOSTILE_TEXTS[1]),
        "training": url("training", run=tokens[":red[t] $x$ **t**"]),
        "projects": url("annotate"),
        "work": url("annotate", **about),
        "progress": url("annotate", **about, view="progress"),
        "disagreements": url("annotate", **about, view="disagreements"),
        "history": url("annotate", **about, view="history", item=item),
        "deciding": url("annotate", **about, item=item),
        "no such project": url("annotate", project=HOSTILE_TEXTS[1]),
        "agreement": url("agreement", project=HOSTILE_NAME, cell=HOSTILE_TEXTS[0]),
    }


@pytest.fixture
def strangers(browser_page: Page, address: str) -> Iterator[list[str]]:
    """Requests that left for another place than the dashboard."""
    left: list[str] = []
    allowed = (address, address.replace("http", "ws"), f"blob:{address}", "data:")

    def note(request: Request) -> None:
        if not request.url.startswith(allowed):
            left.append(request.url)

    browser_page.on("request", note)
    yield left


def test_every_page_shows_hostile_words_as_words(
    browser_page: Page, address: str, engine: Database, strangers: list[str]
) -> None:
    page = browser_page
    ran: list[str] = []
    page.on("dialog", lambda dialog: ran.append(dialog.message))
    for name, path in addresses(engine).items():
        page.goto(f"{address}/{path}")
        expect(page.locator("h2").first).to_be_visible()
        page.wait_for_timeout(1200)
        shown = page.locator("body").inner_text()
        assert "This page could not be drawn" not in shown, name
        assert "Traceback" not in shown, name
        assert page.title() != "owned", name
        assert page.locator("img[src*='evil'], img[src='x'], a[href*='evil'], .katex").count() == 0, name
        assert page.locator("strong, b, h1").filter(has_text="bold").count() == 0, name
        assert "\u202e" not in shown, name
    assert ran == [] and strangers == []
