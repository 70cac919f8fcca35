"""Reading run directories into the database. Reading one again changes nothing that did not change in it."""

from __future__ import annotations

import dataclasses
import gc
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic_core import to_json
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError
from sqlalchemy.orm import InstrumentedAttribute

from db.bulk import chunks, insert, insert_missing, upsert, write_tuples
from db.clean import clean
from db.columns import run_columns, score_columns
from db.models import (
    RUNS_REVISION,
    Chain,
    ChainScores,
    Hop,
    Judgement,
    Passage,
    Question,
    Retrieval,
    RevisionRow,
    Run,
    RunColumns,
    ScoreColumn,
    Step,
    TrainPoint,
)
from db.rows import RunRows, RunState, read_rows, run_row, state_of
from db.session import reading, writing
from steper_core import records
from steper_core.errors import UserError

_LOOKUP = 1000


@dataclasses.dataclass(frozen=True)
class RowCounts:
    """Numbers of rows by what they are; a row of scores is what one evaluator says of one chain."""

    chains: int = 0
    steps: int = 0
    scores: int = 0
    points: int = 0
    judgements: int = 0


@dataclasses.dataclass(frozen=True)
class IngestResult:
    """What reading a run directory did. `changed` is False if it held nothing new.

    `notes` are lines on what was left out; a directory that stands as it was last read is not read again and has none.
    """

    run: str
    run_id: int
    added: RowCounts = RowCounts()
    updated: RowCounts = RowCounts()
    changed: bool = False
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class IngestOutcome:
    """What became of one run directory: a result, or the error that kept it out."""

    path: Path
    result: IngestResult | None
    error: str | None


def ingest(engine: Engine, run_path: Path) -> IngestResult:
    """Bring the database up to date with one run directory, in one transaction: all of it or nothing.

    A run that is still running can be read, and read again later. Chains that miss their question or a passage are
    told in the notes; the rest goes in.

    Raises:
        UserError: it is no run directory, a line of it is invalid, or it holds less than it held before.
    """
    state = state_of(run_path)
    with reading(engine) as connection:
        known = connection.execute(
            sa.select(Run.id, Run.name).where(Run.uid == clean(state.info.uid), Run.fingerprint == state.fingerprint)
        ).first()
    if known is not None:
        return IngestResult(run=known.name, run_id=known.id)
    try:
        with _uncollected():
            rows = read_rows(run_path, state)
            with writing(engine) as connection:
                return _Writer(connection, rows, run_path).write()
    except (OverflowError, StatementError) as error:
        # What the database itself is at fault for (locked, gone) is no fault of the run.
        if isinstance(error, DBAPIError) and not isinstance(error, DataError | IntegrityError):
            raise
        raise UserError(f"{run_path}: holds a value that cannot be stored ({error})".splitlines()[0]) from error


@contextmanager
def _uncollected() -> Iterator[None]:
    # The collector would go through millions of new rows again and again (a quarter of the time) and find nothing.
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def find_runs(folder: Path) -> list[Path]:
    """The run directories (they hold a run.json) in and below a folder, in the order of their paths.

    Raises:
        UserError: there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    found = []
    for path, folders, files in os.walk(folder):
        if "run.json" in files:
            found.append(Path(path))
            folders.clear()
    return sorted(found)


def ingest_all(
    engine: Engine, folder: Path, on_progress: Callable[[IngestOutcome, int, int], None] | None = None
) -> tuple[IngestOutcome, ...]:
    """Ingest every run directory in and below a folder; one that cannot be read does not keep the others out.

    `on_progress` is called after each with its outcome, how many are done and how many there are.

    Raises:
        UserError: there is no such folder.
    """
    paths = find_runs(folder)
    outcomes = []
    for number, path in enumerate(paths, start=1):
        try:
            outcome = IngestOutcome(path, ingest(engine, path), None)
        except UserError as error:
            outcome = IngestOutcome(path, None, str(error))
        outcomes.append(outcome)
        if on_progress is not None:
            on_progress(outcome, number, len(paths))
    return tuple(outcomes)


def bump_revision(connection: Connection) -> None:
    """Tell the caches of the pages that something changed."""
    ours = sa.update(RevisionRow).where(RevisionRow.id == RUNS_REVISION)
    connection.execute(ours.values(number=RevisionRow.number + 1))


class _Writer:
    """Writes the rows of one run within one transaction."""

    def __init__(self, connection: Connection, rows: RunRows, path: Path) -> None:
        self.connection = connection
        self.rows = rows
        self.path = path
        self.run_id = 0
        self.notes = list(rows.notes)

    def write(self) -> IngestResult:
        info = self.rows.state.info
        run_changed = self._write_run(run_row(info, self.path), self.rows.state)
        self._write_passages()
        ids = self._write_questions()
        dropped = self._drop_points()
        before = self._counts()
        touched = self._write_chains(ids)
        after = self._counts()
        added = RowCounts(**{name: after[name] - before[name] for name in after})
        updated = RowCounts(
            scores=touched.scores - added.scores,
            points=touched.points - added.points,
            judgements=touched.judgements - added.judgements,
        )
        changed = run_changed or dropped or added != RowCounts() or updated != RowCounts()
        if changed:
            bump_revision(self.connection)
        return IngestResult(clean(info.name), self.run_id, added, updated, changed, tuple(self.notes))

    def _write_run(self, columns: dict[str, Any], state: RunState) -> bool:
        """Insert or update the run's row; return whether the pages would show a difference."""
        seen = {"fingerprint": state.fingerprint, "bytes_read": state.bytes_whole}
        inserted = self.connection.execute(
            insert(self.connection, Run).on_conflict_do_nothing().values(columns | seen).returning(Run.id)
        ).first()
        # The lock makes a second writer of the same run wait where writers do not exclude each other anyway.
        stored = self.connection.execute(
            sa.select(Run.__table__).where(Run.uid == columns["uid"]).with_for_update()
        ).one()
        self.run_id = stored.id
        if inserted is not None:
            return True
        if stored.bytes_read > state.bytes_whole:
            self._refuse_older(stored.bytes_read)
        mapping = stored._mapping
        changes = {name: value for name, value in columns.items() if mapping[name] != value}
        self.connection.execute(sa.update(Run).where(Run.id == self.run_id).values(changes | seen))
        return bool(changes)

    def _refuse_older(self, bytes_stored: int) -> None:
        if state_of(self.path).bytes_whole >= bytes_stored:
            raise UserError(f"{self.path}: another process stored a newer state of this run meanwhile; ingest it again")
        raise UserError(
            f"{self.path}: holds less than when it was last ingested; "
            "take it out of the database first (steper db forget RUN), then ingest it again"
        )

    def _write_passages(self) -> None:
        # In the order of their ids, so that two writers never wait for each other in a circle.
        passages = self.rows.passages
        rows = ((key, *passages[key]) for key in sorted(passages))
        write_tuples(self.connection, insert_missing(self.connection, Passage), rows)
        # An id that is made of title and text stands for no other passage.
        foreign = [key for key, words in passages.items() if records.Passage.of(*words).id != key]
        other: list[str] = []
        for chunk in chunks(foreign, _LOOKUP):
            statement = sa.select(Passage.id, Passage.title, Passage.text).where(Passage.id.in_(chunk))
            stored = self.connection.execute(statement)
            other += [key for key, *words in stored if passages[key] != tuple(words)]
        if other:
            self.notes.append(
                "passages whose id stands for another passage of an earlier run, which is shown in their place: "
                f"{len(other)} (first: {min(other)!r})"
            )

    def _write_questions(self) -> dict[str, int]:
        """Insert the questions that are new; return the row id of each by its id in the run."""
        connection, questions = self.connection, self.rows.questions
        stored = self._stored_questions(rows.digest for rows in questions.values())
        # In the order of the file: ids follow it, and the pages list questions by id.
        new = [rows for rows in questions.values() if rows.digest not in stored]
        if new:
            write_tuples(connection, insert_missing(connection, Question), (rows.columns for rows in new), without="id")
            fresh = self._stored_questions(rows.digest for rows in new)
            hops = ((fresh[rows.digest][0], *hop) for rows in new for hop in rows.hops)
            write_tuples(connection, insert_missing(connection, Hop), hops)
            stored |= fresh
        other = [key for key, rows in questions.items() if stored[rows.digest][1] != rows.gold_digest]
        if other:
            self.notes.append(
                "questions stored earlier with other aliases, kind or hops, kept as they were: "
                f"{len(other)} (first: {clean(other[0])!r})"
            )
        return {key: stored[rows.digest][0] for key, rows in questions.items()}

    def _stored_questions(self, digests: Iterable[str]) -> dict[str, tuple[int, str]]:
        found: dict[str, tuple[int, str]] = {}
        for chunk in chunks(digests, _LOOKUP):
            statement = sa.select(Question.digest, Question.id, Question.gold_digest).where(Question.digest.in_(chunk))
            found.update((row.digest, (row.id, row.gold_digest)) for row in self.connection.execute(statement))
        return found

    def _write_chains(self, ids: dict[str, int]) -> RowCounts:
        """Insert the chains that are new and all scores and points; return how many rows were touched."""
        stored = set(self.connection.scalars(sa.select(Chain.question_id).where(Chain.run_id == self.run_id)))
        rows, connection, run_id = self.rows, self.connection, self.run_id
        # In the order of the keys: rows then go to the end of their tables instead of into the middle.
        ordered = sorted((ids[key], key) for key in rows.chains)
        new = [(number, key, rows.chains[key]) for number, key in ordered if number not in stored]
        touched = RowCounts(
            chains=write_tuples(
                connection,
                sa.insert(Chain),
                (
                    (
                        run_id,
                        number,
                        chain.answer,
                        chain.stop_reason,
                        rows.correct.get(key),
                        len(chain.steps),
                        rows.wrong_path.get(key),
                    )
                    for number, key, chain in new
                ),
            ),
            steps=write_tuples(
                connection,
                sa.insert(Step),
                ((run_id, number, *step) for number, _, chain in new for step in chain.steps),
            ),
            scores=0,
        )
        write_tuples(
            connection,
            sa.insert(Retrieval),
            ((run_id, number, *hit) for number, _, chain in new for hit in chain.retrievals),
        )
        scores = write_tuples(
            connection, upsert(connection, ChainScores, ("numbers", "reasons")), self._score_rows(ordered)
        )
        for column, values in ((Chain.correct, rows.correct), (Chain.wrong_path, rows.wrong_path)):
            self._write_late(column, [(number, values[key]) for number, key in ordered if key in values], stored)
        self._write_columns(ordered)
        return dataclasses.replace(
            touched, scores=scores, points=self._write_points(), judgements=self._write_judgements(ids)
        )

    def _score_rows(self, ordered: list[tuple[int, str]]) -> Iterator[tuple[Any, ...]]:
        for number, key in ordered:
            for evaluator, scores in sorted(self.rows.scores.get(key, {}).items()):
                if scores.values:
                    yield (self.run_id, number, *evaluator, _json(scores.values), _json(scores.reasons))

    def _write_late(
        self, column: InstrumentedAttribute[bool | None], latest: list[tuple[int, bool | None]], stored: set[int]
    ) -> None:
        """Set what repeats a score, of chains that were stored before their score was."""
        bound = [{"chain": number, "value": value} for number, value in latest if number in stored]
        if bound:
            value = sa.bindparam("value", type_=sa.Boolean())
            self.connection.execute(
                sa.update(Chain)
                .where(Chain.run_id == self.run_id, Chain.question_id == sa.bindparam("chain"))
                .where(column.is_distinct_from(value))
                .values({column: value}),
                bound,
            )

    def _write_columns(self, ordered: list[tuple[int, str]]) -> None:
        """Replace the columns of the run: they are a second form of what stands in its rows."""
        connection, own = self.connection, {"run_id": self.run_id}
        for model in (RunColumns, ScoreColumn):
            connection.execute(sa.delete(model).where(model.run_id == self.run_id))
        if ordered:
            connection.execute(sa.insert(RunColumns), own | run_columns(self.rows, ordered))
        if scores := score_columns(self.rows, ordered):
            connection.execute(sa.insert(ScoreColumn), [own | score for score in scores])

    def _write_judgements(self, ids: dict[str, int]) -> int:
        rows = sorted(
            (self.run_id, ids[key], number, vote, order, *values)
            for (key, number, vote, order), values in self.rows.judgements.items()
        )
        changing = [column.name for column in Judgement.__table__.columns if not column.primary_key]
        return write_tuples(self.connection, upsert(self.connection, Judgement, changing), rows)

    def _drop_points(self) -> bool:
        """Delete the points that a resumed training took back; return whether there are such."""
        own, place = TrainPoint.run_id == self.run_id, (TrainPoint.step, TrainPoint.held_out)
        stored = self.connection.execute(sa.select(*place).where(own))
        gone = [tuple(row) for row in stored if tuple(row) not in self.rows.points]
        for chunk in chunks(gone, _LOOKUP):
            self.connection.execute(sa.delete(TrainPoint).where(own, sa.tuple_(*place).in_(chunk)))
        return bool(gone)

    def _write_points(self) -> int:
        names = ("epoch", "losses", "sigmas", "learning_rate", "tokens_per_second")
        rows = ((self.run_id, *key, *values) for key, values in sorted(self.rows.points.items()))
        return write_tuples(self.connection, upsert(self.connection, TrainPoint, names), rows)

    def _counts(self) -> dict[str, int]:
        tables: dict[str, type[Chain | Step | ChainScores | TrainPoint | Judgement]] = {
            "chains": Chain,
            "steps": Step,
            "scores": ChainScores,
            "points": TrainPoint,
            "judgements": Judgement,
        }
        counts = (
            sa.select(sa.func.count())
            .select_from(model)
            .where(model.run_id == self.run_id)
            .scalar_subquery()
            .label(name)
            for name, model in tables.items()
        )
        return dict(self.connection.execute(sa.select(*counts)).one()._mapping)


def _json(values: dict[Any, Any]) -> str:
    return to_json(values).decode()
