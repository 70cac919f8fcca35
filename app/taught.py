"""What a student was taught with, held against what it is asked with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from steper_core.config import Recipe
from steper_core.rundir import RunDir

_COMPARED = {"retrieval": ("top_k", "k1", "b"), "reasoning": ("framework", "max_steps")}


def taught_otherwise(student: RunDir, runs: Path, recipe: Recipe) -> str | None:
    """How the chains that a student learned from were retrieved and driven, where it is not as the recipe asks it now.

    None where nothing differs, or where it is not known: the collect run is not below `runs`, or its chains were made
    elsewhere.
    """
    taught = _config_of(runs, student.info.config.get("teacher_run"))
    if not taught or "chains" in taught:
        return None
    asked = recipe.model_dump(mode="json")
    differing = [
        (f"{section}.{key}", taught[section][key], asked[section][key])
        for section, keys in _COMPARED.items()
        for key in keys
        if key in taught.get(section, {}) and taught[section][key] != asked[section][key]
    ]
    if not differing:
        return None
    before, now = (", ".join(f"{each[0]}={each[side]}" for each in differing) for side in (1, 2))
    return (
        f"{student.info.name} learned from chains with {before} and is asked with {now}: give collect, train and "
        "evaluate the same recipe and settings, unless this is what you mean to try"
    )


def _config_of(runs: Path, uid: object) -> dict[str, Any] | None:
    for file in runs.glob("*/run.json"):
        info = RunDir(file.parent).info
        if info.uid == uid:
            return info.config
    return None
