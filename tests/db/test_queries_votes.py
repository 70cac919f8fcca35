"""Votes of judges on whole runs, as they are chosen by and compared with."""

from __future__ import annotations

import sqlalchemy as sa

from db.ingest import ingest
from db.queries_people import ItemScore, item_scores
from db.queries_votes import VoteRow, votes
from steper_core.records import Judgement
from steper_core.run_records import RunKind
from steper_core.rundir import RunDir, open_run

from .labelling import Order
from .samples import RunMaker, make_chain, make_question, make_score


def judge_run(beside: RunDir, *judgements: Judgement) -> RunDir:
    info = beside.info
    path = beside.path.parent / "judge"
    with open_run(path, kind=RunKind.JUDGE, config={}, dataset="worlds", model="big", judged=(info.uid,)) as run:
        run.write_questions(beside.questions())
        run.append_judgements(judgements)
    return run


def vote(key: str, number: int | None, value: float, **changes: object) -> Judgement:
    return Judgement.model_validate(
        {
            "question_id": key,
            "step": number,
            "rubric": "steps",
            "version": "1",
            "judge": "big",
            "vote": 1,
            "verdicts": {"rating": value},
            "key": "k",
            **changes,
        }
    )


def test_votes_of_a_run_come_in_order_without_those_on_pairs(engine: sa.Engine, make_run: RunMaker) -> None:
    questions = [make_question("a"), make_question("b")]
    run = make_run(questions=questions, chains=[make_chain("a"), make_chain("b")])
    other = make_run("other", questions=questions, chains=[make_chain("a")])
    judge = judge_run(
        run,
        vote("b", None, 1.0),
        vote("a", 2, -1.0, vote=2, tags=("premature",)),
        vote("a", 2, 1.0),
        vote("a", None, 1.0, order="ab"),
    )
    run_id, other_id = ingest(engine, run.path).run_id, ingest(engine, other.path).run_id
    ingest(engine, judge.path)
    found = votes(engine, (run_id,))
    assert [(each.number, each.vote, each.verdicts, each.tags) for each in found] == [
        (2, 1, {"rating": 1.0}, ()),
        (2, 2, {"rating": -1.0}, ("premature",)),
        (0, 1, {"rating": 1.0}, ()),
    ]
    assert found[0] == VoteRow(run_id, found[0].question_id, 2, "steps", "big", "judge", 1, {"rating": 1.0}, ())
    assert votes(engine, (other_id,)) == ()


def test_scores_of_items_are_given_in_every_version_and_those_of_judges_are_none(
    engine: sa.Engine, make_run: RunMaker, order: Order
) -> None:
    project = order(1)
    given = [
        make_score("q00", 1.0, version="1"),
        make_score("q00", None, version="2", reason="no answer"),
        make_score("q00", 0.0, step=2, name="sub_answer", evaluator="steps"),
        make_score("q00", 1.0, evaluator="judge:steps"),
        make_score("q00", 0.5, name="f1"),
        make_score("q01", 1.0),
    ]
    ingest(engine, make_run(scores=given).path)
    found = item_scores(engine, project, ("em", "sub_answer"))
    item = found[0].item_id
    assert found == (
        ItemScore(item, 0, "em", 1.0, "1"),
        ItemScore(item, 0, "em", None, "2"),
        ItemScore(item, 2, "sub_answer", 0.0, "1"),
    )
