"""Training: exact losses whatever the cut, checkpoints that plain transformers loads, and what stops it."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from steper_core.checkpoints import load_causal_model, model_facts, require_checkpoint
from steper_core.errors import UserError
from steper_core.examples import ChainRows
from steper_core.losses import cross_entropy, target_logits, task_losses
from steper_core.packing import Row, collate
from steper_core.path_attention import load_with_paths
from steper_core.records import ABILITIES
from steper_core.weighting import FixedWeighting, LearnedWeighting

from .tiny_training import chains, require_same_curve, settings, train, trainer_of

LAST_SEEN = 1
"""Of six chains in batches of two, one of those that the third step of seed 3 sees."""


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
    sigmas = dict(weighting.s.named_parameters()) if isinstance(weighting, LearnedWeighting) else {}
    return found | {f"s.{name}": s.grad for name, s in sigmas.items() if s.grad is not None}


def without_number(row: Row) -> Row:
    return dataclasses.replace(row, weights=np.full_like(row.weights, np.nan))


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
    run = train(tmp_path, tiny_model, "never", chains(2), settings(weighting="learned", sigma_learning_rate=0.1))
    point = next(run.train_points())
    assert set(point.losses) == {"initialization", "aggregation"}
    assert point.sigmas["expansion"] == 1.0
    assert point.sigmas["aggregation"] != 1.0
    # A chain of four steps and one of one, in an order of chance: a learned sigma keeps where its ability is not.
    config = settings(weighting="learned", sigma_learning_rate=0.1, batch_chains=1, epochs=3)
    points = list(train(tmp_path, tiny_model, "run", [chains(3)[2], chains(1)[0]], config).train_points())
    rested = 0
    for before, point in itertools.pairwise(points):
        if "expansion" not in point.losses:
            assert set(point.losses) == {"aggregation"}
            assert point.sigmas["expansion"] == before.sigmas["expansion"]
            assert point.sigmas["aggregation"] != before.sigmas["aggregation"]
            rested += before.sigmas["expansion"] != 1.0
    assert rested


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
