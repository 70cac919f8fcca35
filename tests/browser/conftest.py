"""A real dashboard in a real browser: `start_dashboard(database_url)` and `browser_page` are all that a test needs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from db.ingest import ingest_all
from db.queries_texts import Database
from db.session import open_database

from .desk import Maker, make_project
from .sample_runs import write_evaluation, write_sample

ROOT = Path(__file__).parents[2]
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
]
PATIENCE = 20_000


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for one file: an event loop runs in this thread while it is open, and other tests start their own."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        absent = "no chromium on PATH: install Debian's package chromium to run the browser tests"
        pytest.fail(absent) if os.environ.get("STEPER_REQUIRE_BROWSER") else pytest.skip(absent)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def start_dashboard() -> Iterator[Callable[[str], str]]:
    """A function that starts the dashboard on a database and returns its address."""
    servers: list[subprocess.Popen[bytes]] = []

    def start(database_url: str) -> str:
        port = _free_port()
        command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app/streamlit_app.py")]
        options = [f"--server.port={port}", "--server.address=127.0.0.1", "--server.headless=true"]
        servers.append(
            subprocess.Popen([*command, *options], env={**os.environ, "STEPER_DATABASE_URL": database_url}, cwd=ROOT)
        )
        address = f"http://127.0.0.1:{port}"
        _wait(f"{address}/_stcore/health", servers[-1])
        return address

    yield start
    for server in servers:
        server.terminate()
        server.wait(timeout=10)


@pytest.fixture(scope="module")
def profile(chromium: Browser) -> Iterator[BrowserContext]:
    """One browser profile for all tests of a file: the scripts of the dashboard are then loaded once."""
    context = chromium.new_context()
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def browser_page(profile: BrowserContext) -> Iterator[Page]:
    """A new tab, 1280 px wide: a new session of the dashboard."""
    page = profile.new_page()
    page.set_viewport_size({"width": 1280, "height": 900})
    yield page
    page.close()


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of run directories: one collect, two train, three evaluate, one that failed."""
    folder = tmp_path_factory.mktemp("runs")
    write_sample(folder)
    return folder


@pytest.fixture(scope="session")
def sample_url(sample_folder: Path) -> str:
    """A database that holds the sample runs."""
    url = f"sqlite:///{sample_folder / 'steper.db'}"
    engine = open_database(url)
    assert [outcome.error for outcome in ingest_all(engine, sample_folder) if outcome.error] == []
    engine.dispose()
    return url


@pytest.fixture(scope="session")
def dashboard(start_dashboard: Callable[[str], str], sample_url: str) -> str:
    """The address of a dashboard on the sample runs."""
    return start_dashboard(sample_url)


@pytest.fixture(scope="session")
def empty_dashboard(start_dashboard: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a dashboard on a database without runs."""
    return start_dashboard(f"sqlite:///{tmp_path_factory.mktemp('empty') / 'steper.db'}")


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """A database of its own: other tests look at one that nobody labels in."""
    folder = tmp_path_factory.mktemp("labelled")
    write_evaluation(folder, "eval-steper", "steper", hostile=3)
    opened = open_database(f"sqlite:///{folder / 'steper.db'}")
    ingest_all(opened, folder)
    return opened


@pytest.fixture(scope="module")
def labelling(start_dashboard: Callable[[str], str], labelled: Database) -> str:
    """The address of a dashboard on the database that is labelled in."""
    return start_dashboard(str(labelled.url))


@pytest.fixture
def project(labelled: Database, request: pytest.FixtureRequest) -> Maker:
    """Creates a project named after the test on some of the questions, and returns its name."""

    def make(count: int = 12, *, first: int = 0, overlap: int = 1, blind: bool = True) -> str:
        name: str = request.node.name
        make_project(labelled, name, count, first=first, overlap=overlap, blind=blind)
        return name

    return make


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server.poll() is None, "the dashboard ended while it started"
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the dashboard did not start within a minute")
