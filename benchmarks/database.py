"""How fast run directories go into the database, and how fast the pages' queries come out of it.

    python benchmarks/database.py                        20,000 chains of 5 steps in 2 runs, SQLite
    python benchmarks/database.py --chains 200000        200,000 chains, 1,000,000 steps
    python benchmarks/database.py --url postgresql://... an empty PostgreSQL database instead

Every chain has 20 retrieved passages and 67 scores, as many as the evaluators give a chain of five steps. Run
directories are written through the API that commands use and read through the ingest they use; the time counts from
the first byte read to the commit.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from app.views.compare_words import MAIN
from db import (
    QuestionFilter,
    get_question,
    ingest_all,
    list_questions,
    list_runs,
    open_database,
    question_choices,
    revision,
    run_arrays,
    run_choices,
    score_arrays,
    train_points,
)
from db.annotation_slots import hand_out
from db.annotation_views import Change, NewItem, NewProject
from db.annotations import create_project, record
from db.queries_annotations import chain_labels, get_project, item_rows, labels, list_projects
from db.queries_progress import progress
from db.queries_texts import Database
from evaluators.label_rubric import load_label_rubric
from steper_core.records import Chain, Hop, Passage, Question, Retrieved, Score, Step, StopReason, ability_of
from steper_core.run_records import RunKind, TrainPoint
from steper_core.rundir import open_run

TEXT = (
    "the of film director born in city river king founded who was place year where village band album song company "
    "airport lake mother won first part country actor league school award writer museum capital century"
)
WORDS = TEXT.split()
KINDS = ("bridge", "comparison", "compositional", "inference")
ANSWERS = ("em", "f1", "precision", "recall", "acc", "acc_bounded", "acc_text")
EVALUATORS = {
    "steps": (
        ("gold_recall", "hops_reached", "steps_before_error", "extra_steps", "premature_answer", "right_by_wrong_path"),
        ("gold_passage", "sub_answer", "gold_recall"),
    ),
    "retrieval": (
        ("passage_precision", "duplicate_share", "answer_reachable"),
        ("passage_precision", "new_passages", "duplicate_passages", "answer_reachable"),
    ),
    "grounding": (("ungrounded_names",), ("grounding",)),
    "consistency": ((), ("repetition", "contradiction")),
}
PASSAGES = 20_000
STEPS = 5
PER_STEP = 4
SCORES = len(ANSWERS) + sum(len(chain) + STEPS * len(step) for chain, step in EVALUATORS.values())
WINDOW = 1000
ITEMS = 2000
"""Items of the labelling project."""


def main() -> None:
    """Generate, ingest, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chains", type=int, default=20_000, help="chains of all runs together")
    parser.add_argument("--runs", type=int, default=2, help="runs, each over the same questions")
    parser.add_argument("--repeats", type=int, default=40, help="how often each query is asked")
    parser.add_argument("--url", help="the database (default: SQLite in a temporary folder)")
    arguments = parser.parse_args()
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        started = time.perf_counter()
        generate(root / "runs", arguments.chains // arguments.runs, arguments.runs)
        print(f"generated {arguments.chains:,} chains in {time.perf_counter() - started:.1f} s\n")
        measure(root, arguments.url or f"sqlite:///{root / 'steper.db'}", arguments.repeats)


def measure(root: Path, url: str, repeats: int) -> None:
    """Ingest the runs and ask every query of the pages."""
    engine = open_database(url)
    started, worked = time.perf_counter(), time.process_time()
    outcomes = ingest_all(engine, root / "runs")
    seconds, worked = time.perf_counter() - started, time.process_time() - worked
    steps = sum(outcome.result.added.steps for outcome in outcomes if outcome.result)
    scores = sum(outcome.result.added.chains for outcome in outcomes if outcome.result) * SCORES
    print(f"ingest: {steps:,} steps and {scores:,} scores in {seconds:.1f} s = {steps / seconds:,.0f} steps/s")
    print(f"        {worked:.1f} s of processor time = {steps / worked:,.0f} steps/s of a core of its own")
    started = time.perf_counter()
    ingest_all(engine, root / "runs")
    print(f"again, nothing new: {(time.perf_counter() - started) * 1000:.0f} ms\n")

    runs = tuple(run.id for run in reversed(list_runs(engine)))
    deep = list_questions(engine, runs).total * 9 // 10
    chosen = random.Random(1)

    def questions(offset: int = 0, **where: object) -> Callable[[], object]:
        return lambda: list_questions(engine, runs, QuestionFilter(**where), offset=offset)  # type: ignore[arg-type]

    queries: dict[str, Callable[[], object]] = {
        "revision": lambda: revision(engine),
        "list_runs": lambda: list_runs(engine),
        "run_choices": lambda: run_choices(engine),
        "question_choices": lambda: question_choices(engine, runs),
        "list_questions": questions(),
        "list_questions, 90 % down": questions(deep),
        "list_questions, right": questions(outcome="right"),
        "list_questions, wrong": questions(outcome="wrong"),
        "list_questions, differs": questions(outcome="differs"),
        "list_questions, kind": questions(kinds=("bridge",)),
        "list_questions, text": questions(text="Lake Airport"),
        "list_questions, text not there": questions(text="zyzzyva"),
        "list_questions, wrong + hops + text": questions(outcome="wrong", hop_counts=(2,), text="river"),
        "get_question": lambda: get_question(engine, chosen.randint(1, deep), runs),
        "train_points": lambda: train_points(engine, runs[0]),
        "run_arrays": lambda: run_arrays(engine, runs),
        "score_arrays, one score": lambda: score_arrays(engine, runs, ("em",)),
        "score_arrays, the nine main ones": lambda: score_arrays(engine, runs, MAIN),
        "score_arrays, all scores": lambda: score_arrays(engine, runs),
        "list_questions, fixed": questions(outcome="fixed"),
        "list_questions, broken + kind": questions(outcome="broken", kinds=("bridge",)),
        "list_questions, both wrong + hops": questions(outcome="both-wrong", hop_counts=(2,)),
        "list_questions, steps": questions(step_counts=(STEPS,)),
        "list_questions, right + steps + path": questions(outcome="right", step_counts=(STEPS,), marks=("wrong-path",)),
        "list_questions, unscored": questions(marks=("unscored",)),
        **label_queries(engine, runs),
    }
    print(f"{'query':<38}{'p50 ms':>10}{'p95 ms':>10}")
    for name, query in queries.items():
        times = list(timed(query, repeats))
        p95 = statistics.quantiles(times, n=20)[-1]
        print(f"{name:<38}{statistics.median(times):>10.1f}{p95:>10.1f}")


def label_queries(engine: Database, runs: tuple[int, ...]) -> dict[str, Callable[[], object]]:
    """What the pages ask about labels, of a project that three people labelled."""
    name = label(engine, runs[0])
    project = get_project(engine, name)
    assert project is not None
    (first,) = item_rows(engine, project.id, limit=1)
    marked: dict[str, Callable[[], object]] = {
        f"list_questions, {mark}": lambda mark=mark: list_questions(engine, runs, QuestionFilter(marks=(mark,)))
        for mark in ("annotated", "disagreed")
    }
    return marked | {
        "list_projects": lambda: list_projects(engine),
        "chain_labels": lambda: chain_labels(engine, first.question_id, runs),
        "labels of a project": lambda: labels(engine, project.id),
        "progress": lambda: progress(engine, project.id),
        "items, last page": lambda: item_rows(engine, project.id, offset=ITEMS - 20),
        "hand_out": lambda: hand_out(engine, project.id, "eve"),
    }


def label(engine: Database, run_id: int, name: str = "benchmark") -> str:
    """A project of ITEMS chains of a run, on two thirds of which ann and bob submitted labels; returns its name."""
    rng = random.Random(2)
    run = next(run for run in list_runs(engine) if run.id == run_id)
    (arrays,) = run_arrays(engine, (run_id,))
    assert arrays is not None
    rubric = load_label_rubric("steps")
    items = tuple(NewItem(run.uid, int(number)) for number in arrays.question_ids[:ITEMS])
    project = create_project(engine, NewProject(name, rubric.model_dump(mode="json"), True, 2, 0, {}, items))
    for person in ("ann", "bob"):
        slots = hand_out(engine, project, person, ahead=ITEMS * 2 // 3)
        changes = [
            Change(f"{person}-{slot.item_id}-{number}", slot.item_id, number, field, value)
            for slot in slots
            for number, field, value in [
                *((step, "rating", float(rng.choice((-1, 0, 1)))) for step in range(1, STEPS + 1)),
                (0, "verdict", rng.choice((0.0, 0.5, 1.0))),
                (0, "submit", None),
            ]
        ]
        # Submitting is the last change of an item and has a number of its own.
        unique = [dataclasses.replace(change, uid=f"{change.uid}-{change.field}") for change in changes]
        for start in range(0, len(unique), 700):
            record(engine, project, person, unique[start : start + 700])
    return name


def timed(query: Callable[[], object], repeats: int) -> Iterator[float]:
    """Milliseconds of each repetition, the first one included."""
    for _ in range(repeats):
        started = time.perf_counter()
        query()
        yield (time.perf_counter() - started) * 1000


def generate(root: Path, chains: int, runs: int) -> None:
    """Write runs of `chains` chains each, all over the same questions."""
    rng = random.Random(0)

    def text(words: int) -> str:
        return " ".join(rng.choices(WORDS, k=words))

    passages = [Passage.of(f"{text(3)} {number}", text(70)) for number in range(PASSAGES)]
    questions = [
        Question(
            id=f"q{number}",
            dataset="2wikimultihopqa",
            text=f"{text(18)} {number}?",
            answer=text(2),
            kind=rng.choice(KINDS),
            hops=tuple(
                Hop(question=text(8), answer=text(2), statement=text(10), passage_id=rng.choice(passages).id)
                for _ in range(rng.choice((2, 2, 3, 4)))
            ),
        )
        for number in range(chains)
    ]

    def chain(question: Question) -> Chain:
        steps = tuple(
            Step(
                number=number,
                ability=ability_of(number, STEPS),
                query=text(15),
                retrieved=tuple(
                    Retrieved(passage_id=passage.id, rank=rank, score=rng.random() * 20)
                    for rank, passage in enumerate(rng.choices(passages, k=PER_STEP), start=1)
                ),
                rationale=text(18),
                prompt_tokens=600,
                output_tokens=20,
                seconds=0.5,
            )
            for number in range(1, STEPS + 1)
        )
        return Chain(question_id=question.id, steps=steps, answer=text(2), stop_reason=StopReason.ANSWERED)

    def scores(question: Question) -> Iterator[Score]:
        right = float(rng.random() < 0.35)
        values = {"em": right, "f1": max(right, rng.random()), "acc": right}
        yield from given(question, "answers", None, {name: values.get(name, rng.random()) for name in ANSWERS})
        for evaluator, (of_chain, of_step) in EVALUATORS.items():
            yield from given(question, evaluator, None, {name: rng.random() for name in of_chain})
            for step in range(1, STEPS + 1):
                yield from given(question, evaluator, step, {name: rng.random() for name in of_step})

    def given(question: Question, evaluator: str, step: int | None, values: dict[str, float]) -> Iterator[Score]:
        for name, value in values.items():
            yield Score(question_id=question.id, step=step, name=name, value=value, evaluator=evaluator, version="1")

    for number in range(runs):
        with open_run(
            root / f"run{number}",
            kind=RunKind.EVALUATE,
            config={"number": number},
            dataset="2wikimultihopqa",
            model="SmolLM2-135M",
            method="steper",
            framework="ircot",
        ) as run:
            run.write_questions(questions)
            run.append_passages(passages)
            for start in range(0, chains, WINDOW):
                window = questions[start : start + WINDOW]
                run.append_chains(chain(question) for question in window)
                run.append_scores(score for question in window for score in scores(question))
            if number == 0:
                for step in range(1000):
                    losses = {"initialization": rng.random(), "aggregation": rng.random()}
                    run.append_train_point(TrainPoint(step=step, epoch=step / 100, losses=losses))


def processor() -> str:
    """The processor's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
