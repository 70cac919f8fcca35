"""Training a student on the rows of kept chains, with transformers' Trainer.

A batch is made of whole chains. Its rows are sorted by length and split into forwards of bounded size, whose gradients
add up to exactly those of the whole: every loss is a sum over target tokens divided by the chains of the global batch.
"""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AutoTokenizer,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from steper_core.checkpoints import disk_bytes, drop_resume_state
from steper_core.config import TrainSection
from steper_core.devices import peak_memory_bytes, pick_device, pick_dtype
from steper_core.errors import UserError
from steper_core.examples import ChainRows
from steper_core.hush import hush_transformers
from steper_core.losses import cross_entropy, target_logits, task_losses
from steper_core.packing import Row, collate, split_rows
from steper_core.path_attention import load_with_paths
from steper_core.records import ABILITIES
from steper_core.rundir import RunDir, TrainPoint
from steper_core.weighting import FixedWeighting, LearnedWeighting

OnProgress = Callable[[int, int], None]
"""Called with (optimizer steps done, optimizer steps in all)."""


@dataclass(frozen=True)
class GlobalBatch:
    """What the loss needs to know of a whole global batch before its first part is computed."""

    chain_count: int
    present: tuple[bool, ...]
    parts: int


@dataclass
class _Meter:
    """What was seen since the last log: raw losses, tokens and seconds."""

    losses: Tensor = field(default_factory=lambda: torch.zeros(len(ABILITIES)))
    present: tuple[bool, ...] = (False,) * len(ABILITIES)
    tokens: int = 0
    started: float = field(default_factory=time.perf_counter)


class StepTrainer(Trainer):
    """Trainer with the loss of eq. 3 or eq. 4 over batches of whole chains."""

    def __init__(
        self,
        *,
        weighting: FixedWeighting | LearnedWeighting,
        sigma_learning_rate: float,
        forward_tokens: int,
        run: RunDir,
        on_progress: OnProgress,
        **trainer_options: Any,
    ) -> None:
        super().__init__(**trainer_options)
        self.weighting = weighting
        self._sigma_learning_rate = sigma_learning_rate
        self._forward_tokens = forward_tokens
        self._run = run
        self.meter = _Meter()
        self.loss_is_scaled_for_ga = True
        if isinstance(weighting, LearnedWeighting):
            weighting.to(self.args.device)
        self.remove_callback(PrinterCallback)
        self.add_callback(_AfterStep(self, run, on_progress))

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """The model's parameter groups, and one for s without weight decay and with its own learning rate."""
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        if isinstance(self.weighting, LearnedWeighting):
            optimizer.add_param_group(
                {"params": [self.weighting.s], "weight_decay": 0.0, "lr": self._sigma_learning_rate}
            )
        return optimizer

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Any]:
        """Fetch the batches of one optimizer step and count their chains and abilities over all ranks."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        chains = [chain for batch in batches for chain in batch["chains"]]
        found = {ability for chain in chains for row in chain.rows for ability in row.tasks.tolist()}
        counts = torch.tensor([len(chains), *(int(place in found) for place in range(len(ABILITIES)))], device=device)
        counts = self.accelerator.reduce(counts, "sum")
        present = tuple(bool(count) for count in counts[1:].tolist())
        return batches, GlobalBatch(int(counts[0]), present, len(batches))

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """Forward and backward over one batch of chains, in forwards of at most `forward_tokens` padded tokens."""
        batch: GlobalBatch = num_items_in_batch
        model.train()
        parts = split_rows(rows_of(inputs["chains"]), self._forward_tokens)
        present = torch.tensor(batch.present, device=self.args.device)
        total = torch.zeros((), device=self.args.device)
        for number, rows in enumerate(parts):
            last = number == len(parts) - 1
            with contextlib.nullcontext() if last else self.accelerator.no_sync(model):
                losses = self._losses(model, rows, batch.chain_count)
                self.meter.losses += losses.detach().cpu()
                share = 1 / batch.parts if number == 0 else 0.0
                loss = self.weighting.combine(losses * self.args.world_size, present, share)
                self.accelerator.backward(loss)
            total += loss.detach()
        self.meter.present = batch.present
        self.meter.tokens += sum(len(row) for rows in parts for row in rows)
        return total

    def _losses(self, model: Any, rows: Sequence[Row], chain_count: int) -> Tensor:
        forward = collate(rows, self.args.device)
        found = cross_entropy(target_logits(model, forward), forward)
        return task_losses(found, forward, len(ABILITIES), chain_count)

    @torch.no_grad()
    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Raw losses on the held-out chains; the checkpoint with the least mean of them is the best."""
        dataset: Any = self.eval_dataset if eval_dataset is None else eval_dataset
        chains: Sequence[ChainRows] = dataset
        self.model_wrapped.eval()
        losses = torch.zeros(len(ABILITIES))
        rows = rows_of(chains)
        for part in split_rows(rows, self._forward_tokens):
            losses += self._losses(self.model_wrapped, part, len(chains)).cpu()
        require_finite(losses, self.state.global_step)
        present = {ability for row in rows for ability in row.tasks.tolist()}
        self._run.append_train_point(
            TrainPoint(
                step=self.state.global_step,
                epoch=round(self.state.epoch or 0.0, 4),
                losses=_by_ability(losses, [place in present for place in range(len(ABILITIES))]),
                held_out=True,
            )
        )
        self.meter.started = time.perf_counter()
        metrics = {f"{metric_key_prefix}_loss": float(losses.sum()) / len(ABILITIES)}
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        super()._save(output_dir, state_dict)
        if isinstance(self.weighting, LearnedWeighting) and output_dir is not None:
            self.weighting.save(Path(output_dir))


class _AfterStep(TrainerCallback):
    """After each optimizer step: bound sigma, log a point, refuse a loss that is no number."""

    def __init__(self, trainer: StepTrainer, run: RunDir, on_progress: OnProgress) -> None:
        self._trainer = trainer
        self._run = run
        self._on_progress = on_progress
        self._rate = 0.0

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._rate = kwargs["lr_scheduler"].get_last_lr()[0]

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        meter = self._trainer.meter
        self._trainer.meter = _Meter()
        require_finite(meter.losses, state.global_step)
        if isinstance(self._trainer.weighting, LearnedWeighting):
            self._trainer.weighting.clamp()
            # The trainer zeroes the gradients of the model, and s is no part of it.
            self._trainer.weighting.s.grad = None
        if state.is_world_process_zero:
            self._run.append_train_point(
                TrainPoint(
                    step=state.global_step,
                    epoch=round(state.epoch, 4),
                    losses=_by_ability(meter.losses, meter.present),
                    sigmas=self._trainer.weighting.sigmas(),
                    learning_rate=self._rate,
                    tokens_per_second=round(meter.tokens / (time.perf_counter() - meter.started), 1),
                )
            )
            self._on_progress(state.global_step, state.max_steps)


def train_student(
    base: Path,
    training: Sequence[ChainRows],
    held_out: Sequence[ChainRows],
    settings: TrainSection,
    *,
    seed: int,
    run: RunDir,
    device: str = "auto",
    on_progress: OnProgress = lambda _done, _all: None,
) -> dict[str, float]:
    """Train a copy of the model at `base` in a run's folder, resuming from its last whole checkpoint.

    Returns:
        Measurements: best_step, steps, training_seconds, tokens_per_second, disk_bytes, peak_memory_bytes (CUDA).

    Raises:
        UserError: nothing to train on, or a loss that is no number.
    """
    if not training:
        raise UserError("no chain to train on: all were rejected, or none has a step of the abilities asked for")
    hush_transformers()
    folder = run.path / "checkpoints"
    resume = _last_whole_checkpoint(folder)
    chosen = pick_device(device)
    model = load_with_paths(base)
    weighting = LearnedWeighting() if settings.weighting == "learned" else FixedWeighting(_weights(settings))
    if resume is not None and isinstance(weighting, LearnedWeighting):
        weighting.load(resume)
    trainer = StepTrainer(
        weighting=weighting,
        sigma_learning_rate=settings.sigma_learning_rate,
        forward_tokens=settings.forward_tokens,
        run=run,
        on_progress=on_progress,
        model=model,
        args=_arguments(folder, settings, seed, chosen, len(training), measure=bool(held_out)),
        train_dataset=list(training),
        eval_dataset=list(held_out) or None,
        data_collator=_collate,
        processing_class=AutoTokenizer.from_pretrained(base),
    )
    started = time.perf_counter()
    trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    seconds = time.perf_counter() - started
    for checkpoint in folder.glob("checkpoint-*"):
        drop_resume_state(checkpoint)
    facts = {
        "best_step": float(trainer.state.best_global_step or trainer.state.global_step),
        "steps": float(trainer.state.global_step),
        "training_seconds": round(seconds, 1),
        "tokens_per_second": _mean_speed(run),
        "disk_bytes": float(disk_bytes(folder)),
    }
    peak = peak_memory_bytes(chosen)
    return facts if peak is None else {**facts, "peak_memory_bytes": float(peak)}


def require_finite(losses: Tensor, step: int) -> None:
    """Raise a UserError if a loss is infinite or no number."""
    if not torch.isfinite(losses).all():
        raise UserError(
            f"the loss is no number at step {step}; checkpoints before it are whole. "
            "Try a lower train.learning_rate, or train.dtype=float32"
        )


def rows_of(chains: Sequence[ChainRows]) -> list[Row]:
    """All rows of these chains."""
    return [row for chain in chains for row in chain.rows]


def _arguments(
    folder: Path, settings: TrainSection, seed: int, device: torch.device, chains: int, *, measure: bool
) -> TrainingArguments:
    steps_per_epoch = math.ceil(chains / (settings.batch_chains * settings.accumulation_steps))
    every = max(1, math.ceil(steps_per_epoch / settings.checkpoints_per_epoch))
    return TrainingArguments(
        output_dir=str(folder),
        seed=seed,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_chains,
        gradient_accumulation_steps=settings.accumulation_steps,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=settings.warmup_share if settings.warmup_share < 1 else 0.99,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        bf16=pick_dtype(settings.dtype, device) is torch.bfloat16,
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
        report_to="none",
    )


def _weights(settings: TrainSection) -> tuple[float, float, float]:
    return settings.weights if settings.weighting == "fixed" else (1.0, 1.0, 1.0)


def _collate(chains: list[ChainRows]) -> dict[str, Any]:
    return {"chains": chains}


def _last_whole_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint; those that a kill left unfinished are deleted. The trainer's state is written last."""
    whole = []
    for checkpoint in folder.glob("checkpoint-*"):
        try:
            whole.append((int(json.loads((checkpoint / "trainer_state.json").read_text())["global_step"]), checkpoint))
        except (OSError, ValueError, KeyError):
            shutil.rmtree(checkpoint)
    return max(whole)[1] if whole else None


def _mean_speed(run: RunDir) -> float:
    speeds = [point.tokens_per_second for point in run.train_points() if point.tokens_per_second]
    return round(sum(speeds) / len(speeds), 1) if speeds else 0.0


def _by_ability(losses: Tensor, present: Sequence[bool]) -> dict[str, float]:
    return {
        ability.value: round(float(loss), 6)
        for ability, loss, there in zip(ABILITIES, losses, present, strict=True)
        if there
    }
