"""How the losses of the three abilities become one: fixed weights (eq. 3) or learned ones (eq. 4)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from steper_core.errors import UserError
from steper_core.records import ABILITIES

SIGMA_FILE = "sigma.json"
_CLAMP = 6.0
"""Bound of |log sigma^2|: sigma between 0.05 and 20."""


class Weighting(Protocol):
    """Combines losses by ability into the loss that is minimised."""

    def combine(self, losses: Tensor, present: Tensor, constant_share: float) -> Tensor:
        """The loss of a part of a global batch.

        Args:
            losses: (3,) this part's share of the raw losses, in the order of ABILITIES.
            present: (3,) bool: which abilities occur anywhere in the global batch.
            constant_share: this part's share of terms that do not depend on the losses; the shares sum to 1.
        """
        ...

    def sigmas(self) -> dict[str, float]:
        """sigma by ability; empty where none is learned."""
        ...


class FixedWeighting:
    """Eq. 3 with weights lambda: (1/3) * sum_j lambda_j * L_j. Uniform is lambda = (1, 1, 1)."""

    def __init__(self, weights: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> None:
        self._weights = torch.tensor(weights)

    def combine(self, losses: Tensor, present: Tensor, constant_share: float) -> Tensor:
        """See `Weighting.combine`."""
        return (self._weights.to(losses.device) * losses).sum() / len(ABILITIES)

    def sigmas(self) -> dict[str, float]:
        """None is learned."""
        return {}


class LearnedWeighting(nn.Module):
    """Eq. 4 (Kendall et al. 2018): sum_j L_j / (2 sigma_j^2) + log sigma_j, with s_j = log sigma_j^2 learned.

    s is float32 and starts at 0. An ability absent from the whole global batch is left out with both of its terms. At
    the optimum sigma_j^2 = L_j, so a term is negative once L_j < 1/e: that is normal, watch the raw losses.
    """

    def __init__(self) -> None:
        super().__init__()
        self.s = nn.Parameter(torch.zeros(len(ABILITIES), dtype=torch.float32))

    def combine(self, losses: Tensor, present: Tensor, constant_share: float) -> Tensor:
        """See `Weighting.combine`."""
        terms = 0.5 * torch.exp(-self.s) * losses + 0.5 * self.s * constant_share
        return torch.where(present, terms, torch.zeros_like(terms)).sum()

    @torch.no_grad()
    def clamp(self) -> None:
        """Keep sigma within its bounds; called after each optimizer step."""
        self.s.clamp_(-_CLAMP, _CLAMP)

    def sigmas(self) -> dict[str, float]:
        """sigma_j = exp(s_j / 2) by ability."""
        values = torch.exp(self.s.detach() / 2).tolist()
        return {ability.value: round(value, 6) for ability, value in zip(ABILITIES, values, strict=True)}

    def save(self, folder: Path) -> None:
        """Write sigma.json beside a model's weights: s as it is, so that a resumed run continues exactly."""
        stored = {ability.value: value for ability, value in zip(ABILITIES, self.s.tolist(), strict=True)}
        (folder / SIGMA_FILE).write_text(json.dumps({"log_sigma_squared": stored}), "utf-8")

    @torch.no_grad()
    def load(self, folder: Path) -> None:
        """Read sigma.json of a checkpoint.

        Raises:
            UserError: the checkpoint has none, or a damaged one.
        """
        file = folder / SIGMA_FILE
        try:
            stored = json.loads(file.read_text("utf-8"))["log_sigma_squared"]
            self.s.copy_(torch.tensor([stored[ability.value] for ability in ABILITIES]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{file} is missing or damaged: the checkpoint cannot be resumed; delete {folder}"
            ) from error
