"""Scoring the chains of a run directory: what is missing is added, nothing is computed by a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from evaluators.answers import check_rules
from evaluators.intervals import figures_of
from evaluators.scoring import default_scorers, score_chain
from steper_core.errors import UserError
from steper_core.records import Question, Score
from steper_core.rundir import RunDir, hold_run


def require_rules(questions: Iterable[Question]) -> None:
    """Make sure that answers to these questions can be scored, before any is written.

    Raises:
        UserError: a question is of a dataset whose answer rules are not known.
    """
    for dataset in dict.fromkeys(question.dataset for question in questions):
        check_rules(dataset)


def score_run(run: RunDir) -> None:
    """Score every chain with the scorers of this version, append what the run does not hold yet, and sum up."""
    questions = {question.id: question for question in run.questions()}
    scorers = default_scorers({passage.id: passage for passage in run.passages()})
    known = {_identity(score) for score in run.scores()}
    chains = list(run.chains())
    unasked = [chain.question_id for chain in chains if chain.question_id not in questions]
    if unasked:
        raise UserError(f"{run.path}: chains.jsonl answers {unasked[0]!r}, a question that questions.jsonl lacks")
    scores = (score for chain in chains for score in score_chain(chain, questions[chain.question_id], scorers))
    # In one write: each waits for the disk.
    run.append_scores(score for score in scores if _identity(score) not in known)
    stops = Counter(f"stopped: {chain.stop_reason.value}" for chain in chains)
    run.update(counts={**run.info.counts, **dict(sorted(stops.items()))})
    refresh_figures(run)


def refresh_figures(run: RunDir) -> None:
    """Compute the run's figures anew from the scores that its directory holds."""
    figures = figures_of(run.scores(), [question.id for question in run.questions()])
    run.update(figures={name: figure.model_dump() for name, figure in figures.items()})


def rescore(run: RunDir) -> int:
    """Bring a finished run's scores up to this version's scorers; return how many scores were added.

    Raises:
        UserError: another process is working on the run.
    """
    with hold_run(run.path) as held:
        held.repair()
        before = sum(1 for _ in held.scores())
        score_run(held)
        return sum(1 for _ in held.scores()) - before


def _identity(score: Score) -> tuple[str, int | None, str, str, str]:
    return score.question_id, score.step, score.name, score.evaluator, score.version
