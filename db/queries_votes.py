"""What judges voted on all chains of some runs, for choosing what people should look at and for comparing both."""

from __future__ import annotations

import dataclasses

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.orm import aliased

from db.models import Judgement, Run
from db.session import reading


@dataclasses.dataclass(frozen=True)
class VoteRow:
    """One vote of a judge on a chain (`number` 0) or step of the run `run_id`; `judge_run` is the run it belongs to.

    `verdicts` is empty where the judge gave none that counts.
    """

    run_id: int
    question_id: int
    number: int
    rubric: str
    judge: str
    judge_run: str
    vote: int
    verdicts: dict[str, float]
    tags: tuple[str, ...]


def votes(engine: Engine, run_ids: tuple[int, ...]) -> tuple[VoteRow, ...]:
    """Every vote on these runs' chains and steps, in a stable order; votes on pairs of chains are left out."""
    judged, judge = aliased(Run), aliased(Run)
    statement = (
        sa.select(Judgement.__table__, judged.id.label("judged_id"), judge.name.label("judge_run"))
        .join(judged, judged.uid == Judgement.judged_uid)
        .join(judge, judge.id == Judgement.run_id)
        .where(judged.id.in_(run_ids), Judgement.order == "")
        .order_by(judged.id, Judgement.question_id, Judgement.number, Judgement.run_id, Judgement.vote)
    )
    with reading(engine) as connection:
        rows = connection.execute(statement).all()
    return tuple(
        VoteRow(
            run_id=row.judged_id,
            question_id=row.question_id,
            number=row.number,
            rubric=row.rubric,
            judge=row.judge,
            judge_run=row.judge_run,
            vote=row.vote,
            verdicts=dict(row.verdicts),
            tags=tuple(row.tags),
        )
        for row in rows
    )
