"""What a student learned from, held against what it is asked and how."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from app.training import not_learned, unasked
from steper_core.config import Recipe
from steper_core.datasets import without_overlap
from steper_core.digests import differences
from steper_core.errors import UserError
from steper_core.material import Material
from steper_core.rundir import RunDir

_COMPARED = {"retrieval": ("top_k", "refill", "k1", "b"), "reasoning": ("framework", "max_steps")}
_UNWRITTEN = {"refill": True}
"""What stands in no config where it is the default."""


def taught_otherwise(student: RunDir, runs: Path, recipe: Recipe) -> str | None:
    """How the chains that a student learned from were retrieved and driven, where it is not as the recipe asks it now.

    None where nothing differs, or where it is not known: the collect run is not below `runs`, or its chains were made
    elsewhere.
    """
    teacher_run = _run_of(runs, student.info.config.get("teacher_run"))
    if teacher_run is None or "chains" in teacher_run.info.config:
        return None
    made, now_asked = teacher_run.info.config, recipe.model_dump(mode="json")
    taught = {
        name: {key: made[name].get(key, _UNWRITTEN.get(key)) for key in keys}
        for name, keys in _COMPARED.items()
        if name in made
    }
    asked = {name: {key: now_asked[name].get(key, _UNWRITTEN.get(key)) for key in taught[name]} for name in taught}
    differing = [each for name in taught for each in differences(taught[name], asked[name], name)]
    if not differing:
        return None
    before, now = (", ".join(f"{each[0]}={each[side]}" for each in differing) for side in (1, 2))
    return (
        f"{student.info.name} learned from chains with {before} and is asked with {now}: give collect, train and "
        "evaluate the same recipe and settings, unless this is what you mean to try"
    )


def also_learned(student_uid: str, runs: Path, material: Material) -> int:
    """How many evaluation questions a student may have learned from.

    A training leaves out what its own material asks: only another evaluation can hold what was learned. 0 where it is
    not known, for the student's or its teacher's run is not below `runs`.
    """
    student = _run_of(runs, student_uid)
    teacher_run = student and _run_of(runs, student.info.config.get("teacher_run"))
    if not student or not teacher_run:
        return 0
    if student.info.config.get("not_learned") == not_learned(material, unasked(material, teacher_run)):
        return 0
    kept = {chain.question_id for chain in teacher_run.chains()}
    learned = [question for question in teacher_run.questions() if question.id in kept]
    return without_overlap(material.evaluation, learned)[1]


def _run_of(runs: Path, uid: object) -> RunDir | None:
    for file in runs.glob("*/run.json"):
        run = RunDir(file.parent)
        # A damaged run is none of this one's business.
        with suppress(UserError):
            if run.info.uid == uid:
                return run
    return None
