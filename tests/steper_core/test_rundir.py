"""The run directory: finishing, failing, resuming, one holder at a time, and refusing what is no such run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from steper_core.digests import digest_of
from steper_core.errors import UserError
from steper_core.records import Ability, Chain, Judgement, Passage, Question, Retrieved, Score, Step, StopReason
from steper_core.run_records import Figure, Rejection, RunKind, RunStatus, TrainPoint
from steper_core.rundir import RunDir, add_scores, hold_run, open_run

CONFIG: dict[str, Any] = {"data": {"paths": ["a.json"], "seed": 1}, "top_k": 4}
HOLDER = """
import sys, time
from pathlib import Path
from steper_core.run_records import RunKind
from steper_core.rundir import open_run
with open_run(Path(sys.argv[1]), kind=RunKind.COLLECT, config={"k": 1}, dataset="d", model="m", seed=7) as run:
    run.update(counts={"seen": 1})
    print("held", flush=True)
    time.sleep(60)
"""


def opened(path: Path, config: dict[str, Any] = CONFIG) -> AbstractContextManager[RunDir]:
    return open_run(path, kind=RunKind.COLLECT, config=config, dataset="d", model="m", seed=7, command="steper collect")


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the run at `path`; it is killed at the end."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def chain(question_id: str = "q") -> Chain:
    step = Step(
        number=1,
        ability=Ability.AGGREGATION,
        query="?",
        retrieved=(Retrieved(passage_id="p", rank=1, score=0.5),),
        rationale="So the answer is: \u2028x",
        prompt_tokens=3,
        output_tokens=2,
        seconds=0.1,
    )
    return Chain(question_id=question_id, steps=(step,), answer="x", stop_reason=StopReason.FORCED)


def test_a_run_is_running_while_held_and_finished_after(tmp_path: Path) -> None:
    with opened(tmp_path / "r") as run:
        assert run.info.status is RunStatus.RUNNING
        assert run.info.finished is None
    info = RunDir(tmp_path / "r").info
    assert info.status is RunStatus.FINISHED
    assert (info.name, info.kind, info.dataset, info.model, info.seed) == ("r", RunKind.COLLECT, "d", "m", 7)
    assert (info.config, info.digest, info.command) == (CONFIG, digest_of(CONFIG), "steper collect")
    assert info.versions["python"].startswith("3.") and info.hardware["cores"] == os.cpu_count()
    assert info.finished is not None and info.finished >= info.started
    assert 0 <= info.seconds < 60


def test_a_run_is_called_as_its_folder_is(tmp_path: Path) -> None:
    with open_run(tmp_path / "first", kind=RunKind.COLLECT, config={}, dataset="d", model="m"):
        pass
    renamed = RunDir((tmp_path / "first").rename(tmp_path / "second"))
    assert renamed.info.name == "second"
    assert renamed.update(counts={"chains": 1}).name == renamed.info.name


def test_everything_appended_comes_back(tmp_path: Path) -> None:
    passages = [Passage.of("t", "x"), Passage.of("t", "y")]
    question = Question(id="q", dataset="d", text="?", answer="x")
    scores = [Score(question_id="q", name="em", value=None, reason="why", evaluator="e", version="1")]
    point = TrainPoint(step=1, epoch=0.5, losses={"aggregation": 2.0})
    with opened(tmp_path / "r") as run:
        run.write_questions([question])
        run.append_passages(passages)
        run.append_chains([chain("a"), chain("b")])
        run.append_rejected([Rejection(reason="no answer", chain=chain())])
        run.append_scores(scores)
        run.append_train_point(point)
        run.update(figures={"em": Figure(mean=0.5, low=0.1, high=0.9, n=2, unscored=1)})
    read = RunDir(tmp_path / "r")
    assert list(read.questions()) == [question]
    assert list(read.passages()) == passages
    assert list(read.chains()) == [chain("a"), chain("b")]
    assert list(read.rejected()) == [Rejection(reason="no answer", chain=chain())]
    assert list(read.scores()) == scores
    assert list(read.train_points()) == [point]
    assert read.info.figures["em"].unscored == 1


def test_each_question_is_written_once_also_after_reopening(tmp_path: Path) -> None:
    one, two, three = (Question(id=key, dataset="d", text="?", answer="x") for key in "123")
    with opened(tmp_path / "r") as run:
        run.write_questions([two])
    with opened(tmp_path / "r") as run:
        run.write_questions([one, two.model_copy(update={"text": "other"}), three])
        run.write_questions([one])
    assert list(run.questions()) == [two, one, three]


def test_an_unknown_field_of_run_json_is_not_taken_in(tmp_path: Path) -> None:
    with opened(tmp_path / "r") as run, pytest.raises(ValueError, match="colour"):
        run.update(colour="red")


def test_each_passage_is_written_once_also_after_reopening(tmp_path: Path) -> None:
    a, b, c = (Passage.of("t", text) for text in "abc")
    with pytest.raises(RuntimeError), opened(tmp_path / "r") as run:
        run.append_passages([a, b, a])
        run.append_passages([b])
        raise RuntimeError
    with opened(tmp_path / "r") as run:
        run.append_passages([c, a, b])
    assert list(run.passages()) == [a, b, c]


def test_a_changed_config_is_refused_and_the_changed_keys_are_named(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), opened(tmp_path / "r") as run:
        run.append_chains([chain()])
        raise RuntimeError
    changed = {"data": {"paths": ["a.json"], "seed": 2}, "top_k": 4, "window": 8}
    with pytest.raises(UserError, match=r"changed: data\.seed, window\)") as caught, opened(tmp_path / "r", changed):
        pytest.fail("opened with another config")
    assert "give the new run another name" in str(caught.value)
    assert RunDir(tmp_path / "r").info.config == CONFIG


def test_a_run_that_made_nothing_takes_the_settings_that_put_it_right(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), opened(tmp_path / "r") as run:
        run.update(facts={"server_refuses_seed": 1.0})
        raise RuntimeError
    first = run.info
    right = {"kind": first.kind, "dataset": first.dataset, "model": "another"}
    with open_run(tmp_path / "r", **right, config=CONFIG | {"window": 8}, seed=3) as run:
        assert (run.info.uid, run.info.seed, run.info.model) == (first.uid, 3, "another")
        assert run.info.config["window"] == 8 and run.info.facts == {}
    # Once it is finished it stays as it is.
    with pytest.raises(UserError, match="changed: seed, window"), opened(tmp_path / "r"):
        pytest.fail("opened with other settings")


@pytest.mark.parametrize(
    "changed",
    [
        {"config": {"questions": "2"}},
        {"config": {"questions": "1", "runs": ["another"]}},
        {"kind": RunKind.JUDGE, "config": {"other": 1}},
    ],
)
def test_a_run_that_made_nothing_asks_its_own_questions_and_stays_of_its_kind(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    given = {"kind": RunKind.COLLECT, "config": {"questions": "1"}, "dataset": "d", "model": "m"}
    with pytest.raises(RuntimeError), open_run(tmp_path / "r", **given):
        raise RuntimeError
    with pytest.raises(UserError, match="changed"), open_run(tmp_path / "r", **(given | changed)):
        pytest.fail("opened with other settings")


def test_settings_that_decide_nothing_may_change_and_are_recorded_until_the_run_is_finished(tmp_path: Path) -> None:
    def told(size: int, uses: int = 2) -> dict[str, Any]:
        config = {"train": {"size": size, "uses": uses}}
        return {"kind": RunKind.TRAIN, "config": config, "dataset": "d", "model": "m", "undecided": {"train.size"}}

    with pytest.raises(RuntimeError), open_run(tmp_path / "r", **told(1)) as run:
        run.append_chains([chain()])
        raise RuntimeError
    with pytest.raises(UserError, match=r"changed: train\.uses\)"), open_run(tmp_path / "r", **told(2, uses=3)):
        pytest.fail("opened with other settings")
    with open_run(tmp_path / "r", **told(2)) as run:
        assert run.info.config["train"]["size"] == 2
    with open_run(tmp_path / "r", **told(4)) as run:
        assert run.info.config["train"]["size"] == 2


def test_a_run_does_not_go_on_in_another_number_format_and_stays_what_it_is_once_finished(tmp_path: Path) -> None:
    def told(found: str, dtype: str = "auto") -> dict[str, Any]:
        config = {"train": {"dtype": dtype}, "number_format": found, "processes": 1}
        return {"kind": RunKind.TRAIN, "config": config, "dataset": "d", "model": "m"}

    with pytest.raises(RuntimeError), open_run(tmp_path / "r", **told("bfloat16")) as run:
        run.append_chains([chain()])
        raise RuntimeError
    other = open_run(tmp_path / "r", **told("float32"))
    with pytest.raises(UserError, match=r"changed: number_format; number_format was bfloat16\)"), other:
        pytest.fail("opened in another format")
    # Where the machine would choose another one, it can be named.
    with open_run(tmp_path / "r", **told("bfloat16", dtype="bfloat16")):
        pass
    with open_run(tmp_path / "r", **told("float32", dtype="bfloat16")) as run:
        assert run.info.config["number_format"] == "bfloat16"


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    given = {"kind": RunKind.TRAIN, "config": {}, "dataset": "d", "model": "m"}
    with open_run(tmp_path / "r", **given, seed=1):
        pass
    with pytest.raises(UserError, match=r"changed: seed\)"), open_run(tmp_path / "r", **given, seed=2):
        pytest.fail("opened with another seed")


def test_what_an_earlier_version_did_not_record_is_no_change(tmp_path: Path) -> None:
    with opened(tmp_path / "r") as run:
        uid = run.info.uid
    with opened(tmp_path / "r", CONFIG | {"questions": "digest"}) as run:
        assert run.info.uid == uid
    with pytest.raises(UserError, match=r"changed: labels\)"), opened(tmp_path / "r", CONFIG | {"labels": "digest"}):
        pytest.fail("opened with another config")
    with opened(tmp_path / "new", CONFIG | {"questions": "one"}):
        pass
    with pytest.raises(UserError, match=r"changed: questions\)"), opened(tmp_path / "new", CONFIG | {"questions": "2"}):
        pytest.fail("opened with another config")


def test_the_order_of_config_keys_is_no_change(tmp_path: Path) -> None:
    with opened(tmp_path / "r") as run:
        uid = run.info.uid
    with opened(tmp_path / "r", dict(reversed(CONFIG.items()))) as run:
        assert run.info.uid == uid


def test_a_finished_run_is_reopened_unchanged(tmp_path: Path) -> None:
    with opened(tmp_path / "r"):
        pass
    before = (tmp_path / "r" / "run.json").read_bytes()
    with opened(tmp_path / "r") as run:
        assert run.info.status is RunStatus.FINISHED
    with pytest.raises(RuntimeError), opened(tmp_path / "r"):
        raise RuntimeError("after the end")
    assert (tmp_path / "r" / "run.json").read_bytes() == before


def test_an_exception_marks_the_run_failed_and_seconds_add_up_over_resumes(tmp_path: Path) -> None:
    with pytest.raises(ValueError), opened(tmp_path / "r") as run:
        time.sleep(0.05)
        raise ValueError("first line\nsecond line")
    failed = run.info
    assert (failed.status, failed.error) == (RunStatus.FAILED, "ValueError: first line")
    assert failed.seconds >= 0.05
    with opened(tmp_path / "r") as run:
        assert (run.info.status, run.info.error) == (RunStatus.RUNNING, None)
        time.sleep(0.05)
    finished = run.info
    assert (finished.status, finished.uid, finished.started) == (RunStatus.FINISHED, failed.uid, failed.started)
    assert finished.seconds >= failed.seconds + 0.05


def test_an_interrupt_leaves_the_run_to_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), opened(tmp_path / "r") as run:
        run.append_chains([chain("a")])
        raise KeyboardInterrupt
    assert (run.info.status, run.info.error) == (RunStatus.INTERRUPTED, None)
    with opened(tmp_path / "r") as run:
        assert [each.question_id for each in run.chains()] == ["a"]
    assert run.info.status is RunStatus.FINISHED


def test_a_second_process_is_refused_while_one_holds_the_run(tmp_path: Path) -> None:
    with holder(tmp_path / "r"):
        assert RunDir(tmp_path / "r").info.status is RunStatus.RUNNING
        with pytest.raises(UserError, match="another process is working on this run"), opened(tmp_path / "r", {"k": 1}):
            pytest.fail("opened a held run")
        assert RunDir(tmp_path / "r").info.status is RunStatus.RUNNING


def test_a_killed_process_leaves_an_interrupted_run_that_resumes(tmp_path: Path) -> None:
    path = tmp_path / "r"
    with holder(path) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert process.returncode == -signal.SIGKILL
    killed = RunDir(path).info
    assert killed.status is RunStatus.INTERRUPTED
    assert killed.counts == {"seen": 1}
    with (path / "chains.jsonl").open("w") as file:
        file.write(chain("a").model_dump_json() + "\n" + chain("b").model_dump_json()[:30])
    with opened(path, {"k": 1}) as run:
        assert run.info.uid == killed.uid
        assert run.info.status is RunStatus.RUNNING
        run.append_chains([chain("b")])
    resumed = RunDir(path)
    assert [each.question_id for each in resumed.chains()] == ["a", "b"]
    assert resumed.info.status is RunStatus.FINISHED


def spoil_format(text: str) -> str:
    return json.dumps(json.loads(text) | {"format": 2})


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (spoil_format, "field 'format': Input should be 1"),
        (lambda text: text[:40], "Invalid JSON"),
        (lambda text: "{}", "field 'uid': Field required"),
        (lambda text: text.replace('"counts": {', f'"counts": {{"kept": {10**400}'), "counts.kept"),
    ],
)
def test_a_run_json_that_cannot_be_read_is_named(tmp_path: Path, spoil: Callable[[str], str], named: str) -> None:
    with opened(tmp_path / "r"):
        pass
    file = tmp_path / "r" / "run.json"
    file.write_text(spoil(file.read_text("utf-8")), "utf-8")
    with pytest.raises(UserError) as caught:
        _ = RunDir(tmp_path / "r").info
    assert str(file) in str(caught.value) and named in str(caught.value)


def test_a_run_json_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"run\.json: Invalid JSON"):
        _ = RunDir(tmp_path).info


def test_a_folder_without_run_json_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no run directory: it holds no run\.json"):
        _ = RunDir(tmp_path).info
    with pytest.raises(UserError, match="is no run directory"):
        _ = RunDir(tmp_path / "missing").info


def test_a_file_in_the_place_of_a_run_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(UserError, match="no run directory"):
        _ = RunDir(file).info
    with (
        pytest.raises(UserError, match="cannot be a run directory"),
        open_run(file, kind=RunKind.COLLECT, config={}, dataset="d", model="m"),
    ):
        pass


def test_scores_can_be_added_to_a_finished_run_but_not_to_a_held_one(tmp_path: Path) -> None:
    score = Score(question_id="q", name="em", value=1.0, evaluator="e", version="1")
    with opened(tmp_path / "r"), pytest.raises(UserError, match="another process"):
        add_scores(tmp_path / "r", [score])
    (tmp_path / "r" / "scores.jsonl").write_text('{"torn')
    add_scores(tmp_path / "r", [score])
    assert list(RunDir(tmp_path / "r").scores()) == [score]
    assert RunDir(tmp_path / "r").info.status is RunStatus.FINISHED


def test_scores_wait_for_a_run_that_another_one_holds_for_a_while(tmp_path: Path) -> None:
    with opened(tmp_path / "r"):
        pass
    held, begun = threading.Event(), threading.Event()

    def hold() -> None:
        with hold_run(tmp_path / "r"):
            begun.set()
            held.wait(60)

    other = threading.Thread(target=hold)
    other.start()
    begun.wait()
    score = Score(question_id="q", name="em", value=1.0, evaluator="answers", version="1")
    with pytest.raises(UserError, match="another process"):
        add_scores(tmp_path / "r", [score])
    threading.Timer(0.2, held.set).start()
    add_scores(tmp_path / "r", [score], wait=30)
    other.join()
    assert list(RunDir(tmp_path / "r").scores()) == [score]


def test_votes_of_a_judge_come_back(tmp_path: Path) -> None:
    vote = Judgement(question_id="q", rubric="r", version="1", judge="m", vote=1, verdicts={"x": 1.0}, key="k")
    with opened(tmp_path / "r") as run:
        run.append_judgements([vote])
    assert list(RunDir(tmp_path / "r").judgements()) == [vote]
