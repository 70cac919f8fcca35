"""How fast the pages are in a browser, on a database of 200,000 chains and 1,000,000 steps.

    python benchmarks/pages.py                    200,000 chains (takes some ten minutes, most of them to make the data)
    python benchmarks/pages.py --chains 20000     a look
    python benchmarks/pages.py --folder FOLDER    keep the database there, and use it again

Chromium draws the dashboard that `steper app` serves, on this machine. A page is painted when its content stands there:
once for the first visitor after the server started, then for visitors with new tabs. Times are medians; the goals are
the project's own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from database import generate, label
from playwright.sync_api import Browser, Page, sync_playwright

from app.state import run_tokens
from db import ingest_all, list_runs, open_database
from db.queries_annotations import get_project

ROOT = Path(__file__).parents[1]
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
]
READY = {
    "runs": "text=run0",
    "chains": 'article[aria-label="Run A"]',
    "compare": "text=What became of the answers",
    "annotate": '[aria-label="How good is this step?"]',
    "agreement": "text=People among themselves",
    "training": ".js-plotly-plot",
}
TURNS = 15


def main() -> None:
    """Make the database, drive the browser, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chains", type=int, default=200_000, help="chains of two runs together")
    parser.add_argument("--folder", type=Path, help="where the database lies, or is made")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        url = f"sqlite:///{folder / 'steper.db'}"
        if not (folder / "steper.db").exists():
            make(folder, url, arguments.chains)
        measure(url)


def make(folder: Path, url: str, chains: int) -> None:
    """Two runs and a labelling project."""
    generate(folder / "runs", chains // 2, 2)
    engine = open_database(url)
    ingest_all(engine, folder / "runs")
    shutil.rmtree(folder / "runs")
    label(engine, list_runs(engine)[-1].id)


def measure(url: str) -> None:
    """Print what each page takes, beside its goal."""
    engine = open_database(url)
    tokens = {run.name: token for token, run in run_tokens(list_runs(engine)).items()}
    assert get_project(engine, "benchmark") is not None
    pages = {
        "runs": "runs",
        "chains": f"chains?run={tokens['run0']}&run={tokens['run1']}",
        "compare": f"compare?run={tokens['run0']}&run={tokens['run1']}",
        "annotate": f"annotate?project=benchmark&as=zoe-{os.getpid()}",
        "agreement": "agreement?project=benchmark",
    }
    print(f"{'what':<44}{'measured':>12}{'goal':>10}")
    with sync_playwright() as playwright:
        executable = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        for name, path in pages.items():
            # A server of its own for each page: its first visitor pays for what is loaded.
            with served(url) as (address, _):
                say(f"{name}, first visitor", painted(browser, f"{address}/{path}", name), "s", 2.0)
                warm = [painted(browser, f"{address}/{path}", name) for _ in range(3)]
                say(f"{name}, next visitors", statistics.median(warm), "s", 2.0)
        with served(url) as (address, server):
            work(browser, address, pages)
            opened = [visit(browser, f"{address}/{path}", name) for name, path in pages.items()]
            say("memory of the server, five browsers", memory(server) / 1e6, "MB", 1000.0)
            for page in opened:
                page.context.close()
        browser.close()


def work(browser: Browser, address: str, pages: dict[str, str]) -> None:
    """Turning chains and pressing keys."""
    page = visit(browser, f"{address}/{pages['chains']}", "chains")
    turns = [turned(page, "j") for _ in range(TURNS)] + [turned(page, "k") for _ in range(TURNS)]
    say("next and previous chain", statistics.median(turns) * 1000, "ms", 500.0)
    say("next and previous chain, slowest", max(turns) * 1000, "ms", 500.0)
    page.context.close()
    page = visit(browser, f"{address}/{pages['annotate']}", "annotate")
    presses = []
    for turn in range(2 * TURNS):
        key = "13"[turn % 2]
        presses.append(page.evaluate(PRESS, key))
    say("a key press until it shows", statistics.median(presses), "ms", 200.0)
    page.get_by_text("everything is saved").wait_for()
    started = time.perf_counter()
    page.keyboard.press("2")
    page.get_by_text("saving").wait_for()
    page.get_by_text("everything is saved").wait_for()
    say("a key press until it is stored", (time.perf_counter() - started) * 1000, "ms", None)
    page.context.close()


# Presses a key and waits for the next picture: what the person sees.
PRESS = """key => new Promise((done) => {
  const started = performance.now();
  document.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, composed: true }));
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - started)));
})"""


# Finds an element also within the components, which have a tree of their own.
DEEP = """window.deep = (selector, root = document) => {
  const found = root.querySelector(selector);
  if (found) return found;
  for (const each of root.querySelectorAll("*")) {
    const inner = each.shadowRoot && deep(selector, each.shadowRoot);
    if (inner) return inner;
  }
  return null;
}"""


def turned(page: Page, key: str) -> float:
    """Seconds until another question's chain stands there."""
    card = page.locator(".card h2")
    before = card.inner_text()
    started = time.perf_counter()
    page.keyboard.press(key)
    page.wait_for_function("before => deep('.card h2')?.innerText !== before", arg=before, polling=10)
    return time.perf_counter() - started


def visit(browser: Browser, url: str, name: str) -> Page:
    """A new browser profile at an address, when the page's content stands there."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.add_init_script(DEEP)
    page.goto(url)
    page.locator(READY[name]).first.wait_for()
    return page


def painted(browser: Browser, url: str, name: str) -> float:
    """Seconds from asking for an address to its content."""
    started = time.perf_counter()
    page = visit(browser, url, name)
    seconds = time.perf_counter() - started
    page.context.close()
    return seconds


@contextmanager
def served(url: str) -> Iterator[tuple[str, int]]:
    """A dashboard that nobody has visited yet: its address and the id of its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "app.serve", "--server.headless=true"]
    options = [f"--server.port={port}", "--server.address=127.0.0.1"]
    environment = {**os.environ, "STEPER_DATABASE_URL": url}
    server = subprocess.Popen([*command, *options], env=environment, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        wait(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1).close())
        # As long as a browser takes to open.
        time.sleep(1.5)
        yield f"http://127.0.0.1:{port}", server.pid
    finally:
        server.terminate()
        server.wait()


def wait(attempt: Callable[[], None]) -> None:
    """Repeat what fails with OSError, a minute long."""
    deadline = time.monotonic() + 60
    while True:
        try:
            attempt()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def memory(process: int) -> float:
    """Bytes that a process holds in memory."""
    status = Path(f"/proc/{process}/status").read_text("utf-8")
    return 1024 * float(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


def say(what: str, value: float, unit: str, goal: float | None) -> None:
    """Print a line of the table."""
    digits = 2 if unit == "s" else 0
    wanted = "" if goal is None else f"{goal:.{digits}f} {unit}"
    print(f"{what:<44}{value:>9.{digits}f} {unit:<2}{wanted:>10}", flush=True)


if __name__ == "__main__":
    main()
