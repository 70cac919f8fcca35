"""Columns of runs: what comparing them reads, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import sqlalchemy as sa

from db.ingest import ingest
from db.manage import delete_run
from db.queries import ScoreArray, get_question, list_questions, run_arrays, score_arrays
from db.session import reading
from db.views import QuestionFilter
from steper_core.records import Judgement
from steper_core.run_records import RunKind
from steper_core.rundir import RunDir, open_run

from .samples import RunMaker, contents, make_chain, make_question, make_score

QUESTIONS = [make_question("a"), make_question("b", kind="comparison", hops=()), make_question("c")]


@pytest.fixture
def run_id(engine: sa.Engine, make_run: RunMaker) -> int:
    """Chains of 3, 1 and 2 steps; em 1, unscored, 0; sub_answer by step."""
    run = make_run(
        questions=QUESTIONS,
        chains=[make_chain("a", steps=3), make_chain("b", steps=1), make_chain("c", steps=2)],
        scores=[
            make_score("a", 1.0),
            make_score("b", None, reason="no gold"),
            make_score("c", 0.0),
            make_score("a", 1.0, "sub_answer", 1, evaluator="steps"),
            make_score("a", 0.0, "sub_answer", 2, evaluator="steps"),
            make_score("a", None, "sub_answer", 3, evaluator="steps", reason="answer line"),
            make_score("c", 1.0, "sub_answer", 1, evaluator="steps"),
            make_score("a", 0.25, "gold_recall", 1, evaluator="steps"),
            make_score("a", 0.5, "gold_recall", evaluator="steps"),
        ],
    )
    return ingest(engine, run.path).run_id


def column(engine: sa.Engine, run_id: int, name: str, ability: str = "") -> ScoreArray:
    found = [score for score in score_arrays(engine, (run_id,), (name,)) if score.ability == ability]
    assert len(found) == 1
    return found[0]


def test_costs_and_questions_stand_in_the_order_of_the_chains(engine: sa.Engine, run_id: int) -> None:
    (arrays,) = run_arrays(engine, (run_id,))
    assert arrays is not None
    assert arrays.question_ids.tolist() == [row.id for row in list_questions(engine, (run_id,)).rows]
    assert [arrays.kinds[code] for code in arrays.kind_codes] == ["bridge", "comparison", "bridge"]
    assert arrays.hop_counts.tolist() == [2, 0, 2]
    assert arrays.steps.tolist() == [3, 1, 2]
    assert arrays.passages.tolist() == [6, 2, 4]
    assert arrays.prompt_tokens.tolist() == [600, 100, 300]
    assert arrays.output_tokens.tolist() == [6, 1, 3]
    assert arrays.seconds.tolist() == [3.0, 0.5, 1.5]
    assert run_arrays(engine, (run_id + 1,)) == (None,)


def test_an_unscored_chain_is_no_number_and_its_reason_is_counted(engine: sa.Engine, run_id: int) -> None:
    em = column(engine, run_id, "em")
    np.testing.assert_array_equal(em.values, [1.0, np.nan, 0.0])
    assert (em.evaluator, em.version, em.reasons) == ("answers", "1", {"no gold": 1})


def test_step_scores_are_averaged_over_the_steps_of_each_ability(engine: sa.Engine, run_id: int) -> None:
    np.testing.assert_array_equal(column(engine, run_id, "sub_answer", "initialization").values, [1.0, np.nan, 1.0])
    np.testing.assert_array_equal(column(engine, run_id, "sub_answer", "expansion").values, [0.0, np.nan, np.nan])
    aggregation = column(engine, run_id, "sub_answer", "aggregation")
    assert np.isnan(aggregation.values).all() and aggregation.reasons == {"answer line": 1}
    np.testing.assert_array_equal(column(engine, run_id, "sub_answer").values, [0.5, np.nan, 1.0])


def test_a_score_that_chains_have_themselves_is_not_averaged_over_steps(engine: sa.Engine, run_id: int) -> None:
    np.testing.assert_array_equal(column(engine, run_id, "gold_recall").values, [0.5, np.nan, np.nan])
    np.testing.assert_array_equal(
        column(engine, run_id, "gold_recall", "initialization").values, [0.25, np.nan, np.nan]
    )


def test_a_reason_of_one_chain_does_not_hide_the_values_of_other_chains_steps(
    engine: sa.Engine, make_run: RunMaker
) -> None:
    scores = [make_score("a", value, "rating", step) for step, value in ((1, 1.0), (2, 0.0))]
    run = make_run(
        questions=QUESTIONS,
        chains=[make_chain("a"), make_chain("b", steps=0)],
        scores=[*scores, make_score("b", None, "rating", reason="no steps")],
    )
    rating = column(engine, ingest(engine, run.path).run_id, "rating")
    np.testing.assert_array_equal(rating.values, [0.5, np.nan])
    assert rating.reasons == {"no steps": 1}


def test_scores_of_two_versions_stand_apart(engine: sa.Engine, make_run: RunMaker) -> None:
    run = make_run(questions=QUESTIONS, chains=[make_chain("a")], scores=[make_score("a", 0.0)])
    ingest(engine, run.path)
    run.append_scores([make_score("a", 1.0, version="2")])
    stored = ingest(engine, run.path).run_id
    assert [(score.version, score.values.tolist()) for score in score_arrays(engine, (stored,))] == [
        ("1", [0.0]),
        ("2", [1.0]),
    ]


def test_deleting_a_run_takes_its_columns(engine: sa.Engine, run_id: int) -> None:
    delete_run(engine, run_id)
    left = contents(engine)
    assert left["run_columns"] == left["score_columns"] == []


def test_outcomes_of_two_runs(engine: sa.Engine, make_run: RunMaker) -> None:
    keys = {"fixed": (0, 1), "broken": (1, 0), "both-right": (1, 1), "both-wrong": (0, 0)}
    questions = [make_question(key) for key in keys]
    runs = tuple(
        ingest(
            engine,
            make_run(
                f"run{place}",
                questions=questions,
                chains=[make_chain(key) for key in keys],
                scores=[make_score(key, float(right[place])) for key, right in keys.items()],
            ).path,
        ).run_id
        for place in (0, 1)
    )
    for outcome in keys:
        for where in (QuestionFilter(outcome), QuestionFilter(outcome, kinds=("bridge",))):
            assert [row.key for row in list_questions(engine, runs, where).rows] == [outcome]
    assert list_questions(engine, runs[:1], QuestionFilter("fixed")).total == 0


def vote(key: str, number: int | None, value: float | None, order: str = "") -> Judgement:
    return Judgement(
        question_id=key,
        step=number,
        rubric="steps",
        version="2",
        judge="m",
        vote=1,
        order=order,
        verdicts={} if value is None else {"rating": value},
        tags=("unsupported",),
        explanation="\x00because",
        unscored="broken" if value is None else None,
        key="k",
    )


def judge_run(path: RunDir, judged: RunDir, votes: list[Judgement]) -> RunDir:
    chosen = {"dataset": "worlds", "model": "m", "method": "", "framework": "", "judged": (judged.info.uid,)}
    with open_run(path.path, kind=RunKind.JUDGE, config={}, **chosen) as run:  # type: ignore[arg-type]
        run.write_questions(QUESTIONS)
        run.append_judgements(votes)
    return run


def test_votes_of_a_judge_stand_with_the_chain_that_was_judged(engine: sa.Engine, make_run: RunMaker) -> None:
    judged = make_run(questions=QUESTIONS, chains=[make_chain("a"), make_chain("b")])
    judge = judge_run(RunDir(judged.path.parent / "judge"), judged, [vote("a", 2, 1.0), vote("a", 1, None)])
    result = ingest(engine, judge.path)
    assert result.added.judgements == 2
    chains = ingest(engine, judged.path).run_id
    ids = {row.key: row.id for row in list_questions(engine, (chains,)).rows}
    view = get_question(engine, ids["a"], (chains,))
    assert view is not None and view.chains[0] is not None
    first, second = view.chains[0].judgements
    assert (first.number, first.verdicts, first.unscored, first.judge_run) == (1, {}, "broken", "judge")
    assert (second.number, second.verdicts, second.tags) == (2, {"rating": 1.0}, ("unsupported",))
    assert "\x00" not in second.explanation
    other = get_question(engine, ids["b"], (chains,))
    assert other is not None and other.chains[0] is not None and other.chains[0].judgements == ()
    before = contents(engine)
    assert not ingest(engine, judge.path).changed
    assert contents(engine) == before


def test_a_vote_on_a_question_that_is_not_there_is_told(engine: sa.Engine, make_run: RunMaker) -> None:
    judged = make_run(questions=QUESTIONS, chains=[make_chain("a")])
    judge = judge_run(RunDir(judged.path.parent / "judge"), judged, [vote("zzz", None, 1.0)])
    result = ingest(engine, judge.path)
    assert result.added.judgements == 0
    assert "judgements whose question is not in questions.jsonl" in result.notes[0]


def test_runs_of_an_older_database_are_read_again_for_their_columns(engine: sa.Engine, make_run: RunMaker) -> None:
    run = make_run(questions=QUESTIONS, chains=[make_chain("a")], scores=[make_score("a", 1.0)])
    stored = ingest(engine, run.path).run_id
    with engine.begin() as connection:  # as migration 0002 leaves a database of before
        connection.execute(sa.text("DELETE FROM run_columns"))
        connection.execute(sa.text("DELETE FROM score_columns"))
        connection.execute(sa.text("UPDATE runs SET fingerprint = ''"))
    ingest(engine, run.path)
    assert run_arrays(engine, (stored,)) != (None,)
    with reading(engine) as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM score_columns")) == 1
