"""The tables. Identities are natural, so that reading a run directory again finds what is already stored.

A chain is known by its run and question, a step by its chain and number, a retrieved passage by its step and rank:
no surrogate ids are handed out during a bulk insert, and everything of one chain lies together on the disk.
"""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import JSON, DateTime, TypeDecorator

CHAIN_LEVEL = 0
"""The step number of a score that measures a whole chain (a key column cannot be NULL)."""

CORRECT = "em"
"""The score that decides whether a chain is right."""

WRONG_PATH = "right_by_wrong_path"
"""The score that tells right answers found by a wrong path."""


class UtcDateTime(TypeDecorator[datetime.datetime]):
    """A moment, stored in UTC and handed out with its zone (SQLite itself forgets zones)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime.datetime | None, dialect: sa.Dialect) -> datetime.datetime | None:
        """To UTC; a moment without a zone is taken as UTC."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=datetime.UTC) if value.tzinfo is None else value.astimezone(datetime.UTC)

    def process_result_value(self, value: datetime.datetime | None, dialect: sa.Dialect) -> datetime.datetime | None:
        """Back to a moment with a zone."""
        return self.process_bind_param(value, dialect)


class Base(DeclarativeBase):
    """Base of all tables; constraints have predictable names, so that migrations can name them."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - declared so by SQLAlchemy
        str: sa.Text(),
        bytes: sa.LargeBinary(),
        float: sa.Double(),
        dict[str, Any]: JSON(),
        list[Any]: JSON(),
        datetime.datetime: UtcDateTime(),
    }


RUNS_REVISION, LABELS_REVISION = 1, 2
"""Rows of the table of revisions: of all that runs are, and of people's labels, which change with every key press."""


class RevisionRow(Base):
    """A number that grows with every change."""

    __tablename__ = "revision"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(sa.BigInteger)


class Run(Base):
    """One execution. `fingerprint` tells whether its directory changed since it was read, `bytes_read` how far."""

    __tablename__ = "runs"
    __table_args__ = (sa.UniqueConstraint("uid"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    uid: Mapped[str]
    name: Mapped[str]
    kind: Mapped[str]
    status: Mapped[str]
    dataset: Mapped[str]
    model: Mapped[str]
    method: Mapped[str]
    framework: Mapped[str]
    seed: Mapped[int] = mapped_column(sa.BigInteger)
    config: Mapped[dict[str, Any]]
    digest: Mapped[str]
    versions: Mapped[dict[str, Any]]
    hardware: Mapped[dict[str, Any]]
    git_revision: Mapped[str | None]
    command: Mapped[str]
    path: Mapped[str]
    started: Mapped[datetime.datetime]
    finished: Mapped[datetime.datetime | None]
    seconds: Mapped[float]
    error: Mapped[str | None]
    checkpoint_run_uid: Mapped[str | None]
    checkpoint_run_name: Mapped[str | None]
    checkpoint_step: Mapped[int | None] = mapped_column(sa.BigInteger)
    study: Mapped[dict[str, Any] | None]
    figures: Mapped[dict[str, Any]]
    counts: Mapped[dict[str, Any]]
    facts: Mapped[dict[str, Any]]
    search: Mapped[str]
    """Name, model, dataset, method and framework in lower case, for the text filter."""
    fingerprint: Mapped[str]
    bytes_read: Mapped[int] = mapped_column(sa.BigInteger)


class Question(Base):
    """A question of a dataset, shared by all runs that ask it.

    `gold_digest` is a digest of aliases, kind and hops: it tells when another run brings other ones.
    """

    __tablename__ = "questions"
    __table_args__ = (sa.UniqueConstraint("digest"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str]
    gold_digest: Mapped[str]
    dataset: Mapped[str]
    key: Mapped[str]
    text: Mapped[str]
    answer: Mapped[str]
    aliases: Mapped[list[Any]]
    kind: Mapped[str]
    hop_count: Mapped[int]
    search: Mapped[str]
    """Text and answer in lower case, for the text filter."""


class Passage(Base):
    """A retrievable text; its id is a digest of title and text."""

    __tablename__ = "passages"

    id: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    text: Mapped[str]


class Hop(Base):
    """A gold sub-question. `passage_id` may name a passage that no run directory holds."""

    __tablename__ = "hops"
    __table_args__ = ({"sqlite_with_rowid": False},)

    question_id: Mapped[int] = mapped_column(sa.ForeignKey("questions.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    question: Mapped[str]
    answer: Mapped[str | None]
    statement: Mapped[str]
    passage_id: Mapped[str | None]
    depends_on: Mapped[list[Any]]


class Chain(Base):
    """All steps for one question in one run.

    `correct` repeats the latest em score and `wrong_path` that of being right by a wrong path, NULL where there is
    none: the pages filter 200,000 chains by them while the reader waits.
    """

    __tablename__ = "chains"
    __table_args__ = (sa.Index(None, "run_id", "correct", "question_id"), {"sqlite_with_rowid": False})

    run_id: Mapped[int] = mapped_column(sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    question_id: Mapped[int] = mapped_column(sa.ForeignKey("questions.id"), primary_key=True)
    answer: Mapped[str | None]
    stop_reason: Mapped[str]
    correct: Mapped[bool | None]
    step_count: Mapped[int] = mapped_column(server_default="0")
    wrong_path: Mapped[bool | None]


class Step(Base):
    """One turn of a chain."""

    __tablename__ = "steps"
    __table_args__ = (
        sa.ForeignKeyConstraint(["run_id", "question_id"], ["chains.run_id", "chains.question_id"], ondelete="CASCADE"),
    )

    run_id: Mapped[int] = mapped_column(primary_key=True)
    question_id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    ability: Mapped[str]
    query: Mapped[str]
    rationale: Mapped[str]
    prompt_tokens: Mapped[int]
    output_tokens: Mapped[int]
    seconds: Mapped[float]


class Retrieval(Base):
    """A passage newly retrieved at a step."""

    __tablename__ = "retrievals"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["run_id", "question_id", "number"],
            ["steps.run_id", "steps.question_id", "steps.number"],
            ondelete="CASCADE",
        ),
        {"sqlite_with_rowid": False},
    )

    run_id: Mapped[int] = mapped_column(primary_key=True)
    question_id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    rank: Mapped[int] = mapped_column(primary_key=True)
    passage_id: Mapped[str] = mapped_column(sa.ForeignKey("passages.id"))
    score: Mapped[float]


class ChainScores(Base):
    """All that one evaluator says of one chain.

    `numbers` holds values by step number (CHAIN_LEVEL: the whole chain) and name, `reasons` why a value is missing.
    Pages read all scores of a chain at once, and comparisons read ScoreColumn: a row for each value would only make
    seventy of one.
    """

    __tablename__ = "chain_scores"
    __table_args__ = (
        sa.ForeignKeyConstraint(["run_id", "question_id"], ["chains.run_id", "chains.question_id"], ondelete="CASCADE"),
        {"sqlite_with_rowid": False},
    )

    run_id: Mapped[int] = mapped_column(primary_key=True)
    question_id: Mapped[int] = mapped_column(primary_key=True)
    evaluator: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(primary_key=True)
    numbers: Mapped[dict[str, Any]]
    reasons: Mapped[dict[str, Any]]


class TrainPoint(Base):
    """What training logged at one optimizer step."""

    __tablename__ = "train_points"
    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: Mapped[int] = mapped_column(sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    held_out: Mapped[bool] = mapped_column(primary_key=True)
    epoch: Mapped[float]
    losses: Mapped[dict[str, Any]]
    sigmas: Mapped[dict[str, Any]]
    learning_rate: Mapped[float | None]
    tokens_per_second: Mapped[float | None]


class RunColumns(Base):
    """What all chains of a run cost and what they were asked, one array a column, in the order of `question_ids`.

    Comparing runs needs the value of every question: read from 100,000 rows it takes a second, from an array a
    millisecond. Arrays are little-endian: ids and tokens int64, counts and `kind_codes` (places in `kinds`) int32,
    seconds float64.
    """

    __tablename__ = "run_columns"

    run_id: Mapped[int] = mapped_column(sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    question_ids: Mapped[bytes]
    kinds: Mapped[list[Any]]
    kind_codes: Mapped[bytes]
    hop_counts: Mapped[bytes]
    steps: Mapped[bytes]
    passages: Mapped[bytes]
    prompt_tokens: Mapped[bytes]
    output_tokens: Mapped[bytes]
    seconds: Mapped[bytes]


class ScoreColumn(Base):
    """One score of all chains of a run, as an array of float32 in the order of the run's columns; unscored is NaN.

    `ability` is empty for the whole chain; a score of steps has its mean over the chain's steps of each ability, and
    over all of them. `reasons` counts why values are missing.
    """

    __tablename__ = "score_columns"

    run_id: Mapped[int] = mapped_column(sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    evaluator: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(primary_key=True)
    ability: Mapped[str] = mapped_column(primary_key=True)
    numbers: Mapped[bytes]
    reasons: Mapped[dict[str, Any]]


class Judgement(Base):
    """One vote of a judge run on a chain (`number` is CHAIN_LEVEL) or step of the run whose uid is `judged_uid`.

    The judged run may not be stored (yet): it is named, not referred to.
    """

    __tablename__ = "judgements"
    __table_args__ = (sa.Index(None, "judged_uid", "question_id"), {"sqlite_with_rowid": False})

    run_id: Mapped[int] = mapped_column(sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    question_id: Mapped[int] = mapped_column(sa.ForeignKey("questions.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    vote: Mapped[int] = mapped_column(primary_key=True)
    order: Mapped[str] = mapped_column(primary_key=True)
    judged_uid: Mapped[str]
    rubric: Mapped[str]
    version: Mapped[str]
    judge: Mapped[str]
    verdicts: Mapped[dict[str, Any]]
    tags: Mapped[list[Any]]
    explanation: Mapped[str]
    unscored: Mapped[str | None]
    prompt_tokens: Mapped[int]
    output_tokens: Mapped[int]
    seconds: Mapped[float]
