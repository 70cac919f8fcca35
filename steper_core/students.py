"""The model that is trained: the base itself, or the base with low-rank adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from steper_core.config import TrainSection
from steper_core.path_attention import load_with_paths


def load_student(base: Path, settings: TrainSection, base_name: str, seed: int) -> Any:
    """The model at `base`, in float32, ready to be trained as the settings say.

    With `lora_rank` the base is frozen and each linear layer gets an adapter (Hu et al. 2022), drawn from `seed`.
    Checkpoints then hold the adapters alone, and know their base as `base_name`.
    """
    model = load_with_paths(base)
    if not settings.lora_rank:
        return model
    from peft import LoraConfig, get_peft_model

    adapters = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=2 * settings.lora_rank,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    torch.manual_seed(seed)
    adapted: Any = get_peft_model(model, adapters)
    adapted.peft_config["default"].base_model_name_or_path = base_name
    if settings.gradient_checkpointing:
        adapted.enable_input_require_grads()
    return adapted
