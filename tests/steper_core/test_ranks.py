"""Two processes under `accelerate launch` train what one does, and agree on sigma."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from steper_core.config import TrainSection, load_recipe
from steper_core.errors import UserError
from steper_core.ranks import shared_run
from steper_core.run_records import RunKind
from steper_core.rundir import RunDir, open_run

from .tiny_training import chains, same, train, weights

ROOT = Path(__file__).parents[2]
EVERY_RANK = """
import json, sys
from pathlib import Path
from steper_core.config import TrainSection
from steper_core.ranks import leave, rank
from steper_core.rundir import RunDir
from steper_core.trainer import StepTrainer
from steper_core.training import Models, train_student
from tests.steper_core.tiny_training import chains

class Recorded(RunDir):
    def update(self, **changes):
        return self.info

    def append_train_point(self, point):
        with Path(sys.argv[1], f"rank-{rank()}.jsonl").open("a") as file:
            file.write(point.model_dump_json() + "\\n")

forwards = []

def counted(self, rows):
    forwards.append(len(parts := counted_parts(self, rows)))
    return parts

counted_parts, StepTrainer._parts = StepTrainer._parts, counted
base, folder = Path(sys.argv[2]), Path(sys.argv[1]) / "run"
settings = TrainSection.model_validate(json.loads(sys.argv[3]))
train_student(Models(base, str(base)), chains(5), chains(2), settings, seed=3, run=Recorded(folder), device="cpu")
Path(sys.argv[1], f"forwards-{rank()}.json").write_text(json.dumps(forwards))
leave()
"""

SHARDED = """
import os
import sys
from pathlib import Path
import torch
from torch import distributed
from torch.distributed.fsdp import fully_shard
from steper_core.losses import task_losses
from steper_core.objectives import CrossEntropy
from steper_core.packing import collate
from steper_core.path_attention import load_with_paths
from steper_core.trainer import rows_of
from tests.steper_core.tiny_training import chains

def gradients(model):
    forward = collate(rows_of(chains(4)), torch.device("cpu"))
    task_losses(CrossEntropy().losses(model, forward), forward, 3, 4).sum().backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}

distributed.init_process_group("gloo")
whole = gradients(load_with_paths(Path(sys.argv[1])))
model = load_with_paths(Path(sys.argv[1]))
mesh = distributed.init_device_mesh("cpu", (2,))
for part in (*model.model.layers, model):
    fully_shard(part, mesh=mesh)
found = {name: gradient.full_tensor() for name, gradient in gradients(model).items()}
assert all(torch.allclose(found[name], whole[name], atol=1e-6) for name in whole)
sys.stdout.write(f"{len(whole)} equal\\n")
distributed.barrier()
distributed.destroy_process_group()
sys.stdout.flush()
# Threads that torch has for sharding may abort a process that ends in the usual way.
os._exit(0)
"""


def launch(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--multi_gpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
    ]
    options = ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, *options, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("accumulation_steps", [1, 2])
def test_two_processes_train_what_one_does(tiny_model: Path, tmp_path: Path, accumulation_steps: int) -> None:
    """The fifth chain is alone in its step, beside chains that come again on either rank and count nothing."""
    shared: dict[str, Any] = {
        "weighting": "learned",
        "sigma_learning_rate": 0.1,
        "epochs": 2,
        "learning_rate": 1e-3,
        "dtype": "float32",
        "warmup_share": 0.0,
        "keep_checkpoints": 9,
    }
    script = tmp_path / "every_rank.py"
    script.write_text(EVERY_RANK)
    with open_run(tmp_path / "run", kind=RunKind.TRAIN, config={}, dataset="d", model="m"):
        pass
    parts = {"batch_chains": 2 // accumulation_steps, "accumulation_steps": accumulation_steps}
    settings = json.dumps({**shared, **parts, "forward_tokens": 60})
    done = launch(str(script), str(tmp_path), str(tiny_model), settings, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    alone = train(
        tmp_path,
        tiny_model,
        "alone",
        chains(5),
        TrainSection.model_validate({**shared, "batch_chains": 4}),
        held_out=chains(2),
    )
    own = [json.loads(line) for line in (tmp_path / "rank-0.jsonl").read_text().splitlines()]
    other = [json.loads(line) for line in (tmp_path / "rank-1.jsonl").read_text().splitlines()]
    assert [point["sigmas"] for point in own] == [point["sigmas"] for point in other]
    assert [point["losses"] for point in own] == [point["losses"] for point in other]
    expected = list(alone.train_points())
    assert len(own) == len(expected)
    for point, reference in zip(own, expected, strict=True):
        assert point["losses"] == pytest.approx(reference.losses, rel=1e-3)
        assert point["sigmas"] == pytest.approx(reference.sigmas, rel=1e-3)
    assert same(weights(alone, 4), weights(RunDir(tmp_path / "run"), 4), 1e-4)
    # What shards a model waits for all ranks at each forward.
    counts = [json.loads((tmp_path / f"forwards-{rank}.json").read_text()) for rank in (0, 1)]
    assert counts[0] == counts[1] and max(counts[0]) > 1


def test_a_model_sharded_by_fsdp2_has_the_same_gradients(tiny_model: Path, tmp_path: Path) -> None:
    script = tmp_path / "sharded.py"
    script.write_text(SHARDED)
    done = launch(str(script), str(tiny_model), cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("21 equal") == 2


@pytest.mark.parametrize("name", ["fsdp2", "deepspeed-zero3"])
def test_the_settings_for_clusters_are_those_that_accelerate_knows(name: str) -> None:
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import launch_command_parser

    config = load_config_from_file(str(ROOT / "docs" / "clusters" / f"{name}.yaml"))
    assert config.num_processes == 4 and config.mixed_precision == "bf16"
    known = {action.dest for action in launch_command_parser()._actions}
    sections = {**config.fsdp_config, **config.deepspeed_config}
    assert sections and not [key for key in sections if key not in known]
    if config.deepspeed_config:
        paper = load_recipe("paper").train
        stated = [config.deepspeed_config[key] for key in ("gradient_accumulation_steps", "gradient_clipping")]
        assert stated == [paper.accumulation_steps, paper.max_grad_norm]


def test_one_process_alone_shares_nothing(tmp_path: Path) -> None:
    left = []

    @contextmanager
    def opener() -> Any:
        yield RunDir(tmp_path)
        left.append(True)

    with shared_run(opener(), tmp_path, cpu=True) as run:
        assert type(run) is RunDir
    assert left == [True]


def test_a_run_that_cannot_be_opened_is_told_once(tmp_path: Path) -> None:
    script = "from steper_core.ranks import rank; print(rank())"
    assert subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={**os.environ, "RANK": "3"}
    ).stdout.split() == ["3"]
    with pytest.raises(UserError, match="held"), shared_run(_failing(), tmp_path, cpu=True):
        pass


@contextmanager
def _failing() -> Any:
    raise UserError("held by another")
    yield
