"""How the losses of the tasks (for StepER the three abilities) become one: by fixed weights or by learned ones."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

SIGMA_FILE = "sigma.json"
_CLAMP = 6.0
"""Bound of |log sigma^2|: sigma between 0.05 and 20."""


class Weighting(Protocol):
    """Combines losses by task into the loss that is minimised."""

    def combine(self, losses: Tensor, present: Sequence[bool], constant_share: float) -> Tensor:
        """The loss of a part of a global batch.

        Args:
            losses: (tasks,) this part's share of the raw losses.
            present: for each task whether it occurs anywhere in the global batch.
            constant_share: this part's share of terms that do not depend on the losses; the shares sum to 1.
        """
        ...

    def sigmas(self) -> dict[str, float]:
        """sigma by task; empty where none is learned."""
        ...


class FixedWeighting:
    """StepER's eq. 3 with weights lambda, for T tasks: (1/T) * sum_j lambda_j * L_j. Uniform is lambda = 1."""

    def __init__(self, weights: Sequence[float]) -> None:
        self._weights = torch.tensor(weights, dtype=torch.float32)

    def combine(self, losses: Tensor, present: Sequence[bool], constant_share: float) -> Tensor:
        """See `Weighting.combine`."""
        return (self._weights.to(losses.device) * losses).mean()

    def sigmas(self) -> dict[str, float]:
        """None is learned."""
        return {}


class LearnedWeighting(nn.Module):
    """Eq. 4 (Kendall et al. 2018): sum_j L_j / (2 sigma_j^2) + log sigma_j, with s_j = log sigma_j^2 learned.

    s is float32 and starts at 0. A task absent from the whole global batch is left out with both of its terms, and each
    task has a parameter of its own, so that an optimizer leaves it alone then. At the optimum sigma_j^2 = L_j, so a
    term is negative once L_j < 1/e: that is normal, watch the raw losses.
    """

    def __init__(self, tasks: Sequence[str]) -> None:
        super().__init__()
        self._tasks = tuple(tasks)
        self.s = nn.ParameterList(torch.zeros((), dtype=torch.float32) for _ in tasks)

    def combine(self, losses: Tensor, present: Sequence[bool], constant_share: float) -> Tensor:
        """See `Weighting.combine`."""
        terms = [
            0.5 * torch.exp(-s) * loss + 0.5 * s * constant_share
            for s, loss, there in zip(self.s, losses, present, strict=True)
            if there
        ]
        return torch.stack(terms).sum()

    @torch.no_grad()
    def clamp(self) -> None:
        """Keep sigma within its bounds; called after each optimizer step."""
        for s in self.s:
            s.clamp_(-_CLAMP, _CLAMP)

    def sigmas(self) -> dict[str, float]:
        """sigma_j = exp(s_j / 2) by task."""
        return {task: round(math.exp(s / 2), 6) for task, s in self._values().items()}

    def save(self, folder: Path) -> None:
        """Write sigma.json beside a model's weights, for people and other tools."""
        (folder / SIGMA_FILE).write_text(json.dumps({"log_sigma_squared": self._values()}), "utf-8")

    def _values(self) -> dict[str, float]:
        return {task: s.item() for task, s in zip(self._tasks, self.s, strict=True)}
