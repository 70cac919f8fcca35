"""Attention in blocks against torch's own, and where it is used."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.models.llama.modeling_llama import eager_attention_forward

from steper_core.block_attention import attend_in_blocks
from steper_core.path_attention import TokenPath, attend

Attention = Callable[[Tensor, Tensor, Tensor, float], Tensor]
GROUPED: Any = SimpleNamespace(num_key_value_groups=3, training=True, is_causal=True)


def drawn(queries: int, keys: int, dtype: torch.dtype = torch.float64, size: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    """Six heads of queries, two of keys and of values."""
    torch.manual_seed(queries)

    def normal(heads: int, length: int) -> Tensor:
        return torch.randn((1, heads, length, size), dtype=torch.float64).to(dtype).requires_grad_()

    return normal(6, queries), normal(2, keys), normal(2, keys)


def expected(query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
    """By torch, with key heads repeated and an explicit mask: (1, queries, heads, size)."""
    queries, keys = query.shape[2], key.shape[2]
    seen = torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)
    key, value = key.repeat_interleave(3, dim=1), value.repeat_interleave(3, dim=1)
    return functional.scaled_dot_product_attention(query, key, value, seen, scale=scaling).transpose(1, 2)


@pytest.mark.parametrize(
    ("queries", "keys"), [(1, 1), (1, 300), (128, 128), (129, 129), (300, 300), (45, 400), (270, 311)]
)
def test_blocks_give_the_attention_and_gradients_of_torch(queries: int, keys: int) -> None:
    inputs = drawn(queries, keys)
    theirs, ours = (each(*inputs, 0.3) for each in (expected, attend_in_blocks))
    assert ours.shape == (1, queries, 6, 8)
    assert torch.allclose(ours, theirs, atol=1e-12)
    towards = torch.randn_like(theirs)
    pairs = zip(torch.autograd.grad(ours, inputs, towards), torch.autograd.grad(theirs, inputs, towards), strict=True)
    assert all(torch.allclose(own, other, atol=1e-12) for own, other in pairs)


def test_bfloat16_is_as_close_to_float64_as_attention_of_transformers_by_products() -> None:
    """The mean distance of outputs and gradients. Both round scores to bfloat16; torch's own attention does not."""

    def by_products(query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        mask = torch.full((300, 500), float("-inf"), dtype=query.dtype).triu(201)
        mixed: Tensor = eager_attention_forward(GROUPED, query, key, value, mask, scaling)[0]
        return mixed

    def found(attention: Attention, dtype: torch.dtype) -> list[Tensor]:
        query, key, value = (each.detach().to(dtype).requires_grad_() for each in drawn(300, 500, torch.bfloat16, 64))
        mixed = attention(query, key, value, 0.125)
        return [each.detach().double() for each in (mixed, *torch.autograd.grad(mixed.sum(), (query, key, value)))]

    true = found(expected, torch.float64)
    distances = [
        [float((own - exact).abs().mean()) for own, exact in zip(each, true, strict=True)]
        for each in (found(attend_in_blocks, torch.bfloat16), found(by_products, torch.bfloat16))
    ]
    assert all(own < 1.1 * other for own, other in zip(*distances, strict=True))


def test_no_weights_are_kept_for_the_gradients() -> None:
    """Of n x n weights an allocation of all would be 36 times what is kept: the three inputs."""
    kept: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    inputs = drawn(600, 600)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        attend_in_blocks(*inputs, 0.3)
    assert sum(kept) <= sum(each.numel() for each in inputs)


def test_bfloat16_on_a_cpu_is_attended_in_blocks_and_float32_by_torch() -> None:
    """Autocast leaves rotated queries and keys in float32: the values tell."""
    paths = [TokenPath(0, 150, ()), TokenPath(150, 170, ((0, 40),))]
    query, key, value = drawn(170, 170, torch.bfloat16)
    mixed = attend(GROUPED, query.float(), key.float(), value, None, paths=paths)[0]
    keys, values = (torch.cat([each[:, :, :40], each[:, :, 150:]], dim=2) for each in (key, value))
    assert torch.equal(mixed[:, :150], attend_in_blocks(query[:, :, :150], key[:, :, :150], value[:, :, :150], 8**-0.5))
    assert torch.equal(mixed[:, 150:], attend_in_blocks(query[:, :, 150:], keys, values, 8**-0.5))

    query, key, value = query.float(), key.float(), value.float()
    own, keys, values = (each[:, :, :150] for each in (query, key, value))
    theirs = sdpa_attention_forward(GROUPED, own, keys, values, None, is_causal=True)[0]
    assert torch.equal(attend(GROUPED, query, key, value, None, paths=paths)[0][:, :150], theirs)


def test_what_blocks_do_not_compute_is_left_to_torch() -> None:
    """Dropout in attention, which no model here has by default, and capped scores, which torch refuses."""
    inputs = drawn(20, 20, torch.bfloat16)
    dropped = attend(GROUPED, *inputs, attention_mask=None, paths=[TokenPath(0, 20, ())], dropout=0.999)[0]
    assert (dropped == 0).float().mean() > 0.5
    with pytest.raises(ValueError, match="softcap"):
        attend(GROUPED, *inputs, attention_mask=None, paths=[TokenPath(0, 20, ())], softcap=30.0)
