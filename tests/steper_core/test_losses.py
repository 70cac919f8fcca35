"""Eq. 3 and eq. 4 against hand-worked numbers, and the same figures however the batch is cut."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from steper_core.losses import task_losses
from steper_core.packing import Forward
from steper_core.records import ABILITIES
from steper_core.weighting import FixedWeighting, LearnedWeighting

INIT, EXP, AGG = 0, 1, 2
ALL_PRESENT = (True, True, True)


@torch.no_grad()
def set_s(weighting: LearnedWeighting, *values: float) -> None:
    for s, value in zip(weighting.s, values, strict=True):
        s.fill_(value)


def ability_losses(*examples: tuple[int, list[float]], chains: int) -> torch.Tensor:
    """Losses by ability of examples given as (ability, losses of its target tokens)."""
    losses = torch.tensor([loss for _, own in examples for loss in own])
    nothing = torch.zeros(0)
    batch = Forward(
        ids=nothing,
        positions=nothing,
        paths=(),
        sources=nothing,
        targets=nothing,
        tasks=torch.tensor([ability for ability, own in examples for _ in own]),
        weights=torch.tensor([1 / len(own) for _, own in examples for _ in own]),
    )
    return task_losses(losses, batch, 3, chains)


# S = 1: aggregation alone, mean 2. S = 2: initialization 1, aggregation 3. S = 4: initialization (1 + 3) / 2 = 2,
# two expansion steps 4 and (2 + 4) / 2 = 3, aggregation 1.
S1 = [(AGG, [1.0, 3.0])]
S2 = [(INIT, [1.0]), (AGG, [3.0])]
S4 = [(INIT, [1.0, 3.0]), (EXP, [4.0]), (EXP, [2.0, 4.0]), (AGG, [1.0])]


@pytest.mark.parametrize(
    ("chains", "expected"),
    [
        ([S1], [0.0, 0.0, 2.0]),
        ([S2], [1.0, 0.0, 3.0]),
        ([S4], [2.0, 7.0, 1.0]),
        # Over three chains: (0 + 1 + 2) / 3, (0 + 0 + 7) / 3, (2 + 3 + 1) / 3.
        ([S1, S2, S4], [1.0, 7 / 3, 2.0]),
    ],
)
def test_raw_losses_are_means_over_chains_with_expansion_steps_summed(
    chains: list[list[tuple[int, list[float]]]], expected: list[float]
) -> None:
    found = ability_losses(*(example for chain in chains for example in chain), chains=len(chains))
    assert found.tolist() == pytest.approx(expected)


def test_shares_of_a_batch_add_up_to_the_batch() -> None:
    whole = ability_losses(*S1, *S2, *S4, chains=3)
    # Cut in the middle of a chain: the parts know only the number of chains of the whole.
    parts = ability_losses(*S1, *S2, *S4[:2], chains=3) + ability_losses(*S4[2:], chains=3)
    assert torch.allclose(whole, parts)


def test_uniform_weighting_is_a_third_of_the_sum() -> None:
    losses = torch.tensor([1.0, 7 / 3, 2.0])
    found = FixedWeighting((1, 1, 1)).combine(losses, ALL_PRESENT, 1.0)
    assert found.item() == pytest.approx((1 + 7 / 3 + 2) / 3)


def test_fixed_weighting_multiplies_each_ability() -> None:
    found = FixedWeighting((1.5, 1.0, 0.5)).combine(torch.tensor([2.0, 4.0, 6.0]), ALL_PRESENT, 1.0)
    assert found.item() == pytest.approx((3 + 4 + 3) / 3)


def test_learned_weighting_is_equation_4() -> None:
    weighting = LearnedWeighting(ABILITIES)
    sigma = [0.5, 1.0, 2.0]
    set_s(weighting, *(2 * math.log(value) for value in sigma))
    losses = [1.0, 2.0, 3.0]
    expected = sum(loss / (2 * value**2) + math.log(value) for loss, value in zip(losses, sigma, strict=True))
    found = weighting.combine(torch.tensor(losses), ALL_PRESENT, 1.0)
    assert found.item() == pytest.approx(expected, rel=1e-6)
    assert weighting.sigmas() == pytest.approx({"initialization": 0.5, "expansion": 1.0, "aggregation": 2.0})


def test_learned_weighting_gradients_by_hand() -> None:
    weighting = LearnedWeighting(ABILITIES)
    losses = torch.tensor([0.5, 2.0, 1.0], requires_grad=True)
    weighting.combine(losses, ALL_PRESENT, 1.0).backward()
    # At s = 0: d/dL = 1/2 and d/ds = -L/2 + 1/2, so sigma grows where L > 1 and rests where L = sigma^2.
    assert losses.grad is not None and losses.grad.tolist() == pytest.approx([0.5, 0.5, 0.5])
    gradients = [s.grad.item() for s in weighting.s if s.grad is not None]
    assert gradients == pytest.approx([0.25, -0.5, 0.0])


def test_an_absent_ability_leaves_out_both_of_its_terms() -> None:
    weighting = LearnedWeighting(ABILITIES)
    set_s(weighting, 1.0, 1.0, 1.0)
    losses = torch.tensor([1.0, 0.0, 1.0])
    loss = weighting.combine(losses, (True, False, True), 1.0)
    loss.backward()
    assert loss.item() == pytest.approx(2 * (0.5 * math.exp(-1) + 0.5))
    # No gradient, and not one of 0: with that Adam's momentum would move sigma all the same.
    assert [s.grad is None for s in weighting.s] == [False, True, False]


def test_constant_terms_of_the_parts_add_up_once() -> None:
    weighting = LearnedWeighting(ABILITIES)
    set_s(weighting, 0.3, -0.2, 0.7)
    parts = [torch.tensor([0.5, 1.0, 0.0]), torch.tensor([0.5, 0.0, 2.0])]
    whole = weighting.combine(parts[0] + parts[1], ALL_PRESENT, 1.0)
    cut = weighting.combine(parts[0], ALL_PRESENT, 0.25) + weighting.combine(parts[1], ALL_PRESENT, 0.75)
    assert whole.item() == pytest.approx(cut.item())


def test_sigma_is_clamped_and_written_by_task(tmp_path: Path) -> None:
    weighting = LearnedWeighting(ABILITIES)
    set_s(weighting, 100.0, -100.0, 0.123456789)
    weighting.clamp()
    assert [s.item() for s in weighting.s][:2] == [6.0, -6.0]
    weighting.save(tmp_path)
    stored = json.loads((tmp_path / "sigma.json").read_text())["log_sigma_squared"]
    assert stored == pytest.approx({"initialization": 6.0, "expansion": -6.0, "aggregation": 0.123456789})
