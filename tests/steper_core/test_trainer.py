"""Training: exact losses whatever the cut, checkpoints that plain transformers loads, and resuming after a kill."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainingArguments

from steper_core.checkpoints import load_causal_model, model_facts, require_checkpoint
from steper_core.config import TrainSection
from steper_core.errors import UserError
from steper_core.examples import ChainRows
from steper_core.losses import cross_entropy, target_logits, task_losses
from steper_core.objectives import CrossEntropy
from steper_core.packing import Row, TokenExample, collate, pack
from steper_core.path_attention import load_with_paths
from steper_core.records import ABILITIES
from steper_core.run_records import RunKind
from steper_core.rundir import RunDir, open_run
from steper_core.side_optimizer import SideOptimizer
from steper_core.trainer import StepTrainer
from steper_core.training import Models, train_student
from steper_core.weighting import FixedWeighting, LearnedWeighting

INIT, EXP, AGG = 0, 1, 2
LAST_SEEN = 1
"""Of six chains in batches of two, one of those that the third step of seed 3 sees."""


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


def gradients(
    tmp_path: Path, base: Path, parts: list[list[ChainRows]], weighting: FixedWeighting | LearnedWeighting, limit: int
) -> dict[str, torch.Tensor]:
    """Gradients of one global batch that comes in these parts, each in forwards of at most `limit` tokens."""
    model = load_with_paths(base)
    trainer = trainer_of(tmp_path, model, weighting, limit)
    batches, whole = trainer.get_batch_samples(iter([{"chains": part} for part in parts]), len(parts), "cpu")
    for batch in batches:
        trainer.training_step(model, batch, whole)
    found = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    return found | ({"s": weighting.s.grad} if isinstance(weighting, LearnedWeighting) else {})


def without_number(row: Row) -> Row:
    return dataclasses.replace(row, weights=np.full_like(row.weights, np.nan))


class KilledError(Exception):
    """What a kill is to the training: an end at once."""


def killed_at(step: int) -> Callable[[int, int], None]:
    def kill(done: int, _all: int) -> None:
        if done == step:
            raise KilledError

    return kill


@pytest.mark.parametrize(
    "weighting",
    [lambda: FixedWeighting((1, 1, 1)), lambda: FixedWeighting((1.5, 1.0, 0.5)), lambda: LearnedWeighting(ABILITIES)],
)
def test_gradients_are_the_same_in_one_batch_in_accumulation_and_in_split_forwards(
    tiny_model: Path, tmp_path: Path, weighting: Any
) -> None:
    data = chains(6)
    whole = gradients(tmp_path, tiny_model, [data], weighting(), limit=10**6)
    cuts = [
        ([data[:2], data[2:4], data[4:]], 10**6),
        ([[chain] for chain in data], 10**6),
        ([data[:5], data[5:]], 1),
    ]
    for parts, limit in cuts:
        cut = gradients(tmp_path, tiny_model, parts, weighting(), limit)
        assert set(cut) == set(whole)
        for name, gradient in whole.items():
            assert torch.allclose(cut[name], gradient, rtol=1e-4, atol=1e-6), name


def test_sigma_takes_each_batchs_gradient_once(tiny_model: Path, tmp_path: Path) -> None:
    # All raw losses are above 1 here, so each step's gradient of s is negative and Adam's first steps are lr each. A
    # gradient that piled up over steps would be as large at the second step as both, and Adam's step no longer lr.
    config = settings(weighting="learned", epochs=2, sigma_learning_rate=1e-3)
    run = train(tmp_path, tiny_model, "run", [chains(3)[2]], config)
    first, second = run.train_points()
    growth = [2 * math.log(point.sigmas["aggregation"]) for point in (first, second)]
    gradients = [
        0.5 - 0.5 * math.exp(-s) * point.losses["aggregation"]
        for s, point in zip((0, growth[0]), (first, second), strict=True)
    ]
    mean = (0.9 * 0.1 * gradients[0] + 0.1 * gradients[1]) / (1 - 0.9**2)
    square = (0.999 * 0.001 * gradients[0] ** 2 + 0.001 * gradients[1] ** 2) / (1 - 0.999**2)
    rate = second.learning_rate / first.learning_rate * 1e-3
    assert growth[1] - growth[0] == pytest.approx(-rate * mean / math.sqrt(square), rel=0.02)


def test_accumulating_logs_the_losses_of_the_whole_batch(tiny_model: Path, tmp_path: Path) -> None:
    data = chains(6)
    whole = train(tmp_path, tiny_model, "whole", data, settings(weighting="learned"))
    cut = train(tmp_path, tiny_model, "cut", data, settings(weighting="learned", batch_chains=2, accumulation_steps=3))
    expected, found = next(whole.train_points()), next(cut.train_points())
    assert found.losses == pytest.approx(expected.losses, rel=1e-4)
    assert found.sigmas == pytest.approx(expected.sigmas, rel=1e-4)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_logged_losses_are_those_of_equation_3(tiny_model: Path, tmp_path: Path, checkpointing: bool) -> None:
    data = chains(3)
    config = settings(weighting="uniform", gradient_checkpointing=checkpointing)
    run = train(tmp_path, tiny_model, "run", data, config)
    model = load_with_paths(tiny_model)
    with torch.no_grad():
        batch = collate([each for chain in data for each in chain.rows], torch.device("cpu"))
        expected = task_losses(cross_entropy(target_logits(model, batch), batch), batch, 3, 3).tolist()
    names = ["initialization", "expansion", "aggregation"]
    assert next(run.train_points()).losses == pytest.approx(dict(zip(names, expected, strict=True)), abs=1e-5)


def test_an_ability_that_does_not_occur_is_not_logged_and_its_sigma_rests(tiny_model: Path, tmp_path: Path) -> None:
    run = train(tmp_path, tiny_model, "run", chains(2), settings(weighting="learned", sigma_learning_rate=0.1))
    point = next(run.train_points())
    assert set(point.losses) == {"initialization", "aggregation"}
    assert point.sigmas["expansion"] == 1.0
    assert point.sigmas["aggregation"] != 1.0


def test_checkpoints_load_in_plain_transformers_and_sigma_lies_beside(tiny_model: Path, tmp_path: Path) -> None:
    run = train(tmp_path, tiny_model, "run", chains(6), settings(weighting="learned"), held_out=chains(3))
    folder = run.path / "checkpoints" / "checkpoint-1"
    model, loading = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    assert AutoTokenizer.from_pretrained(folder).eos_token_id == model.config.eos_token_id == 0
    assert set(json.loads((folder / "sigma.json").read_text())["log_sigma_squared"]) == {
        "initialization",
        "expansion",
        "aggregation",
    }
    assert not list(folder.glob("optimizer*"))
    assert run.info.facts["disk_bytes"] > folder.joinpath("model.safetensors").stat().st_size


def test_the_best_checkpoint_is_the_one_with_the_least_held_out_loss(tiny_model: Path, tmp_path: Path) -> None:
    # A learning rate this high makes things worse after a while; the best is then not the last.
    config = settings(weighting="uniform", epochs=6, learning_rate=0.3, keep_checkpoints=6, batch_chains=3)
    run = train(tmp_path, tiny_model, "run", chains(3), config, held_out=chains(2))
    measured = {point.step: sum(point.losses.values()) for point in run.train_points() if point.held_out}
    assert run.info.facts["best_step"] == min(measured, key=lambda step: measured[step])
    assert len(measured) == 6


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


def require_same_curve(run: RunDir, whole: RunDir) -> None:
    """Every point that was logged, in its order."""
    found, expected = list(run.train_points()), list(whole.train_points())
    assert [point.step for point in found] == [point.step for point in expected]
    for point, reference in zip(found, expected, strict=True):
        assert point.losses == pytest.approx(reference.losses, abs=1e-4)
        assert point.sigmas == pytest.approx(reference.sigmas, abs=1e-5)


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


def test_no_chain_is_an_error(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no chain to train on"):
        train(tmp_path, tiny_model, "run", [], settings())


def test_a_loss_that_is_no_number_names_its_question_and_leaves_a_checkpoint_to_go_on_from(
    tiny_model: Path, tmp_path: Path
) -> None:
    config = settings(epochs=1, batch_chains=2, forward_tokens=1, checkpoints_per_epoch=3, keep_checkpoints=9)
    whole = train(tmp_path, tiny_model, "whole", chains(6), config)
    torn = chains(6)
    torn[LAST_SEEN] = ChainRows(f"q{LAST_SEEN}", tuple(map(without_number, torn[LAST_SEEN].rows)))
    with pytest.raises(
        UserError, match=rf"no number at step 3, on question 'q{LAST_SEEN}'; checkpoints before it are whole"
    ):
        train(tmp_path, tiny_model, "run", torn, config)
    assert [path.name for path in sorted((tmp_path / "run/checkpoints").iterdir())] == ["checkpoint-1", "checkpoint-2"]
    require_same_curve(train(tmp_path, tiny_model, "run", chains(6), config), whole)


def test_weights_that_are_no_numbers_are_not_saved(tiny_model: Path, tmp_path: Path) -> None:
    model = load_with_paths(tiny_model)
    trainer = trainer_of(tmp_path, model, FixedWeighting([1.0] * 3))
    with torch.no_grad():
        model.model.norm.weight[0] = float("inf")
    with pytest.raises(UserError, match=r"no numbers after step 0, which is not saved; .* under another name"):
        trainer._save_checkpoint(model, None)
    assert not list(tmp_path.glob("checkpoint-*"))


def test_a_loss_that_follows_a_teacher_needs_one(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"set train\.teacher"):
        train(tmp_path, tiny_model, "run", chains(3), settings(method="logit-kd"))


def test_adapters_are_all_that_is_trained_and_saved_and_load_again(tiny_model: Path, tmp_path: Path) -> None:
    config = settings(lora_rank=4, learning_rate=1e-2, weighting="learned")
    run = train(tmp_path, tiny_model, "run", chains(6), config, held_out=chains(2))
    folder = run.path / "checkpoints" / "checkpoint-1"
    assert (folder / "adapter_model.safetensors").stat().st_size < (tiny_model / "model.safetensors").stat().st_size
    assert not (folder / "model.safetensors").exists()
    require_checkpoint(folder)
    merged = dict(load_causal_model(folder, torch.float32).state_dict())
    base = dict(AutoModelForCausalLM.from_pretrained(tiny_model).state_dict())
    moved = {name for name in base if not torch.allclose(base[name], merged[name], atol=1e-7)}
    assert moved and all("proj" in name for name in moved)
    assert model_facts(folder)["parameters_total"] == model_facts(tiny_model)["parameters_total"]


def test_a_tracker_that_is_not_installed_is_named(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="pip install wandb"):
        train(tmp_path, tiny_model, "run", chains(3), settings(trackers=["wandb"]))


FULL_DISK = """
import resource, signal, sys
from collections.abc import Callable
from pathlib import Path
from tests.steper_core.test_trainer import chains, settings, train
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
