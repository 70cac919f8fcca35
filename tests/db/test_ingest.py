"""Reading run directories: all of it, once, again, torn, broken, hostile and at once."""

from __future__ import annotations

import json
import multiprocessing
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.ingest import IngestOutcome, RowCounts, _Writer, find_runs, ingest, ingest_all
from db.manage import database_facts, delete_run
from db.models import Chain, ChainScores
from db.queries import get_question, list_questions, list_runs, revision
from db.session import open_database, reading
from steper_core.errors import UserError
from steper_core.records import Passage
from steper_core.run_records import CheckpointRef, Figure, RunKind, TrainPoint
from steper_core.rundir import RunDir, open_run
from steper_core.score_lines import gather

from .samples import ALPHA, ANN, NOISE, RunMaker, contents, make_chain, make_question, make_score


def numbers(engine: sa.Engine) -> dict[str, int]:
    return database_facts(engine).rows


def test_everything_of_a_run_arrives(engine: sa.Engine, make_run: RunMaker) -> None:
    run = make_run(
        questions=[make_question("a"), make_question("b")],
        chains=[make_chain("b", steps=3), make_chain("a")],
        scores=[make_score("a", 1.0), make_score("b", None, reason="no answer"), make_score("b", 0.5, "recall", 3)],
    )
    run.append_train_point(TrainPoint(step=1, epoch=0.5, losses={"aggregation": 1.5}))
    result = ingest(engine, run.path)
    assert result.run == "run"
    assert result.added == RowCounts(chains=2, steps=5, scores=2, points=1)
    assert result.updated == RowCounts()
    assert result.notes == ()
    assert result.changed
    assert {table: count for table, count in numbers(engine).items() if count} == {
        "runs": 1,
        "questions": 2,
        "hops": 4,
        "passages": 4,
        "chains": 2,
        "steps": 5,
        "retrievals": 10,
        "chain_scores": 2,
        "train_points": 1,
        "run_columns": 1,
        "score_columns": 3,
    }
    assert revision(engine) == 1


def test_twice_changes_nothing(engine: sa.Engine, make_run: RunMaker) -> None:
    run = make_run(questions=[make_question("a")], chains=[make_chain("a")], scores=[make_score("a", 1.0)])
    run.append_train_point(TrainPoint(step=1, epoch=0.5, losses={"aggregation": 1.5}, sigmas={"aggregation": 1.0}))
    ingest(engine, run.path)
    before = contents(engine)
    result = ingest(engine, run.path)
    assert not result.changed
    assert contents(engine) == before


def test_reading_the_same_lines_again_changes_nothing(engine: sa.Engine, make_run: RunMaker) -> None:
    """The files are read again here, because they were written again: only the fingerprint may differ."""
    run = make_run(questions=[make_question("a")], chains=[make_chain("a")], scores=[make_score("a", 1.0)])
    run.append_train_point(TrainPoint(step=1, epoch=0.5, losses={"aggregation": 1.5}, sigmas={"aggregation": 1.0}))
    first = ingest(engine, run.path)
    before = contents(engine)
    for file in run.path.glob("*.jsonl"):
        file.write_bytes(file.read_bytes())
    again = ingest(engine, run.path)
    assert (again.run_id, again.changed, again.added, again.updated) == (first.run_id, False, RowCounts(), RowCounts())
    after = contents(engine)
    for rows in (before, after):
        del rows["runs"]
    assert after == before


def test_a_running_run_is_read_and_read_on(engine: sa.Engine, tmp_path: Path) -> None:
    with open_run(tmp_path / "run", kind=RunKind.EVALUATE, config={}, dataset="worlds", model="tiny") as run:
        run.write_questions([make_question("a"), make_question("b")])
        run.append_passages([ALPHA, NOISE])
        run.append_chains([make_chain("a")])
        assert ingest(engine, run.path).added == RowCounts(chains=1, steps=2)
        (row,) = list_runs(engine)
        assert (row.status, row.chain_count) == ("running", 1)
        run.append_chains([make_chain("b")])
        run.append_scores([make_score("a", 1.0), make_score("b", 0.0)])
        assert ingest(engine, run.path).added == RowCounts(chains=1, steps=2, scores=2)
        assert list_questions(engine, (row.id,)).rows[0].right == (True,)
    result = ingest(engine, run.path)
    assert (result.changed, result.added) == (True, RowCounts())
    (row,) = list_runs(engine)
    assert (row.status, row.chain_count) == ("finished", 2)
    assert [question.right for question in list_questions(engine, (row.id,)).rows] == [(True,), (False,)]


def test_a_run_that_no_process_holds_is_interrupted(engine: sa.Engine, make_run: RunMaker) -> None:
    run = make_run()
    file = run.path / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"status": "running"}))
    ingest(engine, run.path)
    assert list_runs(engine)[0].status == "interrupted"


def test_a_later_score_holds(engine: sa.Engine, make_run: RunMaker) -> None:
    run = make_run(
        questions=[make_question("a")], chains=[make_chain("a")], scores=[make_score("a", 1.0), make_score("a", 0.0)]
    )
    assert ingest(engine, run.path).added.scores == 1
    run_id = list_runs(engine)[0].id
    assert list_questions(engine, (run_id,)).rows[0].right == (False,)
    run.append_scores([make_score("a", None, reason="withdrawn"), make_score("a", 0.5, "f1")])
    result = ingest(engine, run.path)
    assert (result.added.scores, result.updated.scores) == (0, 1)
    assert list_questions(engine, (run_id,)).rows[0].right == (None,)
    run.append_scores([make_score("a", 1.0, version="2")])
    assert ingest(engine, run.path).added.scores == 1
    assert list_questions(engine, (run_id,)).rows[0].right == (True,)


def test_a_torn_last_line_is_ignored_and_told(engine: sa.Engine, make_run: RunMaker) -> None:
    run = make_run(questions=[make_question("a"), make_question("b")], chains=[make_chain("a")])
    whole = make_chain("b").model_dump_json()
    with (run.path / "chains.jsonl").open("a") as file:
        file.write(whole[:50])
    result = ingest(engine, run.path)
    assert result.added.chains == 1
    assert result.notes == ("chains.jsonl: its torn last line was ignored",)
    run.repair()
    run.append_chains([make_chain("b")])
    assert ingest(engine, run.path).added == RowCounts(chains=1, steps=2)


def test_what_names_something_missing_is_told_and_the_rest_goes_in(engine: sa.Engine, make_run: RunMaker) -> None:
    run = make_run(
        questions=[make_question("a")],
        passages=[ALPHA],
        chains=[make_chain("a"), make_chain("ghost"), make_chain("a", answer="other")],
        scores=[
            make_score("a", 1.0),
            make_score("ghost", 1.0),
            make_score("a", 1.0, "recall", 9),
        ],
    )
    result = ingest(engine, run.path)
    assert result.added == RowCounts(chains=1, steps=2, scores=1)
    assert sorted(result.notes) == [
        "chains whose question is not in questions.jsonl, left out: 1 (first: 'ghost')",
        "further chains for a question that has one, left out: 1 (first: 'a')",
        f"retrieved passages that are not in passages.jsonl, steps kept without them: 1 (first: {NOISE.id!r})",
        "scores of chains or steps that are not there, left out: 2 (first: 'a')",
    ]
    view = get_question(engine, list_questions(engine, (result.run_id,)).rows[0].id, (result.run_id,))
    assert view is not None
    assert view.chains[0] is not None
    assert view.chains[0].answer == "1950"
    assert [[passage.title for passage in step.passages] for step in view.chains[0].steps] == [["Alpha"], ["Alpha"]]
    assert [(hop.passage_id, hop.passage_title) for hop in view.hops] == [(ALPHA.id, "Alpha"), (ANN.id, None)]


def test_a_chain_that_no_table_can_hold_is_left_out(engine: sa.Engine, make_run: RunMaker) -> None:
    sound = make_chain("a")
    twice = make_chain("b").model_copy(update={"steps": (sound.steps[0], sound.steps[0])})
    endless = make_chain("c").model_copy(
        update={"steps": (sound.steps[0].model_copy(update={"seconds": float("inf")}),)}
    )
    run = make_run(questions=[make_question(key) for key in "abc"], chains=[sound, twice])
    with (run.path / "chains.jsonl").open("a") as file:
        file.write(endless.model_dump_json().replace('"seconds":null', '"seconds":Infinity') + "\n")
    result = ingest(engine, run.path)
    assert result.added.chains == 1
    assert result.notes == ("chains with a repeated step or rank or an infinite number, left out: 2 (first: 'b')",)


@pytest.mark.parametrize(("written", "told"), [("NaN", "nan"), ("Infinity", "inf"), ("-1e39", "-1e+39")])
def test_a_score_that_is_no_number_is_unscored(engine: sa.Engine, make_run: RunMaker, written: str, told: str) -> None:
    run = make_run(questions=[make_question("a")], chains=[make_chain("a")])
    with (run.path / "scores.jsonl").open("a") as file:
        (line,) = gather([make_score("a", 1.0)])
        file.write(line.model_dump_json().replace("1.0", written) + "\n")
    ingest(engine, run.path)
    with reading(engine) as connection:
        stored = connection.execute(sa.select(ChainScores.numbers, ChainScores.reasons)).one()
        assert stored == ({"0": {"em": None}}, {"0/em": f"the value is {told}"})
        assert connection.execute(sa.select(Chain.correct)).scalar_one() is None


def test_runs_share_questions_and_the_first_gold_stays(engine: sa.Engine, make_run: RunMaker) -> None:
    ingest(engine, make_run("one", questions=[make_question("a")], chains=[make_chain("a")]).path)
    other = make_run("two", questions=[make_question("a", kind="other"), make_question("b")], chains=[make_chain("a")])
    result = ingest(engine, other.path)
    assert result.notes == (
        "questions stored earlier with other aliases, kind or hops, kept as they were: 1 (first: 'a')",
    )
    assert numbers(engine)["questions"] == 2
    assert numbers(engine)["chains"] == 2
    first, second = sorted(run.id for run in list_runs(engine))
    assert [row.kind for row in list_questions(engine, (first, second)).rows] == ["bridge"]


def test_an_id_that_stands_for_another_passage_of_an_earlier_run_is_told(engine: sa.Engine, make_run: RunMaker) -> None:
    texts = {"one": "In France.", "two": "In Germany.", "three": "In France."}
    notes = {}
    for name, text in texts.items():
        run = make_run(name, questions=[make_question("a")])
        run.append_passages([Passage(id="1", title="Paris", text=text), Passage.of("Lake Tiv", "A lake.")])
        notes[name] = ingest(engine, run.path).notes
    told = (
        "passages whose id stands for another passage of an earlier run, which is shown in their place: 1 (first: '1')"
    )
    assert notes == {"one": (), "two": (told,), "three": ()}


def test_questions_that_differ_are_two(engine: sa.Engine, make_run: RunMaker) -> None:
    ingest(engine, make_run("one", questions=[make_question("a")], chains=[make_chain("a")]).path)
    ingest(engine, make_run("two", questions=[make_question("a", answer="1951")], chains=[make_chain("a")]).path)
    assert numbers(engine)["questions"] == 2


def test_kept_chains_of_a_collection_are_chains(engine: sa.Engine, make_run: RunMaker) -> None:
    run = make_run(questions=[make_question("a")], chains=[make_chain("a")], kind=RunKind.COLLECT)
    run.update(counts={"kept": 1, "rejected": 4})
    ingest(engine, run.path)
    (row,) = list_runs(engine)
    assert (row.kind, row.chain_count, row.counts) == ("collect", 1, {"kept": 1, "rejected": 4})


def test_an_invalid_line_keeps_all_of_the_run_out(engine: sa.Engine, make_run: RunMaker) -> None:
    run = make_run(questions=[make_question("a")], chains=[make_chain("a")])
    with (run.path / "scores.jsonl").open("a") as file:
        file.write('{"name": "em"}\n')
    before = contents(engine)
    with pytest.raises(UserError, match=r"scores\.jsonl, line 1: field 'question_id'"):
        ingest(engine, run.path)
    assert contents(engine) == before


def test_a_number_that_is_too_large_is_refused(engine: sa.Engine, make_run: RunMaker) -> None:
    chain = make_chain("a")
    step = chain.steps[0].model_copy(update={"prompt_tokens": 2**80})
    run = make_run(questions=[make_question("a")], chains=[chain.model_copy(update={"steps": (step,)})])
    before = contents(engine)
    with pytest.raises(UserError, match=r"too large|out of range"):
        ingest(engine, run.path)
    assert contents(engine) == before


def test_a_run_that_lost_lines_is_refused(engine: sa.Engine, make_run: RunMaker) -> None:
    run = make_run(questions=[make_question("a")], chains=[make_chain("a")])
    run_id = ingest(engine, run.path).run_id
    (run.path / "chains.jsonl").write_text("")
    with pytest.raises(UserError, match="take it out of the database first"):
        ingest(engine, run.path)
    delete_run(engine, run_id)
    assert ingest(engine, run.path).added == RowCounts()


def test_a_failure_in_the_middle_leaves_nothing(
    engine: sa.Engine, make_run: RunMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(questions=[make_question("a")], chains=[make_chain("a")], scores=[make_score("a", 1.0)])
    before = contents(engine)

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_Writer, "_write_points", fail)
        with pytest.raises(KeyboardInterrupt):
            ingest(engine, run.path)
    assert contents(engine) == before
    assert ingest(engine, run.path).added == RowCounts(chains=1, steps=2, scores=1)


def test_what_is_no_run_directory_is_refused(engine: sa.Engine, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no run"):
        ingest(engine, tmp_path)
    (tmp_path / "run.json").write_bytes(b'{"name": "\xff"}')
    with pytest.raises(UserError, match=r"run\.json"):
        ingest(engine, tmp_path)


def test_a_broken_run_does_not_keep_the_others_out(engine: sa.Engine, make_run: RunMaker, tmp_path: Path) -> None:
    make_run("c", questions=[make_question("a")], chains=[make_chain("a")])
    make_run("a/deep", questions=[make_question("a")], chains=[make_chain("a")])
    broken = tmp_path / "runs" / "b"
    broken.mkdir()
    (broken / "run.json").write_text("{}")
    (tmp_path / "runs" / "no-run").mkdir()
    paths = [tmp_path / "runs" / name for name in ("a/deep", "b", "c")]
    assert find_runs(tmp_path) == paths
    seen: list[tuple[IngestOutcome, int, int]] = []
    outcomes = ingest_all(engine, tmp_path, lambda *progress: seen.append(progress))
    assert [outcome.path for outcome in outcomes] == paths
    assert [outcome.result is not None for outcome in outcomes] == [True, False, True]
    assert outcomes[1].error is not None
    assert "run.json" in outcomes[1].error
    assert seen == [(outcomes[0], 1, 3), (outcomes[1], 2, 3), (outcomes[2], 3, 3)]
    with pytest.raises(UserError, match="no such folder"):
        ingest_all(engine, tmp_path / "nowhere")


def test_the_row_of_a_run_holds_what_run_json_holds(engine: sa.Engine, make_run: RunMaker) -> None:
    run = make_run(
        questions=[make_question("a")],
        chains=[make_chain("a")],
        config={"lr": 5e-5, "names": ["x", None]},
        seed=3,
        command="steper evaluate x",
        checkpoint=CheckpointRef(run_uid="u", run_name="student", step=40),
    )
    run.update(
        figures={"em": Figure(mean=0.3, low=0.2, high=0.4, n=10, unscored=1)},
        facts={"joules": 4.5},
        counts={"asked": 1},
    )
    ingest(engine, run.path)
    info = run.info
    (row,) = list_runs(engine)
    assert (row.uid, row.name, row.seed, row.command) == (info.uid, "run", 3, "steper evaluate x")
    assert (row.started, row.seconds, row.path) == (info.started, info.seconds, str(run.path.resolve()))
    assert (row.config, row.versions, row.hardware) == (info.config, info.versions, info.hardware)
    assert (row.checkpoint_run_uid, row.checkpoint_run_name, row.checkpoint_step) == ("u", "student", 40)
    figure = row.figures["em"]
    assert (figure.mean, figure.low, figure.high, figure.n, figure.unscored) == (0.3, 0.2, 0.4, 10, 1)
    assert (row.facts, row.counts) == ({"joules": 4.5}, {"asked": 1})


def test_many_threads_that_ingest_lose_and_double_nothing(
    engine: sa.Engine, make_run: RunMaker, tmp_path: Path
) -> None:
    keys = [f"q{number}" for number in range(20)]
    for number in range(4):
        make_run(
            f"run{number}",
            questions=[make_question(key) for key in keys],
            chains=[make_chain(key) for key in keys],
            scores=[make_score(key, 1.0) for key in keys],
        )
    errors: list[Any] = []

    def work() -> None:
        errors.extend(outcome.error for outcome in ingest_all(engine, tmp_path / "runs") if outcome.error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    rows = numbers(engine)
    assert (rows["runs"], rows["questions"], rows["chains"], rows["steps"], rows["chain_scores"]) == (
        4,
        20,
        80,
        160,
        80,
    )
    assert revision(engine) == 4


def _ingest(url: str, path: Path, results: multiprocessing.Queue[str]) -> None:
    try:
        results.put(str(ingest(open_database(url), path).added.chains))
    except Exception as error:
        results.put(repr(error))


def test_processes_that_ingest_at_once_lose_nothing(url: str, make_run: RunMaker) -> None:
    runs: list[RunDir] = [
        make_run(f"run{number}", questions=[make_question("a")], chains=[make_chain("a")]) for number in range(5)
    ]
    context = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[str] = context.Queue()
    processes = [context.Process(target=_ingest, args=(url, run.path, results)) for run in runs]
    for process in processes:
        process.start()
    answers = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert answers == ["1"] * 5
    engine = open_database(url)
    assert numbers(engine)["chains"] == 5
    engine.dispose()


@pytest.mark.parametrize(
    ("key", "written"),
    [
        ("seconds", "NaN"),
        ("started", '"0001-01-01T00:00:00+23:59"'),
        ("started", '"9999-12-31T23:59:59-23:59"'),
    ],
)
def test_a_run_with_odd_numbers_is_told_and_the_others_come_in(
    engine: sa.Engine, make_run: RunMaker, key: str, written: str
) -> None:
    odd = make_run("aa", questions=[make_question("a")], chains=[make_chain("a")])
    good = make_run("zz", questions=[make_question("a")], chains=[make_chain("a")])
    file = odd.path / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), key: "HERE"}).replace('"HERE"', written))
    first, second = ingest_all(engine, good.path.parent)
    assert first.result is None and str(odd.path) in str(first.error)
    assert second.result is not None and second.result.run == "zz"
