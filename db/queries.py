"""What the pages ask of the database: frozen rows out, few round trips, everything filtered and paged in SQL."""

from __future__ import annotations

from db.queries_questions import get_question, list_questions, question_choices
from db.queries_runs import list_runs, revision, run_choices, train_points
from db.views import (
    ChainView,
    FigureRow,
    HopView,
    PassageView,
    QuestionFilter,
    QuestionPage,
    QuestionRow,
    QuestionView,
    RunChoices,
    RunFilter,
    RunRow,
    ScoreView,
    StepView,
    TrainPointRow,
)

__all__ = [
    "ChainView",
    "FigureRow",
    "HopView",
    "PassageView",
    "QuestionFilter",
    "QuestionPage",
    "QuestionRow",
    "QuestionView",
    "RunChoices",
    "RunFilter",
    "RunRow",
    "ScoreView",
    "StepView",
    "TrainPointRow",
    "get_question",
    "list_questions",
    "list_runs",
    "question_choices",
    "revision",
    "run_choices",
    "train_points",
]
