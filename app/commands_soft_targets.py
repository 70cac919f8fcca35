"""`steper soft-targets`: what a teacher would have said at each target, stored once for all trainings on its chains."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.options import find_run, open_place, recipe_options
from steper_core.errors import UserError

if TYPE_CHECKING:
    from app.workplace import Workplace
    from steper_core.rundir import RunDir


@click.command("soft-targets")
@recipe_options
@click.option("--teacher-run", required=True, help="The collect run whose kept chains are learned from.")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder to write.")
@click.option("--top-k", default=64, show_default=True, type=click.IntRange(1, 65536), help="Tokens kept a target.")
def soft_targets(
    recipe: str | None,
    overrides: tuple[str, ...],
    data: tuple[str, ...],
    runs: Path,
    teacher_run: str,
    out: Path,
    top_k: int,
) -> None:
    """Store the log-probabilities of a teacher's likeliest tokens at every target of a training.

    Train on them with the same settings and train.logits.stored=FOLDER; the teacher need not run along then.

    \b
    steper soft-targets --teacher-run gold --out soft -d FOLDER -s train.method=logit-kd -s train.teacher=MODEL
    steper train --name soft --teacher-run gold -d FOLDER -s train.method=logit-kd -s train.logits.stored=soft
    """
    place = open_place(recipe, overrides, data, runs)
    added = _store(place, find_run(runs, teacher_run), out, top_k)
    place.console.say(f"{out}: {added:,} chains stored, {top_k} tokens a target")


def _store(place: Workplace, teacher_run: RunDir, out: Path, top_k: int) -> int:
    from app.training import named_teacher, unasked
    from steper_core.checkpoints import resolve_model
    from steper_core.devices import pick_device, pick_dtype
    from steper_core.path_attention import load_with_paths
    from steper_core.soft_targets import SoftSettings, store_soft_targets
    from steper_core.training import encode_run
    from steper_core.vocabularies import shared_vocabulary, vocabulary_digest

    recipe, settings = place.recipe, place.recipe.train
    if settings.loss != "logits":
        raise UserError("stored log-probabilities serve loss = logits: set train.method=logit-kd or train.loss=logits")
    base = resolve_model(recipe.student.model)
    name = named_teacher(recipe, settings)
    if name is None:
        raise UserError("name the teacher: train.teacher=MODEL, or teacher.backend=local with teacher.model")
    folder = resolve_model(name)
    vocabulary = shared_vocabulary(base, folder)
    held_out = {question.id for question in place.material.held_out}
    training, measured = encode_run(
        base, teacher_run, settings, held_out=held_out, banned=unasked(place.material, teacher_run)
    )
    device = pick_device(recipe.student.device)
    with place.console.status(f"loading {folder.name}"):
        teacher = load_with_paths(folder, pick_dtype(settings.dtype, device)).to(device).eval()
    stored = SoftSettings(
        teacher=name,
        vocabulary_digest=vocabulary_digest(base),
        vocabulary=vocabulary,
        temperature=settings.logits.temperature,
        top_k=min(top_k, vocabulary),
    )
    with place.console.progress("soft targets", "chains") as advance:
        return store_soft_targets(out, stored, teacher, [*training.chains, *measured.chains], on_progress=advance)
