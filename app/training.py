"""Train runs: a student on the kept chains of a collect run. It resumes at the last checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Set
from contextlib import nullcontext
from pathlib import Path

from app.console import Console
from app.costs import energy_recorded
from app.options import run_path
from app.seeds import UNDECIDED
from app.stopping import asked_to_stop
from app.workplace import Workplace
from steper_core.checkpoints import resolve_model
from steper_core.config import Recipe, TrainSection
from steper_core.datasets import without_overlap
from steper_core.digests import digest_of
from steper_core.material import Material
from steper_core.ranks import rank, shared_run, world_size
from steper_core.run_records import RunKind, RunStatus
from steper_core.rundir import RunDir, is_finished, open_run


def train(place: Workplace, name: str, teacher_run: RunDir, settings: TrainSection, seed: int) -> RunDir:
    """Train one student on the kept chains of a collect run.

    Raises:
        UserError: no chain to train on, a run of that name with other settings, or a base model that cannot be had.
    """
    from steper_core.devices import number_format, pick_device
    from steper_core.training import Models, train_on_chains

    recipe, material = place.recipe, place.material
    source = teacher_run.info
    held_out = {question.id for question in material.held_out}
    banned = unasked(material, teacher_run)
    path = run_path(place.runs, name)
    finished = is_finished(path)
    config = {
        "teacher_run": source.uid,
        "student": recipe.student.model_dump(mode="json"),
        "train": settings.model_dump(mode="json", exclude={"seeds"}),
        # What a finished training was computed in does not depend on this machine.
        **({} if finished else {"number_format": number_format(settings.dtype, recipe.student.device)}),
        "processes": world_size(),
        "followed_teacher": _stored_teacher(settings) or _teacher_name(recipe, settings),
        "stored_logits": _stored_digest(settings, teacher_run),
        "held_out_questions": len(material.held_out),
        "not_learned": not_learned(material, banned),
    }
    opener = open_run(
        path,
        kind=RunKind.TRAIN,
        config=config,
        dataset=source.dataset,
        model=recipe.student.model,
        method=settings.method,
        framework=source.framework,
        seed=seed,
        command=place.command,
        study=place.study,
        undecided=UNDECIDED,
    )
    halted = False
    with shared_run(opener, path, cpu=finished or pick_device(recipe.student.device).type == "cpu") as run:
        if run.info.status is not RunStatus.FINISHED:
            stopping = asked_to_stop(place.console) if world_size() == 1 else nullcontext(lambda: False)
            with (
                place.console.progress(f"train {settings.method}", "steps") as advance,
                energy_recorded(run),
                stopping as stop,
            ):
                facts = train_on_chains(
                    Models(
                        resolve_model(recipe.student.model),
                        recipe.student.model,
                        followed_teacher(recipe, settings),
                        named_teacher(recipe, settings),
                    ),
                    teacher_run,
                    settings,
                    held_out=held_out,
                    banned=banned,
                    seed=seed,
                    run=run,
                    device=recipe.student.device,
                    on_counts=lambda counts: _warn_of_losses(place.console, name, counts, settings),
                    on_progress=advance,
                    stop=stop,
                )
                halted = stop()
            run.update(facts={**run.info.facts, **facts})
        if rank() == 0:
            _report_trained(place.console, run)
    if halted:
        # Asked for during the last step, which ended the training: what would come after it is not begun.
        raise KeyboardInterrupt
    return run


def unasked(material: Material, teacher_run: RunDir) -> set[str]:
    """Ids of questions that a student must not learn from: the evaluation asks them."""
    asked_of_teacher = list(teacher_run.questions())
    free, _ = without_overlap(asked_of_teacher, material.evaluation)
    return {question.id for question in asked_of_teacher} - {question.id for question in free}


def not_learned(material: Material, banned: Set[str]) -> str:
    """A digest of the questions that a student does not learn from: the held-out ones, and what is `unasked`."""
    held_out = sorted({question.id for question in material.held_out})
    return digest_of({"held_out": held_out, "banned": sorted(banned)})


def _teacher_name(recipe: Recipe, settings: TrainSection) -> str | None:
    """The model whose logits or hidden states a student follows, if its loss follows any."""
    if settings.loss == "cross-entropy" or settings.stored_logits:
        return None
    return named_teacher(recipe, settings)


def named_teacher(recipe: Recipe, settings: TrainSection) -> str | None:
    """The local model that settings name as a student's teacher, whether its loss follows one or not."""
    return settings.teacher or (recipe.teacher.model if recipe.teacher.backend == "local" else None)


def _stored_teacher(settings: TrainSection) -> str | None:
    from steper_core.soft_targets import stored_teacher

    return stored_teacher(Path(settings.stored_logits)) if settings.stored_logits else None


def _stored_digest(settings: TrainSection, teacher_run: RunDir) -> str | None:
    from steper_core.soft_targets import stored_digest

    if not settings.stored_logits:
        return None
    return stored_digest(Path(settings.stored_logits), {chain.question_id for chain in teacher_run.chains()})


def followed_teacher(recipe: Recipe, settings: TrainSection) -> Path | None:
    """The folder of the model whose logits or hidden states a student follows; None if there is none or none is needed.

    Raises:
        UserError: a model that cannot be had.
    """
    name = _teacher_name(recipe, settings)
    return None if name is None else resolve_model(name)


def _warn_of_losses(console: Console, name: str, counts: Mapping[str, int], settings: TrainSection) -> None:
    """Say before the first step what a student does not learn of its chains; of several processes one says it."""
    if rank() != 0:
        return
    tasks = {task.removeprefix("examples: "): n for task, n in counts.items() if task.startswith("examples: ")}
    if absent := [task for task, count in tasks.items() if not count]:
        console.warn(f"{name} learns no {' and no '.join(absent)}: no chain that was kept has a step of it")
    if counts["cut"]:
        console.warn(
            f"{counts['cut']:,} of {counts['examples']:,} examples lose their oldest passages: they are longer than "
            f"train.max_length={settings.max_length:,}"
        )
    if counts["left_out"]:
        console.warn(
            f"{counts['left_out']:,} examples are left out: their lines alone are longer than "
            f"train.max_length={settings.max_length:,}"
        )


def _report_trained(console: Console, run: RunDir) -> None:
    facts, counts = run.info.facts, run.info.counts
    console.say(
        f"{run.info.name}: {counts['examples']} examples of {counts['chains']} chains "
        f"({counts['cut']} cut, {counts['left_out']} left out at the length limit), "
        f"{facts['tokens_per_second']:.0f} tokens/s, best at step {facts['best_step']:.0f}, "
        f"checkpoints {facts['disk_bytes'] / 1e6:,.0f} MB"
    )
