"""Questions and the chains that runs answered them with.

Two ways lead to a page of questions, for two runs of 100,000 chains each must answer within one glance. Without a
filter on the question itself, the chains' indexes are merged and no question is touched but the twenty shown. With
one, the questions between the runs' first and last are scanned, and each is looked up in the runs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlalchemy.orm import aliased

from db.annotation_models import Item, SlotRow
from db.annotation_views import SUBMITTED
from db.clean import folded
from db.models import CHAIN_LEVEL, Chain, ChainScores, Hop, Judgement, Passage, Question, Retrieval, Run, Step
from db.queries_annotations import is_disputed
from db.session import reading
from db.views import (
    ChainView,
    HopView,
    JudgementView,
    PassageView,
    QuestionChoices,
    QuestionFilter,
    QuestionPage,
    QuestionRow,
    QuestionView,
    ScoreView,
    StepView,
)
from steper_core.score_lines import reason_key

_ALL = QuestionFilter()
_NO_LIMIT = 2**62
_PAIRED = {"fixed": (False, True), "broken": (True, False), "both-right": (True, True), "both-wrong": (False, False)}
"""Whether the first and the second run are right."""

_OF_ONE = {"right": True, "wrong": False}
_OUTCOMES = ("", *_OF_ONE, "differs", *_PAIRED)
MARKS = ("unscored", "wrong-path", "annotated", "disagreed")
"""What a chain may be marked with, by itself or by people."""


def question_choices(engine: Engine, run_ids: tuple[int, ...]) -> QuestionChoices:
    """Kinds and hop counts that occur under these runs, steps under the first, in order; an empty kind is no choice."""
    with reading(engine) as connection:
        conditions = _conditions(connection, run_ids, _ALL)
        rows = connection.execute(sa.select(Question.kind, Question.hop_count).distinct().where(*conditions)).all()
        steps = sa.select(Chain.step_count).distinct().where(Chain.run_id.in_(run_ids[:1]))
        step_counts = sorted(connection.scalars(steps))
    kinds = sorted({row.kind for row in rows} - {""})
    return QuestionChoices(tuple(kinds), tuple(sorted({row.hop_count for row in rows})), tuple(step_counts))


def list_questions(
    engine: Engine, run_ids: tuple[int, ...], where: QuestionFilter = _ALL, *, offset: int = 0, limit: int = 20
) -> QuestionPage:
    """One page of the questions that at least one of these runs has a chain for, in a stable order.

    The text is looked for in question and answer, in any case.

    Raises:
        ValueError: there is no such outcome or mark.
    """
    if where.outcome not in _OUTCOMES:
        raise ValueError(f"no such outcome as {where.outcome!r}: it is one of {_OUTCOMES}")
    if not set(where.marks) <= set(MARKS):
        raise ValueError(f"no such mark as {where.marks!r}: they are {MARKS}")
    if not run_ids:
        return QuestionPage((), 0)
    with reading(engine) as connection:
        found: sa.Select[int] | sa.CompoundSelect[int]
        if where.kinds or where.hop_counts or where.text:
            conditions = _conditions(connection, run_ids, where)
            found = sa.select(Question.id.label("question_id")).where(*conditions)
        else:
            found = _members(run_ids, where)
        # The order and the limit that limits nothing let SQLite merge what is in that order already, also to count it.
        every = found.order_by("question_id").limit(_NO_LIMIT).subquery()
        total = connection.execute(sa.select(sa.func.count()).select_from(every)).scalar_one()
        ids = list(connection.scalars(_page(found, total, offset, limit)))
        rows = connection.execute(sa.select(Question.__table__).where(Question.id.in_(ids)).order_by(Question.id)).all()
        chains = connection.execute(
            sa.select(Chain.question_id, Chain.run_id, Chain.correct).where(
                Chain.run_id.in_(run_ids), Chain.question_id.in_(ids)
            )
        ).all()
    correct = {(chain.question_id, chain.run_id): chain.correct for chain in chains}
    return QuestionPage(
        tuple(
            QuestionRow(
                id=row.id,
                key=row.key,
                text=row.text,
                answer=row.answer,
                kind=row.kind,
                hop_count=row.hop_count,
                right=tuple(correct.get((row.id, run_id)) for run_id in run_ids),
            )
            for row in rows
        ),
        total,
    )


def runs_that_hold(engine: Engine, question_id: int, run_ids: Collection[int]) -> frozenset[int]:
    """Those of these runs that have a chain for a question."""
    with reading(engine) as connection:
        return frozenset(
            connection.scalars(
                sa.select(Chain.run_id).where(Chain.run_id.in_(run_ids), Chain.question_id == question_id)
            )
        )


def get_question(engine: Engine, question_id: int, run_ids: tuple[int, ...]) -> QuestionView | None:
    """A question with its gold hops and its chain under each of these runs, None if there is no such question."""
    with reading(engine) as connection:
        row = connection.execute(sa.select(Question.__table__).where(Question.id == question_id)).first()
        if row is None:
            return None
        hops = connection.execute(
            sa.select(Hop.__table__, Passage.title.label("passage_title"))
            .outerjoin(Passage, Passage.id == Hop.passage_id)
            .where(Hop.question_id == question_id)
            .order_by(Hop.position)
        ).all()
        gold = {hop.passage_id for hop in hops if hop.passage_id is not None}
        chains = _chains(connection, question_id, run_ids, gold)
    return QuestionView(
        id=row.id,
        key=row.key,
        dataset=row.dataset,
        text=row.text,
        answer=row.answer,
        aliases=tuple(row.aliases),
        kind=row.kind,
        hops=tuple(
            HopView(
                question=hop.question,
                answer=hop.answer,
                statement=hop.statement,
                passage_id=hop.passage_id,
                passage_title=hop.passage_title,
                depends_on=tuple(hop.depends_on),
            )
            for hop in hops
        ),
        chains=tuple(chains.get(run_id) for run_id in run_ids),
    )


def _page(
    found: sa.Select[int] | sa.CompoundSelect[int], total: int, offset: int, limit: int
) -> sa.Select[int] | sa.CompoundSelect[int]:
    """A page in any order: what lies before it is read to be skipped, so it is reached from the nearer end."""
    if offset <= total // 2:
        return found.order_by("question_id").offset(offset).limit(limit)
    taken = max(0, min(limit, total - offset))
    return found.order_by(sa.desc("question_id")).offset(max(0, total - offset - taken)).limit(taken)


def _members(run_ids: tuple[int, ...], where: QuestionFilter) -> sa.Select[int] | sa.CompoundSelect[int]:
    """The ids of the questions that the runs have chains for, without a look at the questions."""
    runs = tuple(dict.fromkeys(run_ids))
    outcome, own = where.outcome, _of_chain(Chain, runs[0], where)
    if own or outcome in _PAIRED or outcome in _OF_ONE:
        part = sa.select(Chain.question_id).where(Chain.run_id == runs[0], *own)
        if outcome in _PAIRED:
            first, second = _PAIRED[outcome]
            return part.where(Chain.correct.is_(first), _answered(Chain.question_id, runs[1:2], correct=second))
        if outcome == "differs":
            return part.where(
                _answered(Chain.question_id, runs, correct=True), _answered(Chain.question_id, runs, correct=False)
            )
        return part.where(Chain.correct.is_(_OF_ONE[outcome])) if outcome else part
    parts = []
    for run_id in runs:
        part = sa.select(Chain.question_id).where(Chain.run_id == run_id)
        if outcome == "differs":
            others = tuple(other for other in runs if other != run_id)
            part = part.where(Chain.correct.is_(True), _answered(Chain.question_id, others, correct=False))
        parts.append(part)
    return parts[0] if len(parts) == 1 else sa.union(*parts)


def _of_chain(chain: Any, run_id: int, where: QuestionFilter) -> list[sa.ColumnElement[bool]]:
    """What a chain of a run fulfils that passes the filters on the first run's chain."""
    conditions: list[sa.ColumnElement[bool]] = []
    if where.step_counts:
        conditions.append(chain.step_count.in_(where.step_counts))
    if "unscored" in where.marks:
        conditions.append(chain.correct.is_(None))
    if "wrong-path" in where.marks:
        conditions.append(chain.wrong_path.is_(True))
    labelled = sa.select(Item.question_id).join(Run, Run.uid == Item.run_uid).where(Run.id == run_id)
    if "annotated" in where.marks:
        done = sa.select(SlotRow.item_id).where(SlotRow.item_id == Item.id, SlotRow.state == SUBMITTED)
        conditions.append(chain.question_id.in_(labelled.where(done.exists())))
    if "disagreed" in where.marks:
        conditions.append(chain.question_id.in_(labelled.where(is_disputed(Item.id))))
    return conditions


def _conditions(
    connection: Connection, run_ids: tuple[int, ...], where: QuestionFilter
) -> list[sa.ColumnElement[bool]]:
    """What a question fulfils that stands under the runs and passes the filter."""
    ends = sa.union_all(
        *(
            sa.select(
                sa.select(function(Chain.question_id))
                .where(Chain.run_id == run_id)
                .scalar_subquery()
                .label("question_id")
            )
            for run_id in run_ids or (0,)
            for function in (sa.func.min, sa.func.max)
        )
    )
    edges = [edge for edge in connection.scalars(ends) if edge is not None]
    conditions: list[sa.ColumnElement[bool]] = [Question.id.between(min(edges, default=0), max(edges, default=0))]
    if where.kinds:
        conditions.append(Question.kind.in_(where.kinds))
    if where.hop_counts:
        conditions.append(Question.hop_count.in_(where.hop_counts))
    if where.text:
        conditions.append(Question.search.contains(folded(where.text), autoescape=True))
    if where.outcome == "differs":
        conditions.append(_answered(Question.id, run_ids, correct=True))
        conditions.append(_answered(Question.id, run_ids, correct=False))
    elif where.outcome in _PAIRED:
        first, second = _PAIRED[where.outcome]
        conditions.append(_answered(Question.id, run_ids[:1], correct=first))
        conditions.append(_answered(Question.id, run_ids[1:2], correct=second))
    elif where.outcome:
        conditions.append(_answered_by_first(run_ids, lambda chain: [chain.correct.is_(_OF_ONE[where.outcome])]))
    else:
        conditions.append(_answered(Question.id, run_ids))
    if where.step_counts or where.marks:
        conditions.append(_answered_by_first(run_ids, lambda chain: _of_chain(chain, run_ids[0], where)))
    return conditions


def _answered_by_first(
    run_ids: tuple[int, ...], conditions: Callable[[Any], list[sa.ColumnElement[bool]]]
) -> sa.ColumnElement[bool]:
    """Whether the first run has a chain for the question that fulfils these."""
    chain = aliased(Chain)
    found = sa.select(chain.run_id).where(chain.run_id.in_(run_ids[:1]), chain.question_id == Question.id)
    return found.where(*conditions(chain)).exists()


def _answered(
    question_id: sa.orm.InstrumentedAttribute[int], run_ids: tuple[int, ...], *, correct: bool | None = None
) -> sa.ColumnElement[bool]:
    """Whether one of the runs has a chain for the question, and a right or wrong one if that is asked."""
    chain = aliased(Chain)
    found = sa.select(chain.run_id).where(chain.run_id.in_(run_ids), chain.question_id == question_id)
    if correct is not None:
        found = found.where(chain.correct.is_(correct))
    return found.exists()


def _chains(connection: Connection, question_id: int, run_ids: tuple[int, ...], gold: set[str]) -> dict[int, ChainView]:
    def rows(model: type[Any], *order: Any) -> Any:
        chosen = sa.select(model.__table__).where(model.question_id == question_id, model.run_id.in_(run_ids))
        return connection.execute(chosen.order_by(*order))

    passages: defaultdict[tuple[int, int], list[PassageView]] = defaultdict(list)
    retrieved = (
        sa.select(Retrieval.__table__, Passage.title, Passage.text)
        .join(Passage, Passage.id == Retrieval.passage_id)
        .where(Retrieval.question_id == question_id, Retrieval.run_id.in_(run_ids))
        .order_by(Retrieval.run_id, Retrieval.number, Retrieval.rank)
    )
    for hit in connection.execute(retrieved):
        passage = PassageView(hit.passage_id, hit.title, hit.text, hit.rank, hit.score, hit.passage_id in gold)
        passages[hit.run_id, hit.number].append(passage)
    scores: defaultdict[tuple[int, int], list[ScoreView]] = defaultdict(list)
    for row in rows(ChainScores, ChainScores.evaluator, ChainScores.version):
        for number, values in row.numbers.items():
            for name, value in values.items():
                reason = row.reasons.get(reason_key(number, name))
                scores[row.run_id, int(number)].append(ScoreView(name, value, reason, row.evaluator, row.version))
    for views in scores.values():
        views.sort(key=lambda view: (view.name, view.evaluator, view.version))
    steps: defaultdict[int, list[StepView]] = defaultdict(list)
    for step in rows(Step, Step.number):
        steps[step.run_id].append(
            StepView(
                number=step.number,
                ability=step.ability,
                query=step.query,
                rationale=step.rationale,
                passages=tuple(passages[step.run_id, step.number]),
                prompt_tokens=step.prompt_tokens,
                output_tokens=step.output_tokens,
                seconds=step.seconds,
                scores=tuple(scores[step.run_id, step.number]),
            )
        )
    judgements = _judgements(connection, question_id, run_ids)
    return {
        chain.run_id: ChainView(
            run_id=chain.run_id,
            answer=chain.answer,
            stop_reason=chain.stop_reason,
            steps=tuple(steps[chain.run_id]),
            scores=tuple(scores[chain.run_id, CHAIN_LEVEL]),
            judgements=tuple(judgements[chain.run_id]),
        )
        for chain in rows(Chain)
    }


def _judgements(
    connection: Connection, question_id: int, run_ids: tuple[int, ...]
) -> defaultdict[int, list[JudgementView]]:
    """What judges said of the question's chain under each run."""
    judged, judge = aliased(Run), aliased(Run)
    statement = (
        sa.select(Judgement.__table__, judged.id.label("judged_id"), judge.name.label("judge_run"))
        .join(judged, judged.uid == Judgement.judged_uid)
        .join(judge, judge.id == Judgement.run_id)
        .where(judged.id.in_(run_ids), Judgement.question_id == question_id)
        .order_by(Judgement.run_id, Judgement.number, Judgement.vote, Judgement.order)
    )
    found: defaultdict[int, list[JudgementView]] = defaultdict(list)
    for row in connection.execute(statement):
        found[row.judged_id].append(
            JudgementView(
                judge_run=row.judge_run,
                number=row.number,
                vote=row.vote,
                order=row.order,
                rubric=row.rubric,
                version=row.version,
                judge=row.judge,
                verdicts=dict(row.verdicts),
                tags=tuple(row.tags),
                explanation=row.explanation,
                unscored=row.unscored,
            )
        )
    return found
