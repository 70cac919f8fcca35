"""The main job from end to end: teacher chains, two students, six systems side by side, all stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.collecting import collect
from app.console import Console
from app.evaluating import evaluate, student_of
from app.training import train
from app.workplace import Workplace, datasets_of, open_workplace
from db import ingest, open_database
from evaluators.intervals import spread_over_seeds
from steper_core.config import Method, ModelSection, ReasoningSection, Recipe, TrainSection
from steper_core.errors import UserError
from steper_core.material import load_material
from steper_core.run_records import CheckpointRef, RunInfo
from steper_core.rundir import RunDir
from steper_core.systems import with_framework

METHODS: tuple[Method, ...] = ("vanilla-kd", "steper")


@dataclass(frozen=True)
class Contender:
    """A system to evaluate: its label in tables, which also ends the name of its run."""

    label: str
    model: ModelSection
    reasoning: ReasoningSection
    method: str
    seed: int = 0
    checkpoint: CheckpointRef | None = None


def run_demo(recipe: Recipe, runs: Path, database_url: str, command: str, console: Console) -> dict[str, RunInfo]:
    """Do the main job, taking up whatever is finished already, and return the evaluation runs by label.

    Raises:
        UserError: data, model or settings at fault.
    """
    if recipe.train.method not in METHODS:
        raise UserError(
            f"the demo trains {' and '.join(METHODS)}: train with {recipe.train.method} by `steper train`, or compare "
            "methods by `steper study`"
        )
    material = load_material(recipe)
    for remark in material.remarks:
        console.warn(remark)
    console.say(
        f"{material.dataset}: {len(material.training)} training, {len(material.held_out)} held-out and "
        f"{len(material.evaluation)} evaluation questions over {len(material.corpus):,} passages"
    )
    place = open_workplace(recipe, material, runs, command, console)
    engine = open_database(database_url)

    def store(run: RunDir) -> RunDir:
        ingest(engine, run.path)
        return run

    results = {contender.label: store(_evaluate(place, contender)).info for contender in _untrained(recipe)}
    teacher_run = store(collect(place, f"{recipe.name}-teacher"))
    for settings in methods_of(recipe.train):
        method = settings.method
        for seed in settings.seeds:
            student = store(train(place, f"{recipe.name}-{method}-s{seed}", teacher_run, settings, seed))
            model, reference = student_of(student, recipe.student)
            label = method if len(recipe.train.seeds) == 1 else f"{method}, seed {seed}"
            contender = Contender(label, model, recipe.reasoning, method, seed, reference)
            results[label] = store(_evaluate(place, contender)).info
    _report(place, results)
    return results


def methods_of(train_settings: TrainSection) -> list[TrainSection]:
    """The settings of each method; only steper has abilities to choose and to weight."""
    of_one = {"loss", "abilities", "expansion_steps", "weighting", "weights"}
    shared = train_settings.model_dump(exclude={"method", *of_one})
    own = train_settings.model_dump(include=of_one)
    by_method = {method: own if method == train_settings.method else {} for method in METHODS}
    return [TrainSection.model_validate({**shared, "method": method, **by_method[method]}) for method in METHODS]


def _untrained(recipe: Recipe) -> list[Contender]:
    student, reasoning = recipe.student, recipe.reasoning
    return [
        Contender("base, no retrieval", student, with_framework(reasoning, "closed-book"), "base"),
        Contender("base, one retrieval", student, with_framework(reasoning, "rag"), "base"),
        Contender("base", student, reasoning, "base"),
        Contender("gold teacher", ModelSection(backend="gold", model="gold"), reasoning, "gold"),
    ]


def _evaluate(place: Workplace, contender: Contender) -> RunDir:
    parts = [place.recipe.name, "eval", contender.method]
    if contender.reasoning.framework != place.recipe.reasoning.framework:
        parts.append(contender.reasoning.framework)
    if contender.checkpoint is not None:
        parts.append(f"s{contender.seed}")
    return evaluate(
        place,
        "-".join(parts),
        contender.model,
        contender.reasoning,
        method=contender.method,
        seed=contender.seed,
        checkpoint=contender.checkpoint,
        base=place.recipe.student.model if contender.checkpoint else None,
    )


def _report(place: Workplace, results: dict[str, RunInfo]) -> None:
    console = place.console
    console.results(f"{datasets_of(place.material.evaluation)}: percent with 95 % intervals over questions", results)
    seeds = len(place.recipe.train.seeds)
    if seeds > 1:
        for method in METHODS:
            own = [info.figures["em"].mean for info in results.values() if info.method == method]
            spread = spread_over_seeds(own)
            if spread.mean is not None and spread.deviation is not None:
                console.say(
                    f"{method}: EM {spread.mean * 100:.1f} ± {spread.deviation * 100:.1f} over {spread.n} seeds"
                )
    count = len(place.material.evaluation)
    half_width = 100 * 1.96 * 0.5 / max(1, count) ** 0.5
    console.say(
        f"With {count} questions a figure near 50 % is known to about ±{half_width:.0f} points; "
        "500 questions give ±4. " + _larger_run(place, results)
    )


def _larger_run(place: Workplace, results: dict[str, RunInfo]) -> str:
    """What the paper's kind of run would take here, from the speeds just measured."""
    trained = [
        RunDir(place.runs / f"{place.recipe.name}-{method}-s{place.recipe.train.seeds[0]}").info for method in METHODS
    ]
    chains = trained[0].counts.get("chains", 0)
    asked = len(place.material.evaluation)
    if not chains or not asked:
        return ""
    training = sum(info.facts["training_seconds"] for info in trained) * 2000 / chains
    answering = sum(info.facts.get("seconds_per_question", 0.0) for info in results.values()) * 500
    return (
        f"On this machine 2,000 training and 500 evaluation questions would take about "
        f"{(training + answering) / 3600:.1f} hours."
    )
