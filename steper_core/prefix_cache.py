"""Keys and values of prompts already computed, so that each step computes only what it adds to the last.

A batch is laid out in three parts, each padded on its left where rows are shorter:

    [ shared: the same tokens in every row ][ kept: computed at the last step ][ new: still to compute ]

Positions are counted by the attention mask, so padding between the parts changes no result.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

Layers = list[tuple[Tensor, Tensor]]
"""Keys and values of each layer: (heads, tokens, width)."""


@dataclass(frozen=True)
class KeptPrompt:
    """A prompt's token ids, and the keys and values of those beyond the shared prefix."""

    ids: tuple[int, ...]
    layers: Layers


@dataclass(frozen=True)
class Batch:
    """Padded ids and mask (rows, tokens), and a cache that holds all but the new part."""

    ids: list[list[int]]
    mask: list[list[int]]
    cache: Any


class PromptStore:
    """The prompts of one step of a window of chains, found again by the longest prefix in common."""

    def __init__(self) -> None:
        self._prompts: dict[tuple[int, ...], KeptPrompt] = {}
        self._order: list[tuple[int, ...]] = []

    def clear(self) -> None:
        """Forget all prompts."""
        self._prompts.clear()
        self._order.clear()

    def add(self, prompt: KeptPrompt) -> None:
        """Keep a prompt."""
        if prompt.ids not in self._prompts:
            insort(self._order, prompt.ids)
        self._prompts[prompt.ids] = prompt

    def longest(self, ids: Sequence[int], shared: int) -> tuple[Layers, int]:
        """What can be reused for a prompt beyond its `shared` first tokens: layers, and for how many tokens."""
        key = tuple(ids)
        place = bisect_left(self._order, key)
        # In lexical order the prompt with the longest common prefix stands next to it.
        near = self._order[max(0, place - 1) : place + 1]
        best = max(near, key=lambda other: common_length(other, key), default=())
        # The last token is computed always: its logits are what the step needs.
        reused = min(common_length(best, key), len(key) - 1) - shared
        return (self._prompts[best].layers, reused) if reused > 0 else ([], 0)


def common_length(a: Sequence[int], b: Sequence[int]) -> int:
    """Length of the longest common prefix."""
    return next((place for place, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def lay_out(rows: Sequence[Sequence[int]], shared: Layers, found: Sequence[tuple[Layers, int]], pad: int) -> Batch:
    """Lay a batch out: `shared` are the layers of the prefix in all rows, `found` what each row can reuse beyond it."""
    start = shared[0][0].shape[1] if shared else 0
    kept_width = max(length for _, length in found)
    new_width = max(len(row) - start - length for row, (_, length) in zip(rows, found, strict=True))
    ids, mask = [], []
    for row, (_, length) in zip(rows, found, strict=True):
        gap, lead = kept_width - length, new_width - (len(row) - start - length)
        split = start + length
        ids.append([*row[:start], *[pad] * gap, *row[start:split], *[pad] * lead, *row[split:]])
        mask.append([1] * start + [0] * gap + [1] * length + [0] * lead + [1] * (len(row) - split))
    cache = DynamicCache()
    if start + kept_width:
        for layer, parts in enumerate(_layers(shared, found, kept_width)):
            cache.update(*parts, layer)
    return Batch(ids, mask, cache)


def take_out(cache: Any, mask: Sequence[Sequence[int]], rows: Sequence[Sequence[int]], shared: int) -> list[KeptPrompt]:
    """The prompts of a batch that was computed: `mask` as it was laid out; tokens generated since are left behind."""
    kept = []
    for line, (row, marks) in enumerate(zip(rows, mask, strict=True)):
        places = [place for place, mark in enumerate(marks) if mark][shared:]
        index = torch.tensor(places, device=cache.layers[0].keys.device)
        layers = [(layer.keys[line][:, index], layer.values[line][:, index]) for layer in cache.layers]
        kept.append(KeptPrompt(tuple(row), layers))
    return kept


def _layers(shared: Layers, found: Sequence[tuple[Layers, int]], width: int) -> Layers:
    count = len(shared) or max(len(layers) for layers, _ in found)
    return [(_stack(0, shared, found, width, layer), _stack(1, shared, found, width, layer)) for layer in range(count)]


def _stack(side: int, shared: Layers, found: Sequence[tuple[Layers, int]], width: int, layer: int) -> Tensor:
    """Keys (side 0) or values (side 1) of one layer: (rows, heads, shared + kept tokens, width)."""
    model = shared[layer][side] if shared else next(layers for layers, _ in found if layers)[layer][side]
    heads, _, size = model.shape
    start = shared[layer][side].shape[1] if shared else 0
    stacked = model.new_zeros(len(found), heads, start + width, size)
    if shared:
        stacked[:, :, :start] = shared[layer][side]
    for line, (layers, length) in enumerate(found):
        if length:
            stacked[line, :, start + width - length :] = layers[layer][side][:, :length]
    return stacked
