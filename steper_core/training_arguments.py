"""What a training tells Trainer, its launcher and its trackers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import import_module, util
from typing import Any

import torch
from torch.distributed.fsdp import StateDictType
from transformers import TrainingArguments

from steper_core.config import TrainSection
from steper_core.devices import pick_dtype
from steper_core.errors import UserError
from steper_core.ranks import world_size
from steper_core.rundir import RunDir

_ORDERS_A_SEED = 1000
"""More than the epochs of any training."""


def training_arguments(
    run: RunDir, settings: TrainSection, seed: int, device: torch.device, chains: int, *, measure: bool
) -> TrainingArguments:
    """What Trainer is told: as the recipe has it, and where the launcher decides something, refused if it differs.

    Raises:
        UserError: a tracker that is not installed, or a launcher's number format that is not the recipe's.
    """
    _require_trackers(settings.trackers)
    an_epoch = steps_per_epoch(settings, chains)
    every = max(1, math.ceil(an_epoch / settings.checkpoints_per_epoch))
    bfloat16 = pick_dtype(settings.dtype, device) is torch.bfloat16
    warmup = settings.warmup_share if settings.warmup_share < 1 else 0.99
    arguments = TrainingArguments(
        output_dir=str(run.path / "checkpoints"),
        run_name=run.path.name,
        seed=seed,
        # Epochs are shuffled by this number plus theirs: the second of seed 0 must not be the first of seed 1.
        data_seed=seed * _ORDERS_A_SEED,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_chains,
        gradient_accumulation_steps=settings.accumulation_steps,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        # The first step of a warm-up changes nothing: a single step must not be one.
        warmup_steps=warmup if settings.epochs * an_epoch > 1 else 0,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        bf16=bfloat16,
        use_cpu=device.type == "cpu",
        activation_checkpointing=settings.gradient_checkpointing,
        logging_strategy="no",
        eval_strategy="steps" if measure else "no",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=settings.keep_checkpoints,
        metric_for_best_model="loss" if measure else None,
        greater_is_better=False if measure else None,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        disable_tqdm=True,
        report_to=list(settings.trackers) or "none",
    )
    precision = "bf16" if bfloat16 else "no"
    if arguments.deepspeed_plugin is not None and arguments.mixed_precision != precision:
        raise UserError(
            f"DeepSpeed was launched with mixed_precision: {arguments.mixed_precision}, and train.dtype="
            f"{settings.dtype} is {precision!r} there: change one of them"
        )
    # Else the launcher's settings would decide it, whatever the recipe says.
    arguments.mixed_precision = precision
    if world_size() == 1 and arguments.device.type == "cuda":
        # Else Trainer would spread each batch over all GPUs it sees, and these batches cannot be cut.
        arguments._n_gpu = 1
    return arguments


def require_whole_weights(accelerator: Any) -> None:
    """Raise a UserError if checkpoints would hold each rank's shard of the weights in place of a model."""
    plugin = getattr(accelerator.state, "fsdp_plugin", None)
    if plugin is not None and plugin.state_dict_type != StateDictType.FULL_STATE_DICT:
        raise UserError(
            "FSDP would save shards of the weights, which no model can be loaded from: launch with "
            "fsdp_state_dict_type: FULL_STATE_DICT, as docs/clusters/fsdp2.yaml does"
        )


def end_trackers(names: Sequence[str], *, failed: bool) -> None:
    """End the runs that trackers keep open after a training, for the next one of this process to have its own."""
    if "wandb" in names:
        import_module("wandb").finish(exit_code=int(failed))


def _require_trackers(names: Sequence[str]) -> None:
    missing = [name for name in names if util.find_spec(name) is None]
    if missing:
        raise UserError(f"train.trackers names {missing[0]}, which is not installed: pip install {missing[0]}")


def steps_per_epoch(settings: TrainSection, chains: int) -> int:
    """Optimizer steps an epoch, over all processes."""
    return math.ceil(chains / (settings.batch_chains * settings.accumulation_steps * world_size()))
