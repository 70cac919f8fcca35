"""Losses by ability (StepER, eq. 3), from the ability and weight of each target token.

Nothing here knows how examples are laid out in rows: a row an example, or all steps of a chain in one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from steper_core.examples import Row
from steper_core.records import ABILITIES


def ability_losses(token_losses: Tensor, abilities: Tensor, weights: Tensor, chain_count: int) -> Tensor:
    """Raw loss of each ability over a global batch of `chain_count` chains, or this part's share of it.

    `token_losses` (M,) are nats, `weights` (M,) one over the target length of each token's example, so their product
    sums to the mean cross-entropy of the example. L_init and L_agg are means over chains; L_exp is the sum over a
    chain's expansion steps, then the mean over the same chains. Shares of one batch add up to its losses.

    Returns:
        A float32 tensor (3,) in the order of ABILITIES.
    """
    sums = torch.zeros(len(ABILITIES), dtype=torch.float32, device=token_losses.device)
    return sums.index_add(0, abilities, token_losses.float() * weights) / chain_count


def token_losses(model: Any, rows: Sequence[Row], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Cross-entropy of each target token of these rows: (losses, abilities, weights), each (M,).

    Rows are padded on the left, so that targets stand together at the right and only those columns are projected to the
    vocabulary.
    """
    width = max(len(row.ids) for row in rows)
    reach = max(len(row.ids) - row.positions[0] for row in rows)
    pads = [width - len(row.ids) for row in rows]
    ids = torch.tensor([[0] * pad + row.ids for pad, row in zip(pads, rows, strict=True)], device=device)
    mask = torch.tensor([[0] * pad + [1] * len(row.ids) for pad, row in zip(pads, rows, strict=True)], device=device)
    logits = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0),
        logits_to_keep=reach + 1,
        use_cache=False,
    ).logits
    # Column c of the kept logits stands at c + width - reach - 1 and predicts the token after it.
    lines = [line for line, row in enumerate(rows) for _ in row.positions]
    places = [pad + place for pad, row in zip(pads, rows, strict=True) for place in row.positions]
    line_index = torch.tensor(lines, device=device)
    place_index = torch.tensor(places, device=device)
    predicted = logits[line_index, place_index - (width - reach)]
    losses = functional.cross_entropy(predicted.float(), ids[line_index, place_index], reduction="none")
    abilities = torch.tensor([ability for row in rows for ability in row.abilities], device=device)
    weights = torch.tensor([weight for row in rows for weight in row.weights], device=device)
    return losses, abilities, weights
