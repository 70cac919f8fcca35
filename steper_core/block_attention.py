"""Causal attention in bfloat16 on a CPU: products over blocks of queries, weights computed anew for the gradients.

torch's own attention on a CPU takes one head at a time, in tiles too small for the CPU's matrix units. Here all heads
that share keys go through one product, and a block sees no keys beyond its own last one. Only one block's weights are
in memory at a time (FlashAttention, Dao et al. 2022). In float32 torch's own is faster.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_BLOCK = 128
"""Queries of a block: with more, more is computed of what is hidden; with fewer, the products are too small."""


def attend_in_blocks(query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
    """Attention of (1, heads, n, size) queries, of which the last sees all keys and each one before it one less.

    Args:
        key, value: (1, groups, n or more, size): each group serves heads / groups of the query's heads.

    Returns:
        (1, n, heads, size).
    """
    _, heads, n, size = query.shape
    groups = key.shape[1]
    scaled = (query * scaling).view(groups, heads // groups, n, size)
    mixed: Tensor = _Blocks.apply(scaled, key[0], value[0])  # type: ignore[no-untyped-call]
    return mixed.view(1, n, heads, size)


class _Blocks(torch.autograd.Function):
    """From (groups, heads of a group, n, size) scaled queries and (groups, keys, size): (n, groups, heads, size)."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        ctx.save_for_backward(query, key, value)
        groups, heads, n, size = query.shape
        mixed = query.new_empty(n, groups, heads, size)
        for start, stop, seen in _blocks(n, key.shape[1]):
            weights = _scores(query[:, :, start:stop], key[:, :seen]).softmax(-1)
            block = torch.bmm(weights, value[:, :seen]).view(groups, heads, -1, size)
            mixed[start:stop] = block.permute(2, 0, 1, 3)
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_mixed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = ctx.saved_tensors
        groups, _, n, size = query.shape
        of_query = torch.empty_like(query)
        of_key, of_value = (
            torch.zeros_like(each, dtype=torch.promote_types(each.dtype, torch.float32)) for each in (key, value)
        )
        for start, stop, seen in _blocks(n, key.shape[1]):
            own, keys, values = query[:, :, start:stop], key[:, :seen], value[:, :seen]
            of_block = of_mixed[start:stop].permute(1, 2, 0, 3).reshape(groups, -1, size)
            scores = _scores(own, keys).requires_grad_()
            with torch.enable_grad():
                weights = scores.softmax(-1)
            (of_scores,) = torch.autograd.grad(weights, scores, torch.bmm(of_block, values.mT))
            of_query[:, :, start:stop] = torch.bmm(of_scores, keys).view_as(own)
            of_key[:, :seen] += torch.bmm(of_scores.mT, own.reshape(groups, -1, size))
            of_value[:, :seen] += torch.bmm(weights.detach().mT, of_block)
        return of_query, of_key.to(key.dtype), of_value.to(value.dtype)


def _blocks(queries: int, keys: int) -> Iterator[tuple[int, int, int]]:
    """Start and stop of each block of queries, and how many keys its last one sees."""
    for start in range(0, queries, _BLOCK):
        stop = min(start + _BLOCK, queries)
        yield start, stop, keys - queries + stop


def _scores(query: Tensor, key: Tensor) -> Tensor:
    """(groups, heads of a group x n, keys): minus infinity for keys that a query does not see."""
    groups, heads, n, size = query.shape
    scores = torch.bmm(query.reshape(groups, heads * n, size), key.mT)
    hidden = torch.ones(n, n, dtype=torch.bool, device=query.device).triu(1)
    scores.view(groups, heads, n, -1)[..., -n:].masked_fill_(hidden, float("-inf"))
    return scores
