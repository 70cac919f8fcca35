"""Trainer over whole chains: losses by task, weighted, in forwards of bounded size.

A batch is made of whole chains. Its rows are sorted by length and split into forwards of bounded size, whose gradients
add up to exactly those of the whole: every loss is a sum over target tokens divided by the chains of the global batch.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import DistributedType
from accelerate.utils import gather_object
from safetensors import SafetensorError
from torch import Tensor
from transformers import PrinterCallback, Trainer, TrainerCallback

from steper_core.errors import UserError
from steper_core.examples import ChainRows
from steper_core.losses import task_losses
from steper_core.objectives import Objective
from steper_core.packing import Row, collate, silenced, split_rows
from steper_core.run_records import TrainPoint
from steper_core.rundir import RunDir
from steper_core.side_optimizer import SideOptimizer
from steper_core.weighting import FixedWeighting, LearnedWeighting

_CURE = "Try a lower train.learning_rate, or train.dtype=float32, under another name"

_NAMED = 8
"""How many questions an error names."""

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
    """What was seen of one optimizer step: raw losses, tokens, when it started, and whose losses are no numbers."""

    losses: Tensor
    present: tuple[bool, ...] = ()
    tokens: int = 0
    broken: list[str] = field(default_factory=list)
    started: float = 0.0


class StepTrainer(Trainer):
    """Trainer over batches of whole chains, with an objective for each target token and a weighting of tasks."""

    def __init__(
        self,
        *,
        tasks: Sequence[str],
        objective: Objective,
        weighting: FixedWeighting | LearnedWeighting,
        side: SideOptimizer,
        forward_tokens: int,
        run: RunDir,
        on_progress: OnProgress,
        stop: Callable[[], bool] = lambda: False,
        **trainer_options: Any,
    ) -> None:
        super().__init__(**trainer_options)
        self.weighting = weighting
        self.side = side
        self._tasks = tuple(tasks)
        self._objective = objective
        self._forward_tokens = forward_tokens
        self._run = run
        self.meter = self._new_meter()
        self.loss_is_scaled_for_ga = True
        self.remove_callback(PrinterCallback)
        self.add_callback(_AfterStep(self, run, on_progress, stop))

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Any]:
        """Fetch the batches of one optimizer step and count their chains and tasks over all ranks."""
        self.meter.started = time.perf_counter()
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        parted = [self._parted(batch["chains"], number) for number, batch in enumerate(batches)]
        batches = [{"chains": [*own, *map(silenced_chain, again)]} for own, again in parted]
        chains = [chain for own, _again in parted for chain in own]
        found = {task for chain in chains for row in chain.rows for task in row.tasks.tolist()}
        counts = torch.tensor([len(chains), *(int(place in found) for place in range(len(self._tasks)))], device=device)
        counts = self.accelerator.reduce(counts, "sum")
        present = tuple(bool(count) for count in counts[1:].tolist())
        return batches, GlobalBatch(int(counts[0]), present, len(batches))

    def _parted(self, chains: list[ChainRows], number: int) -> tuple[list[ChainRows], list[ChainRows]]:
        """The chains of a step's batch that are the epoch's own, and those that come again.

        Where an epoch does not come out even over the ranks, accelerate fills its last batches with the first chains
        again: what one process would not learn twice, several must not either.
        """
        ranks, accumulated = self.args.world_size, self.args.gradient_accumulation_steps
        if ranks == 1:
            return chains, []
        dataset: Any = self.train_dataset
        steps = self.state.max_steps // int(self.args.num_train_epochs)
        place = (self.state.global_step % steps * accumulated + number) * ranks + self.args.process_index
        own = max(len(dataset) - place * self.args.per_device_train_batch_size, 0)
        return chains[:own], chains[own:]

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """Forward and backward over one batch of chains, in forwards of `forward_tokens` tokens or one longer row."""
        batch: GlobalBatch = num_items_in_batch
        model.train()
        chains: list[ChainRows] = inputs["chains"]
        owners = {id(row): chain.question_id for chain in chains for row in chain.rows}
        parts = self._parts(rows_of(chains))
        total = torch.zeros((), device=self.args.device)
        sharded_by_engine = self.accelerator.distributed_type == DistributedType.DEEPSPEED
        # Losses are divided by the chains of the global batch already: the engine must not divide them again.
        options = {"scale_wrt_gas": False} if sharded_by_engine else {}
        for number, rows in enumerate(parts):
            last = number == len(parts) - 1
            with contextlib.nullcontext() if last else self._more_to_come(model):
                losses = self._losses(model, rows, batch.chain_count)
                measured = losses.detach().cpu()
                self.meter.losses += measured
                if not torch.isfinite(measured).all():
                    self.meter.broken += [owners[id(row)] for row in rows if id(row) in owners]
                share = 1 / batch.parts if number == 0 else 0.0
                loss = self.weighting.combine(losses * self.args.world_size, batch.present, share)
                self.accelerator.backward(loss, **options)
            total += loss.detach()
        self.meter.present = batch.present
        self.meter.tokens += sum(len(row) for rows in parts for row in rows)
        return total

    @contextlib.contextmanager
    def _more_to_come(self, model: Any) -> Iterator[None]:
        """Gradients pile up on each rank; DeepSpeed, which takes its step inside backward, does not take it yet."""
        state = self.accelerator.gradient_state
        last_of_step = state.sync_gradients
        state._set_sync_gradients(False)
        try:
            with self.accelerator.no_sync(model):
                yield
        finally:
            state._set_sync_gradients(last_of_step)

    def _parts(self, rows: Sequence[Row]) -> list[list[Row]]:
        """As many forwards on every rank: what shards a model (FSDP, ZeRO-3) waits for all of them at each."""
        parts = split_rows(rows, self._forward_tokens)
        if self.args.world_size == 1:
            return parts
        counts = self.accelerator.gather(torch.tensor([len(parts)], device=self.args.device))
        return split_rows(rows, self._forward_tokens, int(counts.max()))

    def read_meter(self) -> _Meter:
        """What was seen since the last step, over all ranks; the meter starts anew."""
        meter, self.meter = self.meter, self._new_meter()
        seen = torch.cat([meter.losses, torch.tensor([float(meter.tokens)])]).to(self.args.device)
        seen = self.accelerator.reduce(seen, "sum").cpu()
        meter.losses, meter.tokens = seen[:-1], int(seen[-1])
        return meter

    def require_finite_step(self, meter: _Meter) -> None:
        """Raise a UserError that names the questions, of all ranks, whose forwards gave a loss that is no number."""
        if not torch.isfinite(meter.losses).all():
            named = [repr(question) for question in dict.fromkeys(gather_object(meter.broken))]
            more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
            batch = f"question {', '.join(named[:_NAMED])}{more}" if named else "the sum over its questions"
            require_finite(meter.losses, self.state.global_step, batch)

    def by_task(self, losses: Tensor, present: Sequence[bool]) -> dict[str, float]:
        """Losses of those tasks that occurred, by name."""
        return {
            str(task): round(float(loss), 6)
            for task, loss, there in zip(self._tasks, losses, present, strict=True)
            if there
        }

    def _new_meter(self) -> _Meter:
        return _Meter(torch.zeros(len(self._tasks)))

    def _losses(self, model: Any, rows: Sequence[Row], chain_count: int) -> Tensor:
        forward = collate(rows, self.args.device)
        return task_losses(self._objective.losses(model, forward), forward, len(self._tasks), chain_count)

    @torch.no_grad()
    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Raw losses on the held-out chains; the checkpoint with the least mean of them is the best."""
        dataset: Any = self.eval_dataset if eval_dataset is None else eval_dataset
        chains: Sequence[ChainRows] = dataset
        self.model_wrapped.eval()
        losses = torch.zeros(len(self._tasks))
        rows = rows_of(chains)
        for part in split_rows(rows, self._forward_tokens):
            losses += self._losses(self.model_wrapped, part, len(chains)).cpu()
        require_finite(losses, self.state.global_step, "the held-out questions")
        present = {task for row in rows for task in row.tasks.tolist()}
        self._run.append_train_point(
            TrainPoint(
                step=self.state.global_step,
                epoch=round(self.state.epoch or 0.0, 4),
                losses=self.by_task(losses, [place in present for place in range(len(self._tasks))]),
                held_out=True,
            )
        )
        metrics = {f"{metric_key_prefix}_loss": float(losses.mean())}
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        super()._save(output_dir, state_dict)
        # All ranks come here, and hold the same: the one that writes the model has made the folder.
        if output_dir is not None and self.args.should_save:
            self.side.save(Path(output_dir))
            if isinstance(self.weighting, LearnedWeighting):
                self.weighting.save(Path(output_dir))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self._require_finite_weights()
        try:
            super()._save_checkpoint(model, trial)
        except (OSError, RuntimeError, SafetensorError) as error:
            raise UserError(
                f"{self.args.output_dir}: step {self.state.global_step} could not be saved ({error}); earlier "
                "checkpoints are whole: make room and repeat the command to go on from the last"
            ) from error

    def _require_finite_weights(self) -> None:
        """The loss of a step says nothing of the weights that it leaves: what is saved is looked at itself."""
        weights = (weight for weight in self.model_wrapped.parameters() if weight.requires_grad)
        broken = sum(int(not torch.isfinite(_own_part(weight)).all()) for weight in weights)
        found = self.accelerator.reduce(torch.tensor([broken], device=self.args.device), "sum")
        if int(found):
            raise UserError(
                f"the weights are no numbers after step {self.state.global_step}, which is not saved; checkpoints "
                f"before it are whole. {_CURE}"
            )


def _own_part(weight: Any) -> Tensor:
    """A weight, or what of it this rank holds: FSDP2's shard, or DeepSpeed's, which leaves the weight itself empty."""
    own: Tensor = weight.to_local() if hasattr(weight, "to_local") else getattr(weight, "ds_tensor", weight)
    return own


class _AfterStep(TrainerCallback):
    """After each optimizer step: bound sigma, log a point, refuse a loss that is no number, stop if asked to."""

    def __init__(self, trainer: StepTrainer, run: RunDir, on_progress: OnProgress, stop: Callable[[], bool]) -> None:
        self._trainer = trainer
        self._stop = stop
        self._run = run
        self._on_progress = on_progress
        self._rate = 0.0

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._rate = kwargs["lr_scheduler"].get_last_lr()[0]
        trainer = self._trainer
        trainer.side.step(self._rate / args.learning_rate, lambda grad: trainer.accelerator.reduce(grad, "mean"))

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        trainer = self._trainer
        meter = trainer.read_meter()
        trainer.require_finite_step(meter)
        if isinstance(trainer.weighting, LearnedWeighting):
            trainer.weighting.clamp()
        seconds = time.perf_counter() - meter.started
        point = TrainPoint(
            step=state.global_step,
            epoch=round(state.epoch, 4),
            losses=trainer.by_task(meter.losses, meter.present),
            sigmas=trainer.weighting.sigmas(),
            learning_rate=self._rate,
            tokens_per_second=round(meter.tokens / seconds, 1),
            seconds=round(seconds, 4),
        )
        self._run.append_train_point(point)
        if args.report_to:
            trainer.log(_tracked(point))
        self._on_progress(state.global_step, state.max_steps)
        if self._stop():
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """What was asked to stop stops once the step is saved; after the last step there is nothing to stop."""
        if self._stop() and state.global_step < state.max_steps:
            raise KeyboardInterrupt


def require_finite(losses: Tensor, step: int, batch: str) -> None:
    """Raise a UserError that names the batch if a loss is infinite or no number."""
    if not torch.isfinite(losses).all():
        raise UserError(f"the loss is no number at step {step}, on {batch}; checkpoints before it are whole. {_CURE}")


def silenced_chain(chain: ChainRows) -> ChainRows:
    """The chain with no weight on any target."""
    return replace(chain, rows=tuple(map(silenced, chain.rows)))


def rows_of(chains: Sequence[ChainRows]) -> list[Row]:
    """All rows of these chains."""
    return [row for chain in chains for row in chain.rows]


def _tracked(point: TrainPoint) -> dict[str, float]:
    """A point under the names that trackers show."""
    figures = {f"loss/{task}": loss for task, loss in point.losses.items()}
    sigmas = {f"sigma/{task}": sigma for task, sigma in point.sigmas.items()}
    return {**figures, **sigmas, "learning_rate": point.learning_rate or 0.0}
