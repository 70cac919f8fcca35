"""What the pages ask of the database: frozen rows out, few round trips, everything filtered and paged in SQL."""

from __future__ import annotations

from db.queries_compare import run_arrays, score_arrays
from db.queries_questions import get_question, list_questions, question_choices, runs_that_hold
from db.queries_runs import list_runs, revision, run_choices, train_points
from db.views import (
    ChainView,
    FigureRow,
    HopView,
    JudgementView,
    PassageView,
    QuestionChoices,
    QuestionFilter,
    QuestionPage,
    QuestionRow,
    QuestionView,
    RunArrays,
    RunChoices,
    RunFilter,
    RunRow,
    ScoreArray,
    ScoreView,
    StepView,
    StudyRow,
    TrainPointRow,
)

__all__ = [
    "ChainView",
    "FigureRow",
    "HopView",
    "JudgementView",
    "PassageView",
    "QuestionChoices",
    "QuestionFilter",
    "QuestionPage",
    "QuestionRow",
    "QuestionView",
    "RunArrays",
    "RunChoices",
    "RunFilter",
    "RunRow",
    "ScoreArray",
    "ScoreView",
    "StepView",
    "StudyRow",
    "TrainPointRow",
    "get_question",
    "list_questions",
    "list_runs",
    "question_choices",
    "revision",
    "run_arrays",
    "run_choices",
    "runs_that_hold",
    "score_arrays",
    "train_points",
]
