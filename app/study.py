"""Running a study: cell by cell, a cell being one variant with one seed, trained and then evaluated."""

from __future__ import annotations

import dataclasses
import glob
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.collecting import collect, collected_alike
from app.console import Console
from app.evaluating import evaluate, student_of
from app.training import train
from app.workplace import Workplace, open_workplace
from steper_core.config import ModelSection, Recipe, load_recipe
from steper_core.digests import digest_of
from steper_core.errors import UserError
from steper_core.material import load_material
from steper_core.rundir import RunDir, RunHeldError
from steper_core.study_plan import Study, Variant

Store = Callable[[RunDir], None]
"""Brings a finished run into the database."""

_PAUSE = 2.0
"""Seconds between two looks whether a run has become free."""


@dataclass(frozen=True)
class Cell:
    """One variant with one seed; an untrained variant has one cell."""

    study: Study
    variant: Variant
    seed: int

    @property
    def name(self) -> str:
        """What the names of its runs begin with."""
        parts = [self.study.name, self.variant.name, *([f"s{self.seed}"] if self.variant.train else [])]
        return "-".join(parts)

    @property
    def trained(self) -> Cell:
        """The cell that trains the student which this one evaluates: normally itself."""
        return dataclasses.replace(self, variant=self.study.owner(self.variant))

    @property
    def evaluation(self) -> str:
        """The name of its evaluation run."""
        return f"{self.name}-eval"


def cells_of(study: Study, only: Sequence[str] = (), seeds: Sequence[int] = ()) -> list[Cell]:
    """The cells of a study, one seed after the other, so that an early stop leaves whole comparisons.

    Raises:
        UserError: a variant or a seed is asked for that the study does not have.
    """
    names = [variant.name for variant in study.variants]
    unknown = next((name for name in only if name not in names), None)
    if unknown is not None:
        raise UserError(f"the study {study.name} has no variant {unknown!r}; there are: {', '.join(names)}")
    strange = next((seed for seed in seeds if seed not in study.seeds), None)
    if strange is not None:
        raise UserError(f"the study {study.name} has no seed {strange}; there are: {', '.join(map(str, study.seeds))}")
    chosen = [variant for variant in study.variants if not only or variant.name in only]
    untrained = [Cell(study, variant, 0) for variant in chosen if not variant.train]
    return untrained + [
        Cell(study, variant, seed) for seed in (seeds or study.seeds) for variant in chosen if variant.train
    ]


def run_cells(cells: Sequence[Cell], runs: Path, command: str, console: Console, store: Store) -> dict[str, str]:
    """Do the cells in their order, taking up whatever is finished; a cell that fails keeps no other from being done.

    Returns:
        Why cells failed, by their names.
    """
    opened: dict[str, Workplace] = {}

    def place_of(cell: Cell, extra: Sequence[str] = ()) -> Workplace:
        recipe = load_recipe(cell.study.recipe, (*cell.study.set, *cell.trained.variant.set, *extra))
        key = digest_of(_materials(recipe))
        if key not in opened:
            material = load_material(recipe)
            for remark in material.remarks:
                console.warn(remark)
            opened[key] = open_workplace(recipe, material, runs, command, console)
        return dataclasses.replace(opened[key], recipe=recipe, study=cell.study.reference(cell.variant))

    failed: dict[str, str] = {}
    for number, cell in enumerate(cells, start=1):
        console.say(f"{cell.name} ({number} of {len(cells)})")
        try:
            if cell.trained.name in failed:
                raise UserError(f"its student {cell.trained.name} could not be trained")
            place, tested = place_of(cell.trained), place_of(cell, cell.variant.evaluate)
            teacher_run = _taught_by(place, cell.study, store) if cell.variant.train else None
            _run_cell(cell, place, tested, teacher_run, store)
        except (UserError, OSError) as error:
            console.warn(f"{cell.name}: {error}")
            failed[cell.name] = str(error)
    return failed


def _taught_by(place: Workplace, study: Study, store: Store) -> RunDir:
    teacher = _teacher_name(place, study)
    teacher_run = _when_free(place.console, lambda: collect(dataclasses.replace(place, study=None), teacher))
    store(teacher_run)
    return teacher_run


def _run_cell(cell: Cell, place: Workplace, tested: Workplace, teacher_run: RunDir | None, store: Store) -> None:
    recipe = tested.recipe
    answered: dict[str, Any]
    if teacher_run is not None:
        trained = _when_free(
            place.console, lambda: train(place, cell.trained.name, teacher_run, place.recipe.train, cell.seed)
        )
        store(trained)
        model, reference = student_of(trained, recipe.student)
        info = trained.info
        answered = {
            "model": model,
            "checkpoint": reference,
            "method": info.method,
            "seed": info.seed,
            "base": info.model,
        }
    elif cell.variant.gold:
        answered = {"model": ModelSection(backend="gold", model="gold"), "method": "gold", "seed": cell.seed}
    else:
        answered = {"model": recipe.student, "method": "base", "seed": cell.seed}
    # Untrained variants are cells of every seed's process.
    store(_when_free(tested.console, lambda: evaluate(tested, cell.evaluation, reasoning=recipe.reasoning, **answered)))


def _when_free(console: Console, make: Callable[[], RunDir]) -> RunDir:
    """A run that several cells need: the process that comes first makes it, the others wait for it."""
    waiting = False
    while True:
        try:
            return make()
        except RunHeldError as held:
            if not waiting:
                console.say(f"waiting: {held}")
            waiting = True
            time.sleep(_PAUSE)


def _teacher_name(place: Workplace, study: Study) -> str:
    """One collect run for all variants that let the same teacher answer the same questions, and for later repeats."""
    begins = f"{study.name}-teacher-"
    known = (RunDir(file.parent) for file in place.runs.glob(f"{glob.escape(begins)}*/run.json"))
    if (found := collected_alike(place, known)) is not None:
        return found.path.name
    recipe = place.recipe
    asked = {**_materials(recipe), **recipe.model_dump(mode="json", include={"teacher", "collect", "reasoning"})}
    return f"{begins}{digest_of(asked)[:6]}"


def _materials(recipe: Recipe) -> dict[str, object]:
    """What decides over questions, passages and their index."""
    return recipe.model_dump(mode="json", include={"data", "worlds", "retrieval", "seed"})
