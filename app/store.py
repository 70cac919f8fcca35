"""The database as the pages see it: opened once, its answers kept until its revision changes.

The revision is an argument of every cached function only to be part of what its answers are kept under.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import streamlit as st

from app.settings import database_url
from app.views.labelled import ChainLabels
from db import queries
from db.queries import (
    QuestionChoices,
    QuestionFilter,
    QuestionPage,
    QuestionView,
    RunArrays,
    RunChoices,
    RunFilter,
    RunRow,
    ScoreArray,
    TrainPointRow,
)
from db.queries_annotations import chain_labels, labels_revision, project_rubrics
from db.queries_texts import Database
from db.session import file_identity, open_database

if TYPE_CHECKING:
    from app.agreeing import Findings
    from app.comparison import Comparison, ScoreName, Table
    from app.study_table import StudyResult
    from evaluators.significance import PairedResult

_EM: ScoreName = ("em", "")
_BY_LABELS = frozenset({"annotated", "disagreed"})
"""Marks of questions that people's labels decide."""


class _Database:
    """Holds the opened database, whose type stays inside db."""

    def __init__(self, url: str) -> None:
        self.engine = open_database(url)


def _open(url: str) -> _Database:
    return _opened(url, file_identity(url))


@st.cache_resource(show_spinner=False, max_entries=8)
def _opened(url: str, identity: tuple[int, int] | None) -> _Database:
    # The file of this name is another one than before: what was read from that one holds no longer.
    st.cache_data.clear()
    return _Database(url)


@st.cache_data(show_spinner=False, max_entries=100)
def _runs(url: str, revision: int, where: RunFilter) -> tuple[RunRow, ...]:
    return queries.list_runs(_open(url).engine, where)


@st.cache_data(show_spinner=False, max_entries=10)
def _run_choices(url: str, revision: int) -> RunChoices:
    return queries.run_choices(_open(url).engine)


@st.cache_data(show_spinner=False, max_entries=100)
def _question_choices(
    url: str,
    revision: int,
    run_ids: tuple[int, ...],
) -> QuestionChoices:
    return queries.question_choices(_open(url).engine, run_ids)


@st.cache_data(show_spinner=False, max_entries=300)
def _questions(
    url: str,
    revision: int,
    labels_revision: int,
    run_ids: tuple[int, ...],
    where: QuestionFilter,
    offset: int,
    limit: int,
) -> QuestionPage:
    return queries.list_questions(_open(url).engine, run_ids, where, offset=offset, limit=limit)


@st.cache_data(show_spinner=False, max_entries=60)
def _question(
    url: str,
    revision: int,
    question_id: int,
    run_ids: tuple[int, ...],
) -> QuestionView | None:
    return queries.get_question(_open(url).engine, question_id, run_ids)


@st.cache_data(show_spinner=False, max_entries=60)
def _chain_labels(
    url: str, revision: int, labels_revision: int, question_id: int, run_ids: tuple[int, ...]
) -> ChainLabels:
    engine = _open(url).engine
    return ChainLabels(chain_labels(engine, question_id, run_ids), project_rubrics(engine))


@st.cache_data(show_spinner=False, max_entries=30)
def _findings(url: str, revision: int, labels_revision: int, project_id: int, subject: str) -> Findings:
    from app.agreeing import findings, gather

    return findings(gather(_open(url).engine, project_id), subject)


@st.cache_data(show_spinner=False, max_entries=20)
def _train_points(url: str, revision: int, run_id: int) -> tuple[TrainPointRow, ...]:
    return queries.train_points(_open(url).engine, run_id)


@st.cache_data(show_spinner=False, max_entries=50)
def _run_arrays(url: str, revision: int, run_id: int) -> RunArrays | None:
    (arrays,) = queries.run_arrays(_open(url).engine, (run_id,))
    return arrays


@st.cache_data(show_spinner=False, max_entries=50)
def _score_arrays(url: str, revision: int, run_ids: tuple[int, ...], names: tuple[str, ...]) -> tuple[ScoreArray, ...]:
    return queries.score_arrays(_open(url).engine, run_ids, names)


@st.cache_data(show_spinner=False, max_entries=50)
def _comparison(url: str, revision: int, run_ids: tuple[int, ...], score: ScoreName) -> Comparison:
    from app.comparison import compare

    return compare(*_compared(Store(url, revision), run_ids, (score,)), score=score)


@st.cache_data(show_spinner=False, max_entries=50)
def _score_table(url: str, revision: int, run_ids: tuple[int, ...], names: tuple[ScoreName, ...]) -> Table:
    from app.comparison import score_table

    return score_table(*_compared(Store(url, revision), run_ids, names), names)


@st.cache_data(show_spinner=False, max_entries=50)
def _outcomes(url: str, revision: int, run_ids: tuple[int, ...]) -> tuple[PairedResult | None, ...]:
    from app.comparison import outcomes

    return outcomes(*_compared(Store(url, revision), run_ids, (_EM,)))


@st.cache_data(show_spinner=False, max_entries=20)
def _study(url: str, revision: int, run_ids: tuple[int, ...]) -> StudyResult:
    from app.study_table import COLUMNS, study_result

    store = Store(url, revision)
    rows = {run.id: run for run in store.runs()}
    names = tuple(dict.fromkeys(name for name, _ in COLUMNS))
    arrays = [store.run_arrays(run_id) for run_id in run_ids]
    return study_result([rows[run_id] for run_id in run_ids], arrays, store.score_arrays(run_ids, names))


def _compared(
    store: Store, run_ids: tuple[int, ...], names: tuple[ScoreName, ...]
) -> tuple[list[RunRow], list[RunArrays], tuple[ScoreArray, ...]]:
    rows = {run.id: run for run in store.runs()}
    arrays = [own for run_id in run_ids if (own := store.run_arrays(run_id)) is not None]
    stored = tuple(dict.fromkeys(name.partition("@")[0] for name, _ in names))
    return [rows[own.run_id] for own in arrays], arrays, store.score_arrays(tuple(run.run_id for run in arrays), stored)


@dataclasses.dataclass(frozen=True)
class Store:
    """The database at one revision."""

    url: str
    revision: int

    def database(self) -> Database:
        """The database itself, for what changes too often to be kept: people's labels."""
        return _open(self.url).engine

    def runs(self, where: RunFilter = RunFilter()) -> tuple[RunRow, ...]:  # noqa: B008 (frozen)
        """Runs, newest first."""
        return _runs(self.url, self.revision, where)

    def run_choices(self) -> RunChoices:
        """The values that occur in runs."""
        return _run_choices(self.url, self.revision)

    def question_choices(self, run_ids: tuple[int, ...]) -> QuestionChoices:
        """What the questions of these runs can be filtered by."""
        return _question_choices(self.url, self.revision, run_ids)

    def questions(self, run_ids: tuple[int, ...], where: QuestionFilter, offset: int, limit: int) -> QuestionPage:
        """One page of the questions of these runs."""
        # Only what is asked about labels grows old with them.
        told = labels_revision(self.database()) if _BY_LABELS.intersection(where.marks) else 0
        return _questions(self.url, self.revision, told, run_ids, where, offset, limit)

    def question(self, question_id: int, run_ids: tuple[int, ...]) -> QuestionView | None:
        """A question and its chain under each run."""
        return _question(self.url, self.revision, question_id, run_ids)

    def chain_labels(self, question_id: int, run_ids: tuple[int, ...]) -> ChainLabels:
        """What people said of a question's chains."""
        return _chain_labels(self.url, self.revision, labels_revision(self.database()), question_id, run_ids)

    def findings(self, project_id: int, subject: str) -> Findings:
        """Who agrees with whom on a verdict or tag of a labelling project."""
        return _findings(self.url, self.revision, labels_revision(self.database()), project_id, subject)

    def train_points(self, run_id: int) -> tuple[TrainPointRow, ...]:
        """What a training run logged."""
        return _train_points(self.url, self.revision, run_id)

    def run_arrays(self, run_id: int) -> RunArrays | None:
        """Questions and costs of the chains of a run; None where its columns are not stored."""
        return _run_arrays(self.url, self.revision, run_id)

    def score_arrays(self, run_ids: tuple[int, ...], names: tuple[str, ...]) -> tuple[ScoreArray, ...]:
        """The scores of these runs that have one of these names."""
        return _score_arrays(self.url, self.revision, run_ids, names)

    def comparison(self, run_ids: tuple[int, ...], score: ScoreName) -> Comparison:
        """Runs with stored columns, compared with the first of them by one score, in detail."""
        return _comparison(self.url, self.revision, run_ids, score)

    def score_table(self, run_ids: tuple[int, ...], names: tuple[ScoreName, ...]) -> Table:
        """The same runs by several scores."""
        return _score_table(self.url, self.revision, run_ids, names)

    def study(self, run_ids: tuple[int, ...]) -> StudyResult:
        """The result of a study from its evaluation runs, in the order of `studies_of`."""
        return _study(self.url, self.revision, run_ids)

    def outcomes(self, run_ids: tuple[int, ...]) -> tuple[PairedResult | None, ...]:
        """What became of the reference's answers under each other run."""
        return _outcomes(self.url, self.revision, run_ids)


def open_store() -> Store:
    """The database of this dashboard as it is now.

    Raises:
        UserError: it cannot be opened.
    """
    url = database_url()
    return Store(url, queries.revision(_open(url).engine))
