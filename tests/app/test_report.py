"""Reports: what they hold, that nothing in them acts, and what is said of wrong wishes."""

from __future__ import annotations

import datetime
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.report import Wish, forest, report_data
from app.report_page import MARK, render_report, write_report
from db.ingest import ingest_all
from db.queries import RunRow, list_runs
from db.queries_texts import Database
from db.session import open_database
from steper_core.errors import UserError
from tests.browser.sample_runs import HOSTILE_NAME, HOSTILE_TEXTS, LONG, write_evaluation, write_training

NOW = datetime.datetime(2026, 11, 24, 12, 0, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("reported")
    write_evaluation(made, "vanilla", "vanilla-kd")
    write_evaluation(made, "steper", "steper", hostile=4)
    write_training(made, "training", "steper", sigmas=True)
    return made


@pytest.fixture(scope="module")
def engine(folder: Path) -> Database:
    opened = open_database(f"sqlite:///{folder / 'steper.db'}")
    ingest_all(opened, folder)
    return opened


@pytest.fixture(scope="module")
def runs(engine: Database) -> dict[str, RunRow]:
    return {run.name: run for run in list_runs(engine)}


def data(engine: Database, chosen: list[RunRow], **wish: Any) -> dict[str, Any]:
    return report_data(engine, chosen, Wish(**wish), NOW)


def marks(found: dict[str, Any]) -> list[tuple[str, ...]]:
    return [tuple(chain["outcome"]["word"] for chain in entry["chains"] if chain) for entry in found["chains"]]


def test_two_runs_are_compared_and_every_outcome_is_shown(engine: Database, runs: dict[str, RunRow]) -> None:
    found = data(engine, [runs["vanilla"], runs["steper"]], chains=8)
    assert found["title"] == "vanilla and steper"
    assert found["shared"] == 25
    assert [run["letter"] for run in found["runs"]] == ["A", "B"]
    assert "vanilla" in found["verdict"]["sentences"][0]
    parts = {part["name"]: part["count"] for part in found["flow"]["strips"][0]["parts"]}
    assert sum(parts.values()) == 25
    shown = marks(found)
    assert len(shown) == 8
    for outcome, words in (
        ("fixed", ("wrong", "right")),
        ("broken", ("right", "wrong")),
        ("both-wrong", ("wrong",) * 2),
    ):
        assert shown.count(words) >= min(2, parts[outcome])
    assert data(engine, [runs["vanilla"], runs["steper"]], chains=8)["chains"] == found["chains"]
    other = data(engine, [runs["vanilla"], runs["steper"]], chains=8, seed=5)["chains"]
    assert [entry["id"] for entry in other] != [entry["id"] for entry in found["chains"]]


def test_one_run_is_reported_without_a_comparison(engine: Database, runs: dict[str, RunRow]) -> None:
    found = data(engine, [runs["steper"]], chains=4, title="Mine")
    assert (found["title"], found["verdict"], found["flow"], found["forest"]) == ("Mine", None, None, [])
    assert sorted(marks(found)) == [("right",), ("right",), ("wrong",), ("wrong",)]
    page = render_report(found)
    assert "the difference from" not in page and "in common" not in page


def test_questions_are_shown_in_the_order_asked_for(engine: Database, runs: dict[str, RunRow]) -> None:
    found = data(engine, [runs["vanilla"]], questions=("q007", "q002"))
    assert [entry["question"]["key"] for entry in found["chains"]] == ["q007", "q002"]


@pytest.mark.parametrize(
    ("names", "wish", "said"),
    [
        (["vanilla"], {"questions": ("nothing",)}, "none of these runs was asked the question 'nothing'"),
        (["vanilla"], {"score": "nothing"}, "no run holds a score named 'nothing'"),
        (["training"], {}, "training: no chains to report"),
        (["vanilla"] * 9, {}, "one to 8 runs"),
        ([], {}, "one to 8 runs"),
    ],
)
def test_wishes_that_cannot_be_met_are_errors(
    engine: Database, runs: dict[str, RunRow], names: list[str], wish: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        data(engine, [runs[name] for name in names], **wish)


def test_differences_lie_on_one_axis() -> None:
    def cell(difference: float | None, low: float, high: float, p: float) -> Any:
        return SimpleNamespace(paired=SimpleNamespace(difference=difference, low=low, high=high), adjusted_p=p)

    lines = [
        SimpleNamespace(key=("em", ""), cells=(cell(None, 0, 0, 1), cell(0.1, -0.05, 0.2, 0.3))),
        SimpleNamespace(key=("f1", ""), cells=(None, cell(-0.2, -0.4, -0.1, 0.01))),
        SimpleNamespace(key=("extra_steps", ""), cells=(None, cell(3, 2, 4, 0.01))),
        SimpleNamespace(key=("acc", ""), cells=(None, None)),
    ]
    named = [SimpleNamespace(name="a"), SimpleNamespace(name="b")]
    first, second = forest(SimpleNamespace(lines=lines), named)  # type: ignore[arg-type]
    assert (first["low"], first["at"], first["high"]) == pytest.approx((-0.125, 0.25, 0.5))
    assert (first["holds"], second["holds"], second["reach"]) == (False, True, "40")


class Reader(HTMLParser):
    """Collects the tags and the attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.values: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        self.values += [value for name, value in attrs if value and name not in ("title", "content")]


def test_nothing_in_a_report_acts_whatever_the_data_say(engine: Database, runs: dict[str, RunRow]) -> None:
    asked = tuple(f"hostile{index} {text[:20]}" for index, text in enumerate(HOSTILE_TEXTS))
    found = data(engine, [runs["steper"]], questions=asked, title=HOSTILE_NAME)
    page = render_report(found)
    read = Reader(page)
    assert not read.tags & {"script", "img", "iframe", "object", "link", "a", "form", "base", "b"}
    assert not {name for name in read.attributes if name.startswith("on") or name in ("src", "href")}
    assert not any("evil.example" in value for value in read.values)
    assert "&lt;img src=x onerror=alert(1)&gt; **bold**" in page
    assert "[U+202E]" in page and "\u202e" not in page and "\x07" not in page
    assert LONG.strip() in page
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page


def test_a_report_says_nothing_of_the_machine(engine: Database, runs: dict[str, RunRow], folder: Path) -> None:
    page = render_report(data(engine, [runs["vanilla"], runs["steper"]]))
    assert str(folder) not in page and "steper evaluate" not in page


def test_a_report_is_written_whole_and_never_over_something_else(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    write_report(f"<!doctype html>\n{MARK}\none", file)
    write_report(f"<!doctype html>\n{MARK}\ntwo", file)
    assert file.read_text().endswith("two") and [path.name for path in tmp_path.iterdir()] == ["report.html"]
    file.write_text("my diary")
    with pytest.raises(UserError, match="is no report of StepER"):
        write_report(MARK, file)
    write_report(MARK, file, force=True)
    assert file.read_text() == MARK
    with pytest.raises(UserError, match="cannot be written"):
        write_report(MARK, tmp_path / "nowhere" / "report.html")


def steper(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_the_command_writes_one_file(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPER_DATABASE_URL", f"sqlite:///{tmp_path / 'own.db'}")
    out = tmp_path / "r.html"
    result = steper("report", "vanilla", "steper", "--runs", str(folder), "--out", str(out), "--chains", "2")
    assert result.exit_code == 0, result.output
    assert "2 runs, 2 questions in full" in result.output
    assert out.read_text().count('<div class="question">') == 2
    wrong = steper("report", "vanila", "--runs", str(folder), "--out", str(out))
    assert wrong.exit_code == 2 and "there are: vanilla" in wrong.stderr
