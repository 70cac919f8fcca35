"""What is learned beside the model: its own rates, means over ranks, and an exact way back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from steper_core.errors import UserError
from steper_core.side_optimizer import SideOptimizer


def parameter(*values: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values))


def stepped(side: SideOptimizer, schedule: float = 1.0) -> None:
    for place, each in enumerate(side.parameters, start=1):
        each.grad = torch.full_like(each, float(place))
    side.step(schedule, lambda gradient: gradient)


def test_adams_first_step_is_each_groups_own_rate_times_the_schedule() -> None:
    first, second = parameter(1.0), parameter(2.0, 3.0)
    side = SideOptimizer([([first], 0.1), ([second], 0.01), ([], 1.0)])
    stepped(side, schedule=0.5)
    assert first.tolist() == pytest.approx([0.95], abs=1e-5)
    assert second.tolist() == pytest.approx([1.995, 2.995], abs=1e-5)
    assert first.grad is None


def test_gradients_are_averaged_over_ranks_first() -> None:
    one = parameter(1.0)
    one.grad = torch.tensor([5.0])
    # The mean with a rank of gradient -5 is 0: nothing moves.
    SideOptimizer([([one], 0.1)]).step(1.0, lambda gradient: (gradient - 5.0) / 2)
    assert one.item() == 1.0


def test_it_goes_on_exactly_where_it_was_saved(tmp_path: Path) -> None:
    whole = SideOptimizer([([parameter(1.0)], 0.1)])
    stepped(whole)
    stepped(whole, 0.5)
    whole.save(tmp_path)
    again = SideOptimizer([([parameter(9.0)], 0.1)])
    again.load(tmp_path)
    for side in (whole, again):
        stepped(side, 0.25)
    assert whole.parameters[0].item() == again.parameters[0].item()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    side = SideOptimizer([([parameter(1.0)], 0.1)])
    with pytest.raises(UserError, match=r"side\.pt is missing or damaged"):
        side.load(tmp_path)
    (tmp_path / "side.pt").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(UserError, match="damaged"):
        side.load(tmp_path)


def test_nothing_beside_the_model_needs_no_file(tmp_path: Path) -> None:
    side = SideOptimizer([])
    side.step(1.0, lambda gradient: gradient)
    side.save(tmp_path)
    side.load(tmp_path)
    assert not list(tmp_path.iterdir())
