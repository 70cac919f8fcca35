"""Pictures of the dashboard on a database: python docs/screenshots.py DATABASE_URL FOLDER.

Needs Debian's package chromium (or any chromium on PATH) and playwright (in the extra "dev").
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, sync_playwright

from app.state import run_tokens
from app.study_table import studies_of
from db.queries import list_runs
from db.queries_annotations import annotators, list_projects
from db.session import open_database

ROOT = Path(__file__).parents[1]
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
]
LOOKS = {"light": (1280, "light"), "dark": (1280, "dark"), "narrow": (900, "light")}


def main() -> None:
    """Write the pictures."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    url, folder = sys.argv[1], Path(sys.argv[2])
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        sys.exit("no chromium on PATH: install Debian's package chromium")
    folder.mkdir(parents=True, exist_ok=True)
    with serving(url) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        for look, (width, scheme) in LOOKS.items():
            for name, path in pages(url).items():
                picture = folder / f"{name}-{look}.png"
                take(browser, f"{address}/{path}", picture, width, scheme)
                print(picture)
        browser.close()


def pages(url: str) -> dict[str, str]:
    """What to show, by the name of the picture: two students side by side where there are any, and two trainings."""
    runs = run_tokens(list_runs(open_database(url)))
    evaluated = [token for token, run in runs.items() if run.kind == "evaluate" and run.chain_count]
    evaluated.sort(key=lambda token: runs[token].figures["em"].mean or 0 if "em" in runs[token].figures else 0)
    students = [token for token in evaluated if runs[token].checkpoint_run_uid]
    compared = (students or evaluated)[:2]
    trained = [token for token, run in runs.items() if run.kind == "train"][:2]
    return {
        "runs": "?" + "&".join(f"tick={token}" for token in compared) if compared else "",
        "run-details": f"?open={evaluated[-1]}" if evaluated else "",
        "chains": "chains?" + "&".join(f"run={token}" for token in evaluated[-1:]),
        "chains-two": "chains?"
        + "&".join(f"run={token}" for token in compared)
        + "&outcome=differs" * (len(compared) > 1),
        "compare": "compare?" + "&".join(f"run={token}" for token in [*compared, *evaluated[:1]]),
        "training": "training?" + "&".join(f"run={token}" for token in trained),
        **({"studies": "studies"} if studies_of(runs.values()) else {}),
        **labelling(url),
    }


def labelling(url: str) -> dict[str, str]:
    """The pages around the newest labelling project that somebody worked in, as its first person; none otherwise."""
    engine = open_database(url)
    for project in list_projects(engine):
        people = annotators(engine, project.id)
        if people:
            about = {"project": project.name, "as": people[0]}
            return {
                "projects": "annotate",
                "annotate": f"annotate?{urlencode(about)}",
                "annotate-progress": f"annotate?{urlencode({**about, 'view': 'progress'})}",
                "annotate-disagreements": f"annotate?{urlencode({**about, 'view': 'disagreements'})}",
                "agreement": f"agreement?{urlencode({'project': project.name})}",
            }
    return {}


def take(browser: Browser, address: str, picture: Path, width: int, scheme: str) -> None:
    """Open an address and write what stands there."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = context.new_page()
    page.goto(address)
    settle(page)
    page.screenshot(path=picture)
    context.close()


def settle(page: Page) -> None:
    """Wait until the page is drawn."""
    page.wait_for_selector("h2")
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    page.wait_for_function("() => !document.querySelector('[data-testid=stSkeleton]')")
    page.wait_for_timeout(700)


@contextmanager
def serving(url: str) -> Iterator[str]:
    """Run the dashboard and yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app/streamlit_app.py"), "--server.headless=true"]
    server = subprocess.Popen(
        [*command, f"--server.port={port}", "--server.address=127.0.0.1"],
        env={**os.environ, "STEPER_DATABASE_URL": url},
    )
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1)
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
