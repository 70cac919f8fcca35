"""Two small stored runs, and people who label them as the workbench does."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from db.annotation_views import Change, ProjectRow
from db.annotations import hand_out, record
from db.ingest import ingest
from db.queries_annotations import get_project, item_rows
from db.queries_texts import Database
from db.session import open_database
from steper_core.records import Judgement, Score
from steper_core.run_records import RunKind
from steper_core.rundir import RunDir, open_run
from tests.db.samples import make_chain, make_question, make_score

KEYS = tuple(f"q{number}" for number in range(1, 7))
START = datetime.datetime(2026, 5, 1, 9, tzinfo=datetime.UTC)


def store_run(runs: Path, name: str, right: Iterable[str], scores: Iterable[Score] = (), steps: int = 2) -> RunDir:
    """A run of the six questions, of which some are answered rightly."""
    good = set(right)
    with open_run(
        runs / name, kind=RunKind.EVALUATE, config={"name": name}, dataset="worlds", model="m", framework="ircot"
    ) as run:
        run.write_questions(make_question(key) for key in KEYS)
        run.append_chains(make_chain(key, steps=steps, hits=()) for key in KEYS)
        run.append_scores([*(make_score(key, float(key in good)) for key in KEYS), *scores])
    return run


def judge(runs: Path, judged: RunDir, votes: Iterable[tuple[str, int, int, float]]) -> RunDir:
    """A judge's run: votes are (question, step, vote, rating)."""
    with open_run(
        runs / f"judge-{judged.path.name}",
        kind=RunKind.JUDGE,
        config={},
        dataset="worlds",
        model="big",
        judged=(judged.info.uid,),
    ) as run:
        run.write_questions(judged.questions())
        run.append_judgements(
            Judgement(
                question_id=key,
                step=step,
                rubric="steps",
                version="1",
                judge="big",
                vote=vote,
                verdicts={"rating": rating},
                key="k",
            )
            for key, step, vote, rating in votes
        )
    return run


def open_labels(runs: Path) -> Database:
    """The database of a folder of runs, with all of them in it."""
    engine = open_database(f"sqlite:///{runs / 'steper.db'}")
    for file in sorted(runs.glob("*/run.json")):
        ingest(engine, file.parent)
    return engine


def project_of(engine: Database, name: str) -> ProjectRow:
    """A project that is there."""
    found = get_project(engine, name)
    assert found is not None
    return found


def label(
    engine: Database, project: str, person: str, labels: dict[str, list[tuple[int, str, Any]]], seconds: float = 10.0
) -> None:
    """Let a person take all items, label those of the given questions, and submit those; the others stay held."""
    own = project_of(engine, project)
    hand_out(engine, own.id, person, ahead=50)
    items = {row.question_key: row.id for row in item_rows(engine, own.id, limit=50)}
    for place, (key, given) in enumerate(labels.items()):
        changes = [
            Change(f"{person}-{key}-{index}", items[key], number, field, value)
            for index, (number, field, value) in enumerate(given)
        ]
        end = Change(f"{person}-{key}-end", items[key], 0, "submit", None, seconds)
        moment = START + datetime.timedelta(minutes=place)
        recorded = record(engine, own.id, person, [*changes, end], at=moment)
        assert not recorded.refused
