"""Adam for what is learned beside the model: the sigmas of learned weighting, and projections of hidden states.

They are a handful of float32 numbers next to a model that may be sharded or cast; with an optimizer of their own they
stay whole, and equal on all ranks, whatever accelerate makes of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from steper_core.errors import UserError

SIDE_FILE = "side.pt"


class SideOptimizer:
    """Adam without weight decay over groups of (parameters, learning rate); rates follow the model's schedule."""

    def __init__(self, groups: Sequence[tuple[Sequence[nn.Parameter], float]]) -> None:
        self._groups = [(list(parameters), rate) for parameters, rate in groups if parameters]
        self._adam = (
            torch.optim.AdamW([{"params": own, "lr": rate} for own, rate in self._groups], weight_decay=0.0)
            if self._groups
            else None
        )

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All parameters, in order."""
        return [parameter for own, _ in self._groups for parameter in own]

    def step(self, schedule: float, mean_over_ranks: Callable[[Tensor], Tensor]) -> None:
        """One step at `schedule` times the learning rates, from gradients that are averaged first; they end empty."""
        if self._adam is None:
            return
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.grad = mean_over_ranks(parameter.grad)
        for group, (_, rate) in zip(self._adam.param_groups, self._groups, strict=True):
            group["lr"] = rate * schedule
        self._adam.step()
        self._adam.zero_grad()

    def save(self, folder: Path) -> None:
        """Write parameters and Adam's state, for a run to be resumed exactly."""
        if self._adam is not None:
            values = [parameter.detach().cpu() for parameter in self.parameters]
            torch.save({"parameters": values, "adam": self._adam.state_dict()}, folder / SIDE_FILE)

    @torch.no_grad()
    def load(self, folder: Path) -> None:
        """Take up what `save` wrote.

        Raises:
            UserError: the checkpoint has no such file, or a damaged one.
        """
        if self._adam is None:
            return
        file = folder / SIDE_FILE
        try:
            stored = torch.load(file, map_location="cpu", weights_only=True)
            for parameter, value in zip(self.parameters, stored["parameters"], strict=True):
                parameter.copy_(value)
            self._adam.load_state_dict(stored["adam"])
        except Exception as error:  # torch.load fails in many ways on a damaged file
            raise UserError(f"{file} is missing or damaged: it cannot be resumed from; delete {folder}") from error
