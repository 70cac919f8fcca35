"""The whole path with a tiny model: all is stored and scored, and a kill at any moment loses and doubles nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.demo import methods_of
from db import RunFilter, list_runs, open_database, train_points
from steper_core.config import TrainSection
from steper_core.run_records import RunStatus
from steper_core.rundir import RunDir
from tests.pipeline import demo_command, environment, run_demo

EVALUATIONS = {
    "demo-eval-base-closed-book",
    "demo-eval-base-rag",
    "demo-eval-base",
    "demo-eval-gold",
    "demo-eval-vanilla-kd-s0",
    "demo-eval-steper-s0",
}
OTHERS = {"demo-teacher", "demo-vanilla-kd-s0", "demo-steper-s0"}


def chains(runs: Path, name: str) -> dict[str, Any]:
    """The chains of a run by question, without the seconds, which differ from run to run."""
    found: dict[str, Any] = {}
    for line in (runs / name / "chains.jsonl").read_text("utf-8").splitlines():
        chain = json.loads(line)
        assert chain["question_id"] not in found, "a question is doubled"
        for step in chain["steps"]:
            del step["seconds"]
        found[chain["question_id"]] = chain
    return found


def test_all_systems_are_evaluated_scored_and_stored(whole_demo: tuple[Path, str]) -> None:
    runs, printed = whole_demo
    with_names = {run.name: run for run in list_runs(open_database(f"sqlite:///{runs / 'steper.db'}"), RunFilter())}
    assert set(with_names) == EVALUATIONS | OTHERS
    assert all(run.status == "finished" for run in with_names.values())
    for name in EVALUATIONS:
        assert with_names[name].chain_count == 9
        assert {"em", "f1", "acc", "acc_bounded", "acc_text", "gold_recall"} <= set(with_names[name].figures)
    assert with_names["demo-eval-gold"].figures["em"].mean == 1.0
    assert with_names["demo-eval-base-closed-book"].figures["gold_recall"].mean == 0.0
    assert with_names["demo-eval-base-closed-book"].facts["retrievals_per_question"] == 0.0
    steper = with_names["demo-eval-steper-s0"]
    assert steper.checkpoint_run_name == "demo-steper-s0"
    for label in ("base, no retrieval", "base, one retrieval", "gold teacher", "vanilla-kd", "steper"):
        assert label in printed


def test_training_is_logged_by_ability_with_sigma_only_where_it_is_learned(whole_demo: tuple[Path, str]) -> None:
    runs, _ = whole_demo
    engine = open_database(f"sqlite:///{runs / 'steper.db'}")
    ids = {run.name: run.id for run in list_runs(engine, RunFilter())}
    steper = train_points(engine, ids["demo-steper-s0"])
    vanilla = train_points(engine, ids["demo-vanilla-kd-s0"])
    assert {ability for point in vanilla for ability in point.losses} == {"aggregation"}
    assert {"initialization", "aggregation"} <= {ability for point in steper for ability in point.losses}
    assert not any(point.sigmas for point in vanilla)
    assert all(point.sigmas for point in steper if not point.held_out)
    assert any(point.held_out for point in steper)


def test_repeating_a_finished_demo_computes_nothing_again(whole_demo: tuple[Path, str], tiny_model: Path) -> None:
    runs, _ = whole_demo
    before = {file: file.stat().st_mtime_ns for file in runs.glob("*/*.jsonl")}
    result = run_demo(runs, tiny_model)
    assert result.returncode == 0
    assert {file: file.stat().st_mtime_ns for file in runs.glob("*/*.jsonl")} == before


def test_other_settings_under_the_same_name_are_refused(whole_demo: tuple[Path, str], tiny_model: Path) -> None:
    runs, _ = whole_demo
    result = run_demo(runs, tiny_model, "retrieval.top_k=3")
    assert result.returncode == 2
    assert "retrieval.top_k" in result.stderr


def test_settings_of_steps_are_steper_s_alone() -> None:
    section = TrainSection.model_validate({"method": "steper", "expansion_steps": 1, "epochs": 3})
    vanilla, steper = methods_of(section)
    assert (vanilla.method, vanilla.expansion_steps, vanilla.epochs) == ("vanilla-kd", None, 3)
    assert (steper.method, steper.expansion_steps, steper.epochs) == ("steper", 1, 3)


def test_a_method_that_the_demo_does_not_train_is_refused_before_anything_runs(
    tmp_path: Path, tiny_model: Path
) -> None:
    result = run_demo(tmp_path / "runs", tiny_model, "train.method=answer-kd")
    assert result.returncode == 2 and "train with answer-kd by `steper train`" in result.stderr
    assert not list(tmp_path.glob("runs/*/run.json"))


def test_a_demo_killed_again_and_again_continues_without_loss_or_doubling(
    whole_demo: tuple[Path, str], tiny_model: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    kill_within(runs, tiny_model, "demo-eval-base", "chains.jsonl", lines=1)
    kill_within(runs, tiny_model, "demo-teacher", "chains.jsonl", lines=1)
    # Of five steps the third is saved; the fourth line is of its held-out questions.
    kill_within(runs, tiny_model, "demo-steper-s0", "train.jsonl", lines=5)
    assert (runs / "demo-steper-s0/checkpoints/checkpoint-3/trainer_state.json").exists()
    kill_within(runs, tiny_model, "demo-eval-steper-s0", "chains.jsonl", lines=1)
    result = run_demo(runs, tiny_model)
    assert result.returncode == 0, result.stderr[-3000:]
    for name in EVALUATIONS | {"demo-teacher"}:
        assert chains(runs, name) == chains(whole_demo[0], name)
    resumed, expected = (list(RunDir(folder / "demo-steper-s0").train_points()) for folder in (runs, whole_demo[0]))
    assert [(point.step, point.held_out) for point in resumed] == [(point.step, point.held_out) for point in expected]
    for point, reference in zip(resumed, expected, strict=True):
        assert point.losses == pytest.approx(reference.losses, abs=1e-4)
        assert point.sigmas == pytest.approx(reference.sigmas, abs=1e-5)


def kill_within(runs: Path, model: Path, name: str, file: str, *, lines: int) -> None:
    """Kill the demo with SIGKILL as soon as a run's file has some lines, and leave half a line at its end."""
    kill_when(runs, model, lambda: count_lines(runs / name / file) >= lines)
    # What a kill in the middle of a write leaves behind.
    with (runs / name / file).open("ab") as torn:
        torn.write(b'{"question_id": "w0-te')
    assert RunDir(runs / name).info.status in {RunStatus.INTERRUPTED, RunStatus.FINISHED}


def kill_when(runs: Path, model: Path, due: Callable[[], bool]) -> None:
    """Start the demo and kill it with SIGKILL as soon as something is due."""
    process = subprocess.Popen(
        demo_command(runs, model), env=environment(runs), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 240
    while not due():
        assert process.poll() is None and time.monotonic() < deadline, "the moment to kill never came"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()


def count_lines(file: Path) -> int:
    """Whole lines in a file."""
    return file.read_bytes().count(b"\n") if file.exists() else 0
