"""How long a label takes to be stored while twenty people label at once, and whether all of them are.

    python benchmarks/annotations.py              twenty processes, two labels a second each, for ten seconds

Each process has a connection of its own and stores one label after the other, as a dashboard does for a person.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path

from database import generate

from db import ingest_all, list_runs, open_database, run_arrays
from db.annotation_slots import hand_out
from db.annotation_views import Change, NewItem, NewProject
from db.annotations import create_project, record
from db.queries_annotations import history
from evaluators.label_rubric import load_label_rubric

PEOPLE = 20
PACE = 0.5
"""Seconds between two labels of a person."""

READY = 20.0
"""Seconds until all processes have started."""

ITEMS = 400
GOAL = 50.0


def main() -> None:
    """Make a project, let people work, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        url = f"sqlite:///{root / 'steper.db'}"
        project = make(root, url)
        context = multiprocessing.get_context("spawn")
        with context.Pool(PEOPLE) as pool:
            begin = time.time() + READY
            jobs = [
                (url, project, f"person {number}", begin + PACE * number / PEOPLE, arguments.seconds)
                for number in range(PEOPLE)
            ]
            times = [each for own in pool.starmap(work, jobs) for each in own]
        kept = history(open_database(url), project)
    uids = {row.uid for row in kept}
    print(f"{PEOPLE} people, {len(times):,} labels on {os.cpu_count()} cores")
    print(f"stored {len(kept):,}, lost {len(times) - len(uids):,}, doubled {len(kept) - len(uids):,}")
    p99 = statistics.quantiles(times, n=100)[-1]
    print(f"a label: p50 {statistics.median(times):.1f} ms, p99 {p99:.1f} ms (goal {GOAL:.0f} ms)")


def make(root: Path, url: str) -> int:
    """A project that gives every person items of their own."""
    generate(root / "runs", ITEMS, 1)
    engine = open_database(url)
    ingest_all(engine, root / "runs")
    (run,) = list_runs(engine)
    (arrays,) = run_arrays(engine, (run.id,))
    assert arrays is not None
    rubric = load_label_rubric("steps").model_dump(mode="json")
    items = tuple(NewItem(run.uid, int(number)) for number in arrays.question_ids)
    return create_project(engine, NewProject("benchmark", rubric, True, 1, 0, {}, items))


def work(url: str, project: int, person: str, begin: float, seconds: float) -> list[float]:
    """Milliseconds that each label of a person took."""
    engine = open_database(url)
    slots = hand_out(engine, project, person, ahead=ITEMS // PEOPLE)
    times = []
    # When all processes stand; and not all in the same instant, as people do not press in time with each other.
    time.sleep(max(0.0, begin - time.time()))
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        slot = slots[len(times) % len(slots)]
        change = Change(f"{person}-{len(times)}", slot.item_id, 1, "rating", float(len(times) % 3 - 1))
        started = time.perf_counter()
        assert record(engine, project, person, [change]).stored
        times.append((time.perf_counter() - started) * 1000)
        time.sleep(PACE)
    return times


if __name__ == "__main__":
    main()
