"""From a collect run's kept chains to a trained student: examples by method, tokens, model, objective, trainer."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from steper_core.checkpoints import (
    context_of,
    disk_bytes,
    drop_resume_state,
    is_last_step,
    load_tokenizer,
    planned_steps,
    recorded_step,
    require_resumable,
    training_step_of,
)
from steper_core.config import TrainSection
from steper_core.devices import forget_peak_memory, peak_memory_bytes, pick_device, pick_dtype
from steper_core.errors import UserError
from steper_core.examples import ChainRows, EncodedChains, encode_chains
from steper_core.hush import hush_transformers
from steper_core.methods import plan_of
from steper_core.objectives import CrossEntropy, Features, Objective, SoftTargets
from steper_core.path_attention import load_with_paths
from steper_core.records import ABILITIES
from steper_core.run_records import RunKind, RunStatus
from steper_core.rundir import RunDir
from steper_core.side_optimizer import SideOptimizer
from steper_core.soft_targets import attach
from steper_core.students import load_student
from steper_core.trainer import OnProgress, StepTrainer
from steper_core.training_arguments import (
    end_trackers,
    require_whole_weights,
    steps_per_epoch,
    training_arguments,
)
from steper_core.vocabularies import shared_vocabulary, vocabulary_digest
from steper_core.weighting import FixedWeighting, LearnedWeighting


@dataclass(frozen=True)
class Models:
    """The student's base model and, for losses that follow one, the teacher: their folders, and what they are called.

    Where the teacher's log-probabilities are stored, its name alone is asked for, and any teacher's do without.
    """

    base: Path
    base_name: str
    teacher: Path | None = None
    teacher_name: str | None = None


def train_on_chains(
    models: Models,
    teacher_run: RunDir,
    settings: TrainSection,
    *,
    held_out: Set[str],
    banned: Set[str],
    seed: int,
    run: RunDir,
    device: str = "auto",
    on_counts: Callable[[Mapping[str, int]], None] = lambda _counts: None,
    on_progress: OnProgress = lambda _done, _all: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, float]:
    """Train on the kept chains of a collect run, measuring on those of the held-out question ids.

    Chains of `banned` ids (the evaluation questions) are left out and counted. `on_counts` is told before the first
    step how many chains and examples went in, were cut or left out; the run holds these counts too.

    Returns:
        What `train_student` measures.

    Raises:
        UserError: no chain is left to train on, none has a step of an ability that was asked for by name, or the
            tokenizer has no end-of-sequence token.
    """
    training, measured = encode_run(models.base, teacher_run, settings, held_out=held_out, banned=banned)
    _require_each_ability(training, settings)
    counts = {
        "chains": len(training.chains),
        "examples": training.examples - training.left_out,
        **{f"examples: {task}": count for task, count in training.by_task.items()},
        "cut": training.cut,
        "left_out": training.left_out,
        "held_out_chains": len(measured.chains),
        "also_in_evaluation": sum(chain.question_id in banned for chain in teacher_run.chains()),
    }
    run.update(counts=counts)
    on_counts(counts)
    return train_student(
        models,
        training.chains,
        measured.chains,
        settings,
        seed=seed,
        run=run,
        device=device,
        on_progress=on_progress,
        stop=stop,
    )


def _require_each_ability(training: EncodedChains, settings: TrainSection) -> None:
    """Without steps of an ability a training for some abilities would be another one, under a name that says less."""
    missing = [ability for ability in settings.abilities if not training.by_task.get(ability)]
    if training.chains and missing and len(settings.abilities) < len(ABILITIES):
        raise UserError(
            f"train.abilities asks for {missing[0]}, and no chain has a step of it: leave it out, or let chains have "
            "more steps (reasoning.max_steps)"
        )


def require_collect_run(run: RunDir) -> None:
    """Raise a UserError unless a run holds all of a teacher's chains: those of an evaluation answer what is tested."""
    kind = run.info.kind
    if kind is not RunKind.COLLECT:
        raise UserError(f"{run.path} is no collect run ({kind.value}): name one that `steper collect` made")
    if run.info.status is not RunStatus.FINISHED:
        raise UserError(f"{run.path} does not hold all of its chains yet: repeat `steper collect` to finish it")


def encode_run(
    base: Path, teacher_run: RunDir, settings: TrainSection, *, held_out: Set[str], banned: Set[str]
) -> tuple[EncodedChains, EncodedChains]:
    """The rows to train on, and those of the held-out questions.

    Raises:
        UserError: no collect run, a tokenizer without an end-of-sequence token, a damaged model folder, or examples
            that may be longer than the model can read.
    """
    require_collect_run(teacher_run)
    context = context_of(base)
    if context is not None and settings.max_length > context:
        raise UserError(
            f"train.max_length is {settings.max_length:,}, and {base.name} reads at most {context:,} tokens: lower it"
        )
    tokenizer = load_tokenizer(base)
    if tokenizer.eos_token_id is None:
        raise UserError(f"the tokenizer of {base} has no end-of-sequence token, so a student could not learn to stop")
    plan = plan_of(settings)
    chains = {chain.question_id: chain for chain in teacher_run.chains() if chain.question_id not in banned}
    questions = {question.id: question for question in teacher_run.questions()}
    passages = {passage.id: passage for passage in teacher_run.passages()}

    def encode(ids: list[str]) -> EncodedChains:
        examples = [plan.examples(questions[i], chains[i], passages) for i in ids]
        row_tokens = settings.forward_tokens if settings.packing else 0
        return encode_chains(
            examples, plan.tasks, tokenizer, settings.max_length, tokenizer.eos_token_id, row_tokens=row_tokens
        )

    return encode([i for i in chains if i not in held_out]), encode([i for i in chains if i in held_out])


def train_student(
    models: Models,
    training: Sequence[ChainRows],
    held_out: Sequence[ChainRows],
    settings: TrainSection,
    *,
    seed: int,
    run: RunDir,
    device: str = "auto",
    on_progress: OnProgress = lambda _done, _all: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, float]:
    """Train a copy of the base model in a run's folder, resuming from its last whole checkpoint.

    Once `stop` says so, the step in hand is saved and a KeyboardInterrupt raised. Not for several ranks, which would
    have to stop at the same step.

    Returns:
        Measurements: best_step, steps, training_seconds (of all optimizer steps, those before an interruption too;
        without saving and measuring), tokens_per_second, disk_bytes, peak_memory_bytes (CUDA).

    Raises:
        UserError: nothing to train on, a teacher that does not fit, a loss that is no number, or a damaged checkpoint
            to resume from.
    """
    if not training:
        raise UserError("no chain to train on: all were rejected, or none has a step of the abilities asked for")
    if settings.stored_logits:
        stored, temperature = Path(settings.stored_logits), settings.logits.temperature
        digest = vocabulary_digest(models.base)
        training, held_out = (
            attach(stored, chains, digest, temperature, models.teacher_name) for chains in (training, held_out)
        )
    chosen = pick_device(device)
    _require_first_gpu(chosen)
    steps = _already_trained(run) or _train(
        models, training, held_out, settings, seed=seed, run=run, device=chosen, on_progress=on_progress, stop=stop
    )
    folder = run.path / "checkpoints"
    for checkpoint in folder.glob("checkpoint-*"):
        drop_resume_state(checkpoint)
    return {**steps, **_speed(run), "disk_bytes": float(disk_bytes(folder))}


def _already_trained(run: RunDir) -> dict[str, float]:
    """What `_train` measured of a training that came to its end and was stopped thereafter; else nothing."""
    facts = run.info.facts
    if "steps" not in facts or not (run.path / "checkpoints" / f"checkpoint-{facts['best_step']:.0f}").is_dir():
        return {}
    return {name: facts[name] for name in ("best_step", "steps", "peak_memory_bytes") if name in facts}


def _train(
    models: Models,
    training: Sequence[ChainRows],
    held_out: Sequence[ChainRows],
    settings: TrainSection,
    *,
    seed: int,
    run: RunDir,
    device: torch.device,
    on_progress: OnProgress,
    stop: Callable[[], bool],
) -> dict[str, float]:
    """Train from the last whole checkpoint to the end; steps in all, the best one, and peak_memory_bytes (CUDA)."""
    hush_transformers()
    forget_peak_memory(device)
    folder = run.path / "checkpoints"
    arguments = training_arguments(run, settings, seed, device, len(training), measure=bool(held_out))
    student = load_student(models.base, settings, models.base_name, seed)
    objective = _objective(student, models, settings, seed, arguments.device)
    weighting = _weighting(settings, arguments.device)
    side = SideOptimizer(
        [
            (
                list(weighting.parameters()) if isinstance(weighting, LearnedWeighting) else [],
                settings.sigma_learning_rate,
            ),
            (objective.parameters(), settings.features.learning_rate),
        ]
    )
    with PartialState().main_process_first():
        resume = _last_whole_checkpoint(folder)
    if resume is not None:
        _require_same_steps(resume, settings.epochs * steps_per_epoch(settings, len(training)))
        if not is_last_step(resume):
            require_resumable(resume)
            side.load(resume)
    run.cut_train_points(training_step_of(resume) if resume is not None else 0)
    trainer = StepTrainer(
        tasks=plan_of(settings).tasks,
        objective=objective,
        weighting=weighting,
        side=side,
        forward_tokens=settings.forward_tokens,
        run=run,
        on_progress=on_progress,
        stop=stop,
        model=student,
        args=arguments,
        train_dataset=list(training),
        eval_dataset=list(held_out) or None,
        data_collator=_collate,
        processing_class=load_tokenizer(models.base),
    )
    require_whole_weights(trainer.accelerator)
    failed = True
    try:
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
        failed = False
    except torch.OutOfMemoryError as error:
        raise UserError(
            "the GPU's memory does not hold the training: lower train.forward_tokens, set "
            "train.gradient_checkpointing=true, or train adapters (train.lora_rank)"
        ) from error
    finally:
        end_trackers(settings.trackers, failed=failed)
    trainer.accelerator.wait_for_everyone()
    steps = {
        "best_step": float(trainer.state.best_global_step or trainer.state.global_step),
        "steps": float(trainer.state.global_step),
    }
    peak = peak_memory_bytes(device)
    if peak is not None:
        steps["peak_memory_bytes"] = float(peak)
    # Trainer has deleted all but the newest and the best checkpoint by now, and what resuming needs goes next: a kill
    # from here on leaves nothing to go on from, and nothing that were left to do.
    run.update(facts={**run.info.facts, **steps})
    return steps


def _objective(student: Any, models: Models, settings: TrainSection, seed: int, device: torch.device) -> Objective:
    if settings.loss == "cross-entropy":
        return CrossEntropy()
    if settings.stored_logits:
        return SoftTargets(settings.logits, shared_vocabulary(models.base, models.base), None)
    if models.teacher is None:
        raise UserError(
            f"loss = {settings.loss} follows a local model: set train.teacher, or teacher.backend=local with its model"
        )
    vocabulary = shared_vocabulary(models.base, models.teacher)
    teacher = load_with_paths(models.teacher, pick_dtype(settings.dtype, device)).to(device).eval()
    teacher.requires_grad_(False)
    if settings.loss == "features":
        return Features(settings.features, student.config, teacher, seed)
    return SoftTargets(settings.logits, vocabulary, teacher)


def _weighting(settings: TrainSection, device: torch.device) -> FixedWeighting | LearnedWeighting:
    tasks = plan_of(settings).tasks
    if settings.weighting == "learned":
        return LearnedWeighting(tasks).to(device)
    return FixedWeighting(settings.weights if settings.weighting == "fixed" else [1.0] * len(tasks))


def _require_first_gpu(device: torch.device) -> None:
    if device.type == "cuda" and device.index:
        raise UserError(
            f"training takes the first GPU it sees: start it with CUDA_VISIBLE_DEVICES={device.index} and "
            "student.device=cuda"
        )


def _require_same_steps(checkpoint: Path, steps: int) -> None:
    """Raise a UserError if a checkpoint is of a training of another length: its place in an epoch means another."""
    begun = planned_steps(checkpoint)
    if begun is not None and begun != steps:
        raise UserError(
            f"{checkpoint} is of a training of {begun:,} steps, and this one has {steps:,}: go on with as many "
            "processes and chains as it was begun with, or train under another name"
        )


def _collate(chains: list[ChainRows]) -> dict[str, Any]:
    return {"chains": chains}


def _last_whole_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint; those that a kill left unfinished are deleted. The trainer's state is written last."""
    whole = []
    for checkpoint in folder.glob("checkpoint-*"):
        step = recorded_step(checkpoint)
        if step is None:
            shutil.rmtree(checkpoint)
        else:
            whole.append((step, checkpoint))
    return max(whole)[1] if whole else None


def _speed(run: RunDir) -> dict[str, float]:
    timed = [(p.seconds, p.tokens_per_second) for p in run.train_points() if p.seconds and p.tokens_per_second]
    seconds = sum(each for each, _ in timed)
    tokens = sum(each * speed for each, speed in timed)
    return {"training_seconds": round(seconds, 3), "tokens_per_second": round(tokens / seconds, 1) if timed else 0.0}
