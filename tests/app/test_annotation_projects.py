"""From runs, a rubric and a sample to the items of a project."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.annotation_projects import Control, ProjectOrder, make_project, plan_project, read_controls
from app.candidates import SCORES, candidates_of, spread_of
from db.ingest import ingest
from db.queries import run_arrays, score_arrays
from db.queries_annotations import item_rows
from db.queries_votes import VoteRow, votes
from evaluators.label_rubric import load_label_rubric
from evaluators.sampling import Candidate
from steper_core.errors import UserError
from tests.db.samples import make_score

from .labelled_runs import KEYS, judge, open_labels, store_run


def candidates(runs: Path, *names: str) -> dict[tuple[str, str], Candidate]:
    """By run's name and question's key."""
    engine = open_labels(runs)
    ids = tuple(ingest(engine, runs / name).run_id for name in names)
    found = candidates_of(
        dict(zip(ids, names, strict=True)),
        [own for own in run_arrays(engine, ids) if own is not None],
        score_arrays(engine, ids, SCORES),
        votes(engine, ids),
    )
    # Questions are stored in the order of their keys.
    return {(each.run_uid, KEYS[each.question_id - 1]): each for each in found}


def test_a_candidate_knows_how_its_chain_turned_out(tmp_path: Path) -> None:
    store_run(tmp_path, "one", right=("q1", "q2"))
    store_run(tmp_path, "two", right=("q2", "q3"))
    found = candidates(tmp_path, "one", "two")
    assert len(found) == 12
    assert found["one", "q1"].stratum == ("bridge", "right")
    assert found["two", "q1"].stratum == ("bridge", "wrong")
    differing = {key for (_, key), each in found.items() if each.differs}
    assert differing == {"q1", "q3"}


def test_a_judge_is_held_against_the_nearest_metric(tmp_path: Path) -> None:
    judged = [
        # The judge says yes to all; q1 is right by em, q2 only contains the answer, q3 is wrong by both.
        *(make_score(key, 1.0, "abilities_aggregation", evaluator="judge:big") for key in ("q1", "q2", "q3")),
        *(make_score(key, float(key in ("q1", "q2")), "acc") for key in KEYS),
        # q4: one step good, one bad: the mean rating 0 lies in the middle of the scale, a sub-answer in each step.
        make_score("q4", 1.0, "steps_rating", step=1, evaluator="judge:big"),
        make_score("q4", -1.0, "steps_rating", step=2, evaluator="judge:big"),
        make_score("q4", 1.0, "sub_answer", step=1, evaluator="steps"),
        make_score("q4", 1.0, "sub_answer", step=2, evaluator="steps"),
    ]
    store_run(tmp_path, "one", right=("q1",), scores=judged)
    found = candidates(tmp_path, "one")
    gaps = {key: each.judge_gap for (_, key), each in found.items()}
    assert gaps == {"q1": 0.0, "q2": 0.0, "q3": 1.0, "q4": 0.5, "q5": None, "q6": None}


def test_the_spread_of_votes_is_the_share_of_unequal_pairs() -> None:
    def vote(question: int, number: int, judge_run: str, value: float) -> VoteRow:
        return VoteRow(1, question, number, "steps", "big", judge_run, 1, {"rating": value}, ())

    found = spread_of(
        [
            # Three votes on step 1: two of three pairs differ; two equal ones on step 2: mean (2/3 + 0) / 2.
            *(vote(7, 1, run, value) for run, value in (("a", 1.0), ("b", 1.0), ("c", -1.0))),
            *(vote(7, 2, run, 0.0) for run in ("a", "b")),
            # A single vote differs from nothing.
            vote(8, 1, "a", 1.0),
        ]
    )
    assert found == {(1, 7): pytest.approx(1 / 3)}


def order(engine: object, runs: Path, *names: str, **changes: object) -> ProjectOrder:
    ids = tuple(ingest(engine, runs / name).run_id for name in names)  # type: ignore[arg-type]
    values = {"name": "p", "run_ids": ids, "rubric": load_label_rubric("steps"), "count": 4, **changes}
    return ProjectOrder(**values)  # type: ignore[arg-type]


def test_a_project_holds_its_sample_and_its_controls(tmp_path: Path) -> None:
    run = store_run(tmp_path, "one", right=("q1",))
    engine = open_labels(tmp_path)
    controls = (Control("q2", {"2/rating": "bad", "0/verdict": 1}),)
    project = make_project(engine, order(engine, tmp_path, "one", overlap=2, seed=5, controls=controls))
    assert (project.items, project.controls, project.overlap, project.blind) == (4, 1, 2, True)
    assert project.rubric["name"] == "steps"
    assert project.sample == {"sample": "random", "count": 4, "runs": [run.info.uid]}
    rows = item_rows(engine, project.id)
    (control,) = [row for row in rows if row.control]
    assert (control.question_key, control.reference) == ("q2", {"2/rating": -1.0, "0/verdict": 1.0})
    assert "q2" not in {row.question_key for row in rows if not row.control}


def test_known_labels_of_a_chain_on_several_lines_are_joined(tmp_path: Path) -> None:
    run = store_run(tmp_path, "one", right=())
    engine = open_labels(tmp_path)
    file = tmp_path / "controls.jsonl"
    lines: list[dict[str, object]] = [
        {"question": "q1", "labels": {"1/rating": 1}},
        {"question": "q2", "labels": {"1/rating": 0}},
        {"question": "q1", "run": run.info.uid, "labels": {"2/rating": "bad", "1/rating": "good"}},
    ]
    file.write_text("\n".join(map(json.dumps, lines)))
    plan = plan_project(engine, order(engine, tmp_path, "one", controls=read_controls(file)))
    found = {KEYS[item.question_id - 1]: item.reference for item in plan.items if item.control}
    assert found == {"q1": {"1/rating": 1.0, "2/rating": -1.0}, "q2": {"1/rating": 0.0}}
    assert len(plan.items) == 4 + 2
    file.write_text("\n".join(map(json.dumps, [*lines, {"question": "q1", "labels": {"2/rating": 0}}])))
    with pytest.raises(UserError, match="control 'q1' of line 4, label '2/rating': 0 here, -1 before"):
        plan_project(engine, order(engine, tmp_path, "one", controls=read_controls(file)))


def test_the_same_order_draws_the_same_items(tmp_path: Path) -> None:
    store_run(tmp_path, "one", right=("q1",))
    engine = open_labels(tmp_path)
    first = plan_project(engine, order(engine, tmp_path, "one", seed=1))
    assert plan_project(engine, order(engine, tmp_path, "one", seed=1)) == first
    draws = [plan_project(engine, order(engine, tmp_path, "one", seed=seed)).items for seed in range(5)]
    assert len({tuple(item.question_id for item in items) for items in draws}) > 1


def test_the_sample_by_judges_takes_where_votes_differ(tmp_path: Path) -> None:
    run = store_run(tmp_path, "one", right=("q1",))
    judge(
        tmp_path,
        run,
        [(key, 1, vote, 1.0 if key != "q5" or vote == 1 else -1.0) for key in KEYS for vote in (1, 2)],
    )
    engine = open_labels(tmp_path)
    chosen = order(engine, tmp_path, "one", sample="low-judge-agreement", count=1)
    (item,) = plan_project(engine, chosen).items
    assert KEYS[item.question_id - 1] == "q5"


@pytest.mark.parametrize(
    ("control", "said"),
    [
        (Control("q9", {"1/rating": 1}), "no chain for this question"),
        (Control("q1", {"1/rating": 1}, run="none"), "none of the project's runs"),
        (Control("q1", {"9/rating": 1}), "the chain has 2 steps"),
        (Control("q1", {"1/mood": 1}), "asks nothing of that name"),
        (Control("q1", {"1/rating": 7}), "7 is none of bad"),
        (Control("q1", {"rating": 1}), "a label is"),
    ],
)
def test_a_control_that_does_not_fit_is_named(tmp_path: Path, control: Control, said: str) -> None:
    store_run(tmp_path, "one", right=())
    engine = open_labels(tmp_path)
    with pytest.raises(UserError, match=said):
        plan_project(engine, order(engine, tmp_path, "one", controls=(control,)))


def test_a_control_of_several_runs_names_its_run(tmp_path: Path) -> None:
    store_run(tmp_path, "one", right=())
    two = store_run(tmp_path, "two", right=())
    engine = open_labels(tmp_path)
    unnamed, named = Control("q1", {"1/rating": 1}), Control("q1", {"1/rating": 1}, run="two")
    with pytest.raises(UserError, match="several runs"):
        plan_project(engine, order(engine, tmp_path, "one", "two", controls=(unnamed,)))
    items = plan_project(engine, order(engine, tmp_path, "one", "two", controls=(named,))).items
    assert [item.run_uid for item in items if item.control] == [two.info.uid]


def test_runs_without_chains_are_named(tmp_path: Path) -> None:
    run = store_run(tmp_path, "one", right=())
    judge(tmp_path, run, [])
    engine = open_labels(tmp_path)
    with pytest.raises(UserError, match="judge-one: no chains to label"):
        plan_project(engine, order(engine, tmp_path, "one", "judge-one"))
    with pytest.raises(UserError, match="at least one run"):
        plan_project(engine, order(engine, tmp_path))


def test_controls_are_read_with_the_line_of_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "controls.jsonl"
    file.write_text(json.dumps({"question": "q1", "run": "one", "labels": {"1/rating": -1, "0/verdict": "right"}}))
    assert read_controls(file) == (Control("q1", {"1/rating": -1.0, "0/verdict": "right"}, "one"),)
    for text, said in (('\n{"question": "q"}', "line 2: field 'labels'"), ("", "no control items")):
        file.write_text(text)
        with pytest.raises(UserError, match=said):
            read_controls(file)
