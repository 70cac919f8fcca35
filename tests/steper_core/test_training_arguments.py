"""What Trainer is told, and what a launcher may not decide instead."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.distributed.fsdp import StateDictType
from transformers import TrainerCallback

from steper_core.errors import UserError
from steper_core.path_attention import load_with_paths
from steper_core.records import ABILITIES
from steper_core.rundir import RunDir
from steper_core.training_arguments import end_trackers, require_whole_weights, training_arguments
from steper_core.weighting import LearnedWeighting
from tests.steper_core.tiny_training import chains, settings, train, trainer_of, weights

CPU = torch.device("cpu")


@pytest.mark.parametrize(("dtype", "used"), [("float32", "no"), ("bfloat16", "bf16")])
def test_a_launcher_does_not_decide_the_number_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, used: str
) -> None:
    for launched in ("no", "bf16", "fp16"):
        monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", launched)
        config = settings(dtype=dtype)
        assert training_arguments(RunDir(tmp_path), config, 0, CPU, 4, measure=False).mixed_precision == used


def test_no_epoch_of_a_seed_has_the_order_of_one_of_another_seed(tiny_model: Path, tmp_path: Path) -> None:
    # At this rate no weight moves: the loss of a step tells which chain it was of.
    still = settings(epochs=2, batch_chains=1, learning_rate=1e-12, weight_decay=0.0)
    orders = []
    for seed in (0, 1):
        run = train(tmp_path, tiny_model, f"s{seed}", chains(6), still, seed=seed)
        losses = [tuple(point.losses.items()) for point in run.train_points()]
        orders += [losses[:6], losses[6:]]
    assert all(sorted(order) == sorted(orders[0]) for order in orders)
    assert all(a != b for place, a in enumerate(orders) for b in orders[:place])


def test_a_training_of_one_step_learns(tiny_model: Path, tmp_path: Path) -> None:
    run = train(tmp_path, tiny_model, "one", chains(3), settings(warmup_share=0.1))
    (point,) = run.train_points()
    assert point.learning_rate == 1e-3
    assert not torch.equal(
        weights(run, 1)["model.norm.weight"],
        weights(train(tmp_path, tiny_model, "still", chains(3), settings(learning_rate=1e-12)), 1)["model.norm.weight"],
    )


def test_shards_of_weights_are_no_checkpoint() -> None:
    def launched(kind: StateDictType) -> SimpleNamespace:
        return SimpleNamespace(state=SimpleNamespace(fsdp_plugin=SimpleNamespace(state_dict_type=kind)))

    with pytest.raises(UserError, match="fsdp_state_dict_type: FULL_STATE_DICT"):
        require_whole_weights(launched(StateDictType.SHARDED_STATE_DICT))
    require_whole_weights(launched(StateDictType.FULL_STATE_DICT))
    require_whole_weights(SimpleNamespace(state=SimpleNamespace()))


def test_each_training_ends_its_own_run_at_a_tracker(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(finish=lambda exit_code: ended.append(exit_code)))
    end_trackers(["tensorboard"], failed=False)
    assert ended == []
    end_trackers(["tensorboard", "wandb"], failed=False)
    end_trackers(["wandb"], failed=True)
    assert ended == [0, 1]


def test_trackers_are_told_what_the_run_logs(tiny_model: Path, tmp_path: Path) -> None:
    told: list[dict[str, float]] = []

    class Tracker(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **more: Any) -> None:
            told.append({"step": state.global_step, **logs})

    config = settings(weighting="learned", batch_chains=3)
    trainer = trainer_of(
        tmp_path,
        load_with_paths(tiny_model),
        LearnedWeighting(ABILITIES),
        args=training_arguments(RunDir(tmp_path), config, 0, CPU, 6, measure=False),
        train_dataset=chains(6),
        data_collator=lambda rows: {"chains": rows},
        callbacks=[Tracker()],
    )
    trainer.args.report_to = ["mine"]
    trainer.train()
    points = list(RunDir(tmp_path).train_points())
    assert len(points) == 2 and [said["step"] for said in told if "learning_rate" in said] == [1, 2]
    for point, said in zip(points, told, strict=False):
        assert (said["step"], said["learning_rate"]) == (point.step, point.learning_rate)
        assert {name.removeprefix("loss/"): value for name, value in said.items() if "loss/" in name} == point.losses
        assert said["sigma/expansion"] == point.sigmas["expansion"]
