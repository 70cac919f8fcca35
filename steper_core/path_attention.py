"""Attention over trees of tokens: exact, without a mask over the whole row.

Tokens stand in preorder, the longest path of each tree first. Then a tree falls into paths, runs of tokens each of
which is the child of the one before. A path sees, whole, what is above its first token, and itself causally: attention
for each path computes little more than that (what is hidden in a path's own square). A mask over all tokens of a row
would cost as much for pairs of different branches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from steper_core.block_attention import attend_in_blocks
from steper_core.checkpoints import load_causal_model
from steper_core.errors import UserError

ATTENTION = "steper_paths"
"""The name under which models find this attention."""


@dataclass(frozen=True)
class TokenPath:
    """Tokens `start` to `stop`, and the ranges of tokens above the first of them, from the root down."""

    start: int
    stop: int
    above: tuple[tuple[int, int], ...]


def paths_of(depths: npt.NDArray[np.int32]) -> tuple[TokenPath, ...]:
    """The paths of trees whose tokens have these depths (0: a root), in preorder."""
    breaks = np.flatnonzero(np.diff(depths) != 1) + 1
    starts = [0, *breaks.tolist()]
    paths: list[TokenPath] = []
    for start, stop in zip(starts, [*starts[1:], len(depths)], strict=True):
        paths.append(TokenPath(start, stop, _above(paths[-1], depths, int(depths[start])) if paths else ()))
    return tuple(paths)


def _above(last: TokenPath, depths: npt.NDArray[np.int32], depth: int) -> tuple[tuple[int, int], ...]:
    """The first `depth` tokens on the way from the root to the end of the last path: a path branches off from there."""
    kept = []
    for start, stop in (*last.above, (last.start, last.stop)):
        length = min(stop - start, depth - int(depths[start]))
        if length > 0:
            kept.append((start, start + length))
    return tuple(kept)


def load_with_paths(base: Path, dtype: torch.dtype = torch.float32) -> Any:
    """The causal language model at `base`, with this attention.

    Raises:
        UserError: a layer of it reads tokens otherwise than by attention to all before, so that paths would leak.
    """
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, attend)
    model = load_causal_model(base, dtype, attn_implementation=ATTENTION)
    require_full_attention(model, base, "take a model with full attention in every layer")
    return model


def require_full_attention(model: Any, folder: Path, cure: str) -> None:
    """Raise a UserError if a layer attends otherwise: steps that share what was computed for them need it."""
    other = _other_layers(model)
    if other is not None:
        raise UserError(f"{folder}: {other}, which steps that share their passages need; {cure}")


def _other_layers(model: Any) -> str | None:
    """What keeps a layer of this model from attending to all tokens above, and to them alone; None if nothing does."""
    config = model.config
    kinds = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    if kinds:
        return f"it has layers of {' and '.join(sorted(kinds))} in place of full attention"
    if model._is_stateful:
        return "it carries a state from token to token in place of full attention"
    window, context = getattr(config, "sliding_window", None), getattr(config, "max_position_embeddings", None)
    if window and (context is None or window < context) and getattr(config, "use_sliding_window", True):
        return f"it attends to the last {window:,} tokens alone in place of full attention"
    return None


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    paths: Sequence[TokenPath] | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention of (1, heads, N, size) queries along `paths`; without paths, as transformers' own.

    Returns:
        (1, N, heads, size), and no weights.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if paths is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    # As autocast would at each call: rotation by float32 angles leaves queries and keys in float32.
    query, key = query.to(value.dtype), key.to(value.dtype)
    parts = []
    for path in paths:
        ranges = [*path.above, (path.start, path.stop)]
        keys, values = (torch.cat([each[:, :, a:b] for a, b in ranges], dim=2) for each in (key, value))
        parts.append(_attend_path(module, query[:, :, path.start : path.stop], keys, values, options))
    return torch.cat(parts, dim=1), None


def _attend_path(module: Any, query: Tensor, key: Tensor, value: Tensor, options: dict[str, Any]) -> Tensor:
    """Attention of a path's queries, of which the last sees all keys and each one before it one less."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    plain = not options.get("dropout") and options.get("softcap") is None
    if plain and query.device.type == "cpu" and query.dtype is torch.bfloat16:
        return attend_in_blocks(query, key, value, options.get("scaling") or query.shape[-1] ** -0.5)
    queries, keys = query.shape[2], key.shape[2]
    mask = _lower_right(queries, keys, query.device) if keys > queries else None
    return sdpa_attention_forward(module, query, key, value, mask, **{**options, "is_causal": mask is None})[0]


def _lower_right(queries: int, keys: int, device: torch.device) -> Tensor:
    """(1, 1, queries, keys): the last query sees all keys, each one before it one less."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)[None, None]
