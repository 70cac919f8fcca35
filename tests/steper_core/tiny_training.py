"""Trainings of a tiny model on made-up chains: what the tests of training share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, TrainingArguments

from steper_core.config import TrainSection
from steper_core.examples import ChainRows
from steper_core.objectives import CrossEntropy
from steper_core.packing import Row, TokenExample, pack
from steper_core.records import ABILITIES
from steper_core.run_records import RunKind
from steper_core.rundir import RunDir, open_run
from steper_core.side_optimizer import SideOptimizer
from steper_core.trainer import StepTrainer
from steper_core.training import Models, train_student
from steper_core.weighting import FixedWeighting, LearnedWeighting

INIT, EXP, AGG = 0, 1, 2


def row(seed: int, prompt: int, target: int, ability: int) -> Row:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, 200, (prompt + target,), generator=generator).tolist()
    return pack([TokenExample(ids[:prompt], ids[prompt:], ability)])


def chains(count: int) -> list[ChainRows]:
    """Chains of one, two and four steps in turn."""
    made = []
    for number in range(count):
        plan = [[AGG], [INIT, AGG], [INIT, EXP, EXP, AGG]][number % 3]
        rows = [row(100 * number + place, 9 + 5 * place, 3 + place, ability) for place, ability in enumerate(plan)]
        made.append(ChainRows(f"q{number}", tuple(rows)))
    return made


def settings(**changes: Any) -> TrainSection:
    plain = {"epochs": 1, "learning_rate": 1e-3, "batch_chains": 6, "dtype": "float32", "warmup_share": 0.0}
    return TrainSection.model_validate({**plain, **changes})


def train(tmp_path: Path, base: Path, name: str, data: list[ChainRows], config: TrainSection, **more: Any) -> RunDir:
    held_out = more.pop("held_out", [])
    with open_run(tmp_path / name, kind=RunKind.TRAIN, config={}, dataset="d", model="m") as run:
        facts = train_student(
            Models(base, str(base), more.pop("teacher", None)),
            data,
            held_out,
            config,
            seed=more.pop("seed", 3),
            run=run,
            device="cpu",
            **more,
        )
        run.update(facts=facts)
    return run


def weights(run: RunDir, step: int) -> dict[str, torch.Tensor]:
    folder = run.path / "checkpoints" / f"checkpoint-{step}"
    return dict(AutoModelForCausalLM.from_pretrained(folder).state_dict())


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], tolerance: float) -> bool:
    return all(torch.allclose(a[name], b[name], atol=tolerance, rtol=0) for name in a)


def trainer_of(
    tmp_path: Path, model: Any, weighting: FixedWeighting | LearnedWeighting, limit: int = 4096, **options: Any
) -> StepTrainer:
    plain = {"args": TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to="none")}
    return StepTrainer(
        tasks=ABILITIES,
        objective=CrossEntropy(),
        weighting=weighting,
        side=SideOptimizer([]),
        forward_tokens=limit,
        run=RunDir(tmp_path),
        on_progress=lambda _done, _all: None,
        model=model,
        **{**plain, **options},
    )


class KilledError(Exception):
    """What a kill is to the training: an end at once."""


def killed_at(step: int) -> Callable[[int, int], None]:
    def kill(done: int, _all: int) -> None:
        if done == step:
            raise KilledError

    return kill


def require_same_curve(run: RunDir, whole: RunDir) -> None:
    """Every point that was logged, in its order."""
    found, expected = list(run.train_points()), list(whole.train_points())
    assert [point.step for point in found] == [point.step for point in expected]
    for point, reference in zip(found, expected, strict=True):
        assert point.losses == pytest.approx(reference.losses, abs=1e-4)
        assert point.sigmas == pytest.approx(reference.sigmas, abs=1e-5)
