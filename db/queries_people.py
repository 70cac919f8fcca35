"""What scorers and judges say of a labelling project's items, for holding people's labels against it."""

from __future__ import annotations

import dataclasses

import sqlalchemy as sa
from sqlalchemy import Engine

from db.annotation_models import Item
from db.models import ChainScores, Judgement, Run, Step
from db.session import reading


@dataclasses.dataclass(frozen=True)
class ItemScore:
    """A score of an item's chain (`number` 0) or step, by one version of its evaluator; `value` None is unscored."""

    item_id: int
    number: int
    name: str
    value: float | None
    version: str


@dataclasses.dataclass(frozen=True)
class ItemVote:
    """One vote of a judge run, told by its uid and its name, on an item's chain (`number` 0) or step."""

    item_id: int
    number: int
    judge_uid: str
    judge_run: str
    verdicts: dict[str, float]
    tags: tuple[str, ...]


def item_abilities(engine: Engine, project_id: int) -> dict[tuple[int, int], str]:
    """The ability of each step of a project's items, by item and step; items whose run is not stored have none."""
    chosen = (
        sa.select(Item.id, Step.number, Step.ability)
        .join(Run, Run.uid == Item.run_uid)
        .join(Step, sa.and_(Step.run_id == Run.id, Step.question_id == Item.question_id))
        .where(Item.project_id == project_id)
    )
    with reading(engine) as connection:
        return {(row.id, row.number): row.ability for row in connection.execute(chosen)}


def item_scores(engine: Engine, project_id: int, names: tuple[str, ...]) -> tuple[ItemScore, ...]:
    """The scores of these names of a project's items, those of every version."""
    chosen = (
        sa.select(Item.id, ChainScores.numbers, ChainScores.version)
        .join(Run, Run.uid == Item.run_uid)
        .join(ChainScores, sa.and_(ChainScores.run_id == Run.id, ChainScores.question_id == Item.question_id))
        .where(Item.project_id == project_id, ~ChainScores.evaluator.contains(":"))
        .order_by(Item.id, ChainScores.evaluator, ChainScores.version)
    )
    with reading(engine) as connection:
        return tuple(
            ItemScore(row.id, int(number), name, values[name], row.version)
            for row in connection.execute(chosen)
            for number, values in row.numbers.items()
            for name in names
            if name in values
        )


def item_votes(engine: Engine, project_id: int) -> tuple[ItemVote, ...]:
    """The votes of judges on a project's items; votes on pairs of chains and those without a verdict are left out."""
    judge = sa.orm.aliased(Run)
    chosen = (
        sa.select(
            Item.id.label("item_id"), Judgement.__table__, judge.uid.label("judge_uid"), judge.name.label("judge_run")
        )
        .join(Judgement, sa.and_(Judgement.judged_uid == Item.run_uid, Judgement.question_id == Item.question_id))
        .join(judge, judge.id == Judgement.run_id)
        .where(Item.project_id == project_id, Judgement.order == "")
        .order_by(Item.id, judge.name, judge.id, Judgement.number, Judgement.vote)
    )
    with reading(engine) as connection:
        rows = connection.execute(chosen).all()
    return tuple(
        ItemVote(
            item_id=row.item_id,
            number=row.number,
            judge_uid=row.judge_uid,
            judge_run=row.judge_run,
            verdicts=dict(row.verdicts),
            tags=tuple(row.tags),
        )
        for row in rows
        if row.verdicts
    )
