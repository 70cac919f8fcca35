"""Losses by task (for StepER, eq. 3, a task is an ability), from the task and weight of each target token.

Nothing here knows how examples are laid out in rows: a row an example, or all steps of a chain in one row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from accelerate.utils import extract_model_from_parallel
from torch import Tensor
from torch.nn import functional

from steper_core.packing import Forward
from steper_core.path_attention import ATTENTION


def task_losses(token_losses: Tensor, batch: Forward, task_count: int, chain_count: int) -> Tensor:
    """Raw loss of each task over a global batch of `chain_count` chains, or this part's share of it.

    `token_losses` (M,) are nats; times the weights of their tokens they sum to the mean loss of each example. L_init
    and L_agg are means over chains; L_exp is the sum over a chain's expansion steps, then the mean over the same
    chains. Shares of one batch add up to its losses.

    Returns:
        A float32 tensor (task_count,).
    """
    sums = torch.zeros(task_count, dtype=torch.float32, device=token_losses.device)
    return sums.index_add(0, batch.tasks, token_losses.float() * batch.weights) / chain_count


def target_logits(model: Any, batch: Forward) -> Tensor:
    """Logits (M, V) of a model at the places that predict the targets; nothing else meets the vocabulary.

    Raises:
        ValueError: the model has another attention, which would let all tokens see each other.
    """
    logits: Tensor = _forward(model, batch).logits[0]
    return logits


def target_hidden(model: Any, batch: Forward, layers: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
    """Logits as of `target_logits`, and at the same places the hidden states (M, width) of these layers.

    Layer 0 are the embeddings, -1 is the last layer after its norm.

    Raises:
        ValueError: as `target_logits`.
    """
    output = _forward(model, batch, output_hidden_states=True)
    return output.logits[0], [output.hidden_states[layer][0, batch.sources] for layer in layers]


def _forward(model: Any, batch: Forward, **options: Any) -> Any:
    if extract_model_from_parallel(model).config._attn_implementation != ATTENTION:
        raise ValueError("the model must be loaded by load_with_paths")
    with _projecting(model, batch.sources):
        return model(input_ids=batch.ids, position_ids=batch.positions, paths=batch.paths, use_cache=False, **options)


@contextmanager
def _projecting(model: Any, sources: Tensor) -> Iterator[None]:
    """Hand only these places to the projection to the vocabulary.

    As a hook and not around the model, so that wrappers which split or shard it (DDP, FSDP) see an ordinary forward.
    """

    def choose(_module: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (inputs[0][:, sources], *inputs[1:])

    projection = extract_model_from_parallel(model).get_output_embeddings()
    handle = projection.register_forward_pre_hook(choose)
    try:
        yield
    finally:
        handle.remove()


def cross_entropy(logits: Tensor, batch: Forward) -> Tensor:
    """Cross-entropy (M,) of the targets, in nats."""
    return functional.cross_entropy(logits.float(), batch.targets, reduction="none")
