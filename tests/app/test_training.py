"""`steper train` on several processes, and asked to stop where there is nothing left to stop."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli import main
from app.seeds import UNDECIDED
from app.training import followed_teacher
from steper_core.config import Recipe, load_recipe
from steper_core.run_records import RunStatus, TrainPoint
from steper_core.rundir import RunDir
from tests.steper_core.test_ranks import launch

ROOT = Path(__file__).parents[2]
SETTINGS = (
    "worlds.passages=60",
    "worlds.train_questions=6",
    "worlds.held_out_questions=2",
    "worlds.test_questions=2",
    "student.device=cpu",
    "train.dtype=float32",
    "train.epochs=2",
    "train.max_length=2048",
    "train.method=steper",
    "train.batch_chains=2",
)
STOPPED_AT_THE_END = """
import os, signal, sys
from contextlib import contextmanager
from pathlib import Path
from app.console import Console
from app.training import train
from app.workplace import open_workplace
from steper_core.config import load_recipe
from steper_core.material import load_material
from steper_core.rundir import RunDir

class Stopping(Console):
    @contextmanager
    def progress(self, label, unit):
        yield lambda done, total: os.kill(os.getpid(), signal.SIGTERM) if done == total else None

recipe = load_recipe("demo", sys.argv[1:])
place = open_workplace(recipe, load_material(recipe), Path("runs"), "steper", Stopping())
try:
    train(place, "student", RunDir(Path("runs/gold")), recipe.train, 0)
except KeyboardInterrupt:
    print("stopped", RunDir(Path("runs/student")).info.status.value)
"""


def options(*settings: str) -> list[str]:
    return [part for setting in settings for part in ("-s", setting)]


@pytest.fixture
def collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> tuple[str, ...]:
    """An empty folder with a teacher's chains; the settings of the training."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STEPER_DATABASE_URL", raising=False)
    settings = (*SETTINGS, f"student.model={tiny_model}")
    result = CliRunner().invoke(main, ["collect", "--name", "gold", *options(*settings)])
    assert result.exit_code == 0, result.output
    return settings


def test_two_processes_of_the_command_train_one_student(collected: tuple[str, ...], tmp_path: Path) -> None:
    command = ("train", "--teacher-run", "gold")
    both = launch("-m", "app", *command, "--name", "both", *options(*collected), cwd=tmp_path)
    assert both.returncode == 0, both.stderr[-3000:]
    # One process takes both halves of each batch.
    alone = (*collected, "train.batch_chains=4")
    result = CliRunner().invoke(main, [*command, "--name", "alone", *options(*alone)])
    assert result.exit_code == 0, result.output
    runs = [RunDir(tmp_path / "runs" / name) for name in ("both", "alone")]
    assert [run.info.status for run in runs] == [RunStatus.FINISHED] * 2
    own, expected = (list(run.train_points()) for run in runs)
    # Each point is logged by one of the processes alone.
    assert [(point.step, point.held_out) for point in own] == [(point.step, point.held_out) for point in expected]
    for point, reference in zip(own, expected, strict=True):
        assert point.losses == pytest.approx(reference.losses, rel=1e-3)
        assert point.sigmas == pytest.approx(reference.sigmas, rel=1e-3)
    assert "both: " in both.stdout and both.stdout.count("tokens/s") == 1


def test_a_stop_asked_for_in_the_last_step_ends_what_would_come_after(
    collected: tuple[str, ...], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STOPPED_AT_THE_END, *collected],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["stopped finished"], done.stderr[-3000:]


def trained(name: str, settings: tuple[str, ...], *changes: str) -> tuple[list[TrainPoint], str]:
    """The points that a training logged, and what it printed."""
    command = ["train", "--teacher-run", "gold", "--name", name, *options(*settings, "train.epochs=1", *changes)]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    return list(RunDir(Path("runs") / name).train_points()), " ".join(result.output.split())


@pytest.mark.parametrize(
    ("changes", "tasks"),
    [
        (["train.method=answer-kd"], {"answer"}),
        (["train.method=multitask-kd"], {"rationale", "answer"}),
        (["train.method=vanilla-kd"], {"aggregation"}),
        (['train.abilities=["initialization", "aggregation"]'], {"initialization", "aggregation"}),
    ],
)
def test_each_method_trains_its_tasks(collected: tuple[str, ...], changes: list[str], tasks: set[str]) -> None:
    points, _ = trained("student", collected, *changes)
    assert {task for point in points for task in point.losses} == tasks


def test_rows_of_one_example_and_packed_ones_train_the_same(collected: tuple[str, ...]) -> None:
    packed, _ = trained("packed", collected)
    apart, _ = trained("apart", collected, "train.packing=false")
    assert len(packed) == len(apart) > 0
    for point, reference in zip(packed, apart, strict=True):
        assert point.losses == pytest.approx(reference.losses, rel=1e-3)
    read = [sum(p.tokens_per_second * p.seconds for p in points if not p.held_out) for points in (packed, apart)]
    assert read[0] < 0.8 * read[1]


def test_what_is_not_learned_of_the_chains_is_said(collected: tuple[str, ...]) -> None:
    _, said = trained("cut", collected, "train.max_length=300")
    assert "examples lose their oldest passages: they are longer than train.max_length=300" in said
    made = CliRunner().invoke(main, ["collect", "--name", "short", *options(*collected, "reasoning.max_steps=2")])
    assert made.exit_code == 0, made.output
    short = ["train", "--teacher-run", "short", "--name", "two", *options(*collected, "train.epochs=1")]
    said = " ".join(CliRunner().invoke(main, short).output.split())
    assert "two learns no expansion: no chain that was kept has a step of it" in said


def test_settings_that_decide_nothing_are_settings() -> None:
    recipe = Recipe().model_dump()
    assert all(key in recipe[section] for section, key in (name.split(".") for name in UNDECIDED))
    assert not {"student.model", "student.dtype", "train.method", "train.batch_chains"} & set(UNDECIDED)


def test_a_storage_of_log_probabilities_takes_no_teacher_from_a_loss_that_does_not_read_it(tiny_model: Path) -> None:
    shared = (f"train.teacher={tiny_model}", "train.logits.stored=soft")
    assert followed_teacher(load_recipe("demo", shared), load_recipe("demo", shared).train) is None
    features = load_recipe("demo", (*shared, "train.method=feature-kd"))
    assert followed_teacher(features, features.train) == tiny_model


def test_an_evaluated_student_is_known_by_the_model_it_was_trained_from(
    collected: tuple[str, ...], wide_model: Path
) -> None:
    trained("wide", collected, f"student.model={wide_model}")
    # The recipe's own student is another one.
    command = ["evaluate", "--name", "asked", "--student", "wide", *options(*collected, "reasoning.max_new_tokens=4")]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    assert RunDir(Path("runs/asked")).info.model == str(wide_model)
    # The student may be renamed: the command that evaluated it opens what it made.
    Path("runs/wide").rename("runs/renamed")
    again = [part if part != "wide" else "renamed" for part in command]
    assert CliRunner().invoke(main, again).exit_code == 0
