"""Training that was stopped, killed, or found its disk full goes on to the same weights, or says why it cannot."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from steper_core.errors import UserError
from steper_core.rundir import RunDir

from .tiny_training import KilledError, chains, killed_at, require_same_curve, same, settings, train, weights


def test_a_killed_training_resumes_to_the_same_weights(tiny_model: Path, tmp_path: Path) -> None:
    config = settings(weighting="learned", epochs=4, batch_chains=2, keep_checkpoints=9)
    data = chains(6)
    whole = train(tmp_path, tiny_model, "whole", data, config)

    with pytest.raises(KilledError):
        train(tmp_path, tiny_model, "cut", data, config, on_progress=killed_at(8))
    torn = tmp_path / "cut" / "checkpoints" / "checkpoint-9"
    torn.mkdir()
    (torn / "model.safetensors").write_bytes(b"half")
    resumed = train(tmp_path, tiny_model, "cut", data, config)
    # Equal to rounding, which Adam enlarges where a gradient is near 0: a tenth of one step (of 1e-3) at most.
    assert same(weights(whole, 12), weights(resumed, 12), 1e-4)
    require_same_curve(resumed, whole)


def test_adapters_resume_too(tiny_model: Path, tmp_path: Path) -> None:
    config = settings(lora_rank=4, weighting="learned", epochs=2, batch_chains=2, keep_checkpoints=9)
    whole = train(tmp_path, tiny_model, "whole", chains(6), config)
    with pytest.raises(KilledError):
        train(tmp_path, tiny_model, "cut", chains(6), config, on_progress=killed_at(4))
    done: list[int] = []
    resumed = train(tmp_path, tiny_model, "cut", chains(6), config, on_progress=lambda step, _all: done.append(step))
    assert done == [4, 5, 6]
    require_same_curve(resumed, whole)


def test_a_damaged_checkpoint_is_named_and_once_deleted_the_one_before_is_taken_up(
    tiny_model: Path, tmp_path: Path
) -> None:
    config = settings(epochs=3, keep_checkpoints=9)

    with pytest.raises(KilledError):
        train(tmp_path, tiny_model, "run", chains(6), config, on_progress=killed_at(3))
    last = tmp_path / "run" / "checkpoints" / "checkpoint-2"
    for name in ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "side.pt", "config.json"):
        whole = (last / name).read_bytes()
        (last / name).write_bytes(whole[:20])
        with pytest.raises(UserError) as caught:
            train(tmp_path, tiny_model, "run", chains(6), config)
        assert str(caught.value) == f"{last / name} is damaged: it cannot be resumed from; delete {last}"
        (last / name).write_bytes(whole)
    # A state without a step is a checkpoint that was not finished.
    (last / "trainer_state.json").write_text('{"global_step": null}')
    done: list[int] = []
    resumed = train(tmp_path, tiny_model, "run", chains(6), config, on_progress=lambda step, _all: done.append(step))
    # Three steps before the kill; then on from checkpoint 1, whose later points are logged anew.
    assert done == [2, 3]
    assert [point.step for point in resumed.train_points()] == [1, 2, 3]


FULL_DISK = """
import resource, signal, sys
from collections.abc import Callable
from pathlib import Path
from tests.steper_core.tiny_training import chains, settings, train
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder, model, limit = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
def fill(done, _all):
    if done == 2:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
train(folder, model, "run", chains(4), settings(epochs=2, batch_chains=2, keep_checkpoints=9, checkpoints_per_epoch=2),
      on_progress=fill)
"""


def test_a_full_disk_leaves_earlier_checkpoints_whole(tiny_model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path), str(tiny_model), "20000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "step 2 could not be saved" in done.stderr and "earlier checkpoints are whole" in done.stderr
    config = settings(epochs=2, batch_chains=2, keep_checkpoints=9, checkpoints_per_epoch=2)
    resumed = train(tmp_path, tiny_model, "run", chains(4), config)
    assert {point.step for point in resumed.train_points()} == {1, 2, 3, 4}
    whole = train(tmp_path, tiny_model, "whole", chains(4), config)
    assert same(weights(whole, 4), weights(resumed, 4), 1e-4)


def test_a_training_that_is_asked_to_stop_saves_its_step_and_goes_on_from_there(
    tiny_model: Path, tmp_path: Path
) -> None:
    config = settings(weighting="learned", epochs=4, batch_chains=2, keep_checkpoints=1)
    data = chains(6)
    whole = train(tmp_path, tiny_model, "whole", data, config)
    done: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        train(
            tmp_path,
            tiny_model,
            "cut",
            data,
            config,
            on_progress=lambda step, _all: done.append(step),
            stop=lambda: len(done) == 5,
        )
    cut = RunDir(tmp_path / "cut")
    assert cut.info.status == "interrupted" and done == [1, 2, 3, 4, 5]
    assert (cut.path / "checkpoints" / "checkpoint-5" / "trainer_state.json").exists()
    resumed = train(
        tmp_path, tiny_model, "cut", data, config, on_progress=lambda step, _all: done.append(step), stop=lambda: False
    )
    assert done == list(range(1, 13))
    assert same(weights(whole, 12), weights(resumed, 12), 1e-4)


def test_a_kill_after_the_last_save_leaves_nothing_to_train_again(tiny_model: Path, tmp_path: Path) -> None:
    config = settings(weighting="learned", epochs=1, batch_chains=2)
    run = train(tmp_path, tiny_model, "run", chains(6), config)
    whole = weights(run, 3)
    # The kill came before the run was marked finished, and after what only a resumed training needs had been dropped.
    run.update(status="running")
    done: list[int] = []
    again = train(tmp_path, tiny_model, "run", chains(6), config, on_progress=lambda step, _all: done.append(step))
    assert done == [] and again.info.facts["steps"] == 3
    # How long a training took does not depend on when it was taken up again.
    assert again.info.facts["training_seconds"] == run.info.facts["training_seconds"] > 0
    assert same(whole, weights(again, 3), 0)


def test_a_kill_while_old_checkpoints_go_leaves_the_best_one_and_nothing_to_train(
    tiny_model: Path, tmp_path: Path
) -> None:
    config = settings(weighting="uniform", epochs=3, keep_checkpoints=9, batch_chains=3)
    run = train(tmp_path, tiny_model, "run", chains(3), config, held_out=chains(2))
    # As where the second step's was the best: the last one is gone, and the best has nothing to go on from.
    for step in (1, 3):
        shutil.rmtree(run.path / "checkpoints" / f"checkpoint-{step}")
    run.update(status="running", facts={"best_step": 2.0, "steps": 3.0})
    done: list[int] = []
    again = train(
        tmp_path,
        tiny_model,
        "run",
        chains(3),
        config,
        held_out=chains(2),
        on_progress=lambda step, _all: done.append(step),
    )
    assert done == [] and again.info.facts["best_step"] == 2 and again.info.facts["tokens_per_second"] > 0


def test_a_training_of_another_length_does_not_go_on_from_a_checkpoint(tiny_model: Path, tmp_path: Path) -> None:
    config = settings(epochs=2, batch_chains=2)
    with pytest.raises(KilledError):
        train(tmp_path, tiny_model, "run", chains(6), config, on_progress=killed_at(4))
    with pytest.raises(UserError, match=r"is of a training of 6 steps, and this one has 4"):
        train(tmp_path, tiny_model, "run", chains(4), config)


def test_what_a_stopped_attempt_logged_beyond_its_checkpoint_is_dropped(tiny_model: Path, tmp_path: Path) -> None:
    config = settings(epochs=1, batch_chains=2)
    with pytest.raises(KilledError):
        train(tmp_path, tiny_model, "run", chains(6), config, on_progress=killed_at(2))
    assert [point.step for point in RunDir(tmp_path / "run").train_points()] == [1, 2]
    seen: list[int] = []

    def look(_done: int, _all: int) -> None:
        seen.append(len(list(RunDir(tmp_path / "run").train_points())))

    train(tmp_path, tiny_model, "run", chains(6), config, on_progress=look)
    assert seen == [1, 2, 3]
