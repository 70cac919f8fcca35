"""A report in a real browser without a network: it is drawn, asks for nothing and runs nothing."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from app.report import Wish, report_data
from app.report_page import render_report
from db.ingest import ingest_all
from db.queries import list_runs
from db.session import open_database

from .sample_runs import HOSTILE_NAME, HOSTILE_TEXTS, write_evaluation


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_evaluation(folder, "vanilla", "vanilla-kd")
    write_evaluation(folder, "steper", "steper", hostile=4)
    engine = open_database(f"sqlite:///{folder / 'steper.db'}")
    ingest_all(engine, folder)
    runs = {run.name: run for run in list_runs(engine)}
    asked = (*(f"hostile{index} {text[:20]}" for index, text in enumerate(HOSTILE_TEXTS)), "q003")
    now = datetime.datetime(2026, 11, 24, tzinfo=datetime.UTC)
    wish = Wish(title=HOSTILE_NAME, questions=asked)
    file = folder / "report.html"
    file.write_text(render_report(report_data(engine, [runs["vanilla"], runs["steper"]], wish, now)), "utf-8")
    return file


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (600, "dark")])
def test_a_report_is_read_offline_and_does_nothing(chromium: Browser, report: Path, width: int, scheme: str) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    context.set_offline(True)
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto(report.as_uri())
    assert asked == [report.as_uri()] and said == []
    assert page.title() == HOSTILE_NAME
    assert page.locator("h1").inner_text() == HOSTILE_NAME
    assert page.locator("img, script, a").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    article = page.locator("article").last
    assert "The film" in article.inner_text()
    details = article.locator("details").first
    details.locator("summary").click()
    assert details.locator("div").first.is_visible()
    context.close()
