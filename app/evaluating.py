"""Evaluate runs: one system's chains for the evaluation questions, scored. It resumes at the next question."""

from __future__ import annotations

from app.console import Console
from app.costs import costs_of, energy_recorded
from app.options import run_path
from app.scoring import require_rules, score_run
from app.taught import also_learned
from app.workplace import OF_FILES, Workplace, append_passages, datasets_of, run_config, write_questions
from steper_core.checkpoints import best_checkpoint, checkpoint_at, training_step_of
from steper_core.config import ModelSection, ReasoningSection
from steper_core.digests import digest_of
from steper_core.errors import UserError
from steper_core.reasoning import windows_left
from steper_core.run_records import CheckpointRef, RunKind, RunStatus
from steper_core.rundir import RunDir, is_finished, open_run
from steper_core.systems import as_student, open_system


def evaluate(
    place: Workplace,
    name: str,
    model: ModelSection,
    reasoning: ReasoningSection,
    *,
    method: str = "",
    seed: int = 0,
    checkpoint: CheckpointRef | None = None,
    base: str | None = None,
) -> RunDir:
    """Answer the evaluation questions with one system and score every chain and step.

    `base` is what a checkpoint's student was before its training: the model that the run is known by.

    Raises:
        UserError: no evaluation questions, a run of that name with other settings, or a model that cannot be had.
    """
    recipe, material = place.recipe, place.material
    path = run_path(place.runs, name)
    questions = material.evaluation
    if not questions:
        raise UserError("there are no evaluation questions: name files with data.evaluation")
    require_rules(questions)
    learned = also_learned(checkpoint.run_uid, place.runs, material) if checkpoint else 0
    if checkpoint and learned:
        place.console.warn(
            f"{checkpoint.run_name} may have learned from {learned:,} of these {len(questions):,} questions: what is "
            "right there it may know by heart"
        )
    # Worked examples in a prompt come from the training questions.
    shown = material.training if model.backend != "gold" and model.demonstrations else ()
    config = run_config(recipe, material, questions) | {
        **({"shown": digest_of({"questions": [question.id for question in shown]})} if shown else {}),
        "model": model.model_dump(mode="json"),
        "reasoning": reasoning.model_dump(mode="json"),
        "checkpoint": checkpoint.model_dump(mode="json") if checkpoint else None,
        **({} if is_finished(path) else _computed_in(model)),
    }
    with open_run(
        path,
        kind=RunKind.EVALUATE,
        config=config,
        dataset=datasets_of(questions),
        model=base or model.model,
        method=method,
        framework=reasoning.framework,
        seed=seed,
        command=place.command,
        study=place.study,
        checkpoint=checkpoint,
        # The folder of a checkpoint may be called by another name or have moved: its run is known by its uid.
        undecided=(*OF_FILES, *(("model.model", "checkpoint.run_name") if checkpoint else ()), *_of_an_address(model)),
    ) as run:
        if run.info.status is not RunStatus.FINISHED:
            write_questions(run, questions, place.retriever.passages)
            _answer_rest(place, run, model, reasoning, seed)
            with place.console.status(f"scoring {name}"):
                score_run(run)
            facts = run.info.facts
            found = {"also_learned": learned, "lines_cut": _lines_cut(place.console, run, reasoning)}
            _warn_of_ends(place.console, run)
            run.update(
                facts={**facts, **costs_of(list(run.chains()), model, reasoning, facts)},
                counts={**run.info.counts, **{count: number for count, number in found.items() if number}},
            )
    return run


def _answer_rest(place: Workplace, run: RunDir, model: ModelSection, reasoning: ReasoningSection, seed: int) -> None:
    """Let a system answer those evaluation questions that the run holds no chain of yet."""
    recipe, material, questions = place.recipe, place.material, place.material.evaluation
    done = {chain.question_id for chain in run.chains()}
    if len(done) == len(questions):
        return
    with place.console.status(f"loading {model.model}"):
        system = open_system(model, reasoning, recipe.retrieval, place.retriever, material.training, recipe.seed, seed)
    # The first search of a process compiles: that is no part of what a question costs.
    place.retriever.search([questions[0].text], 1, [set()])
    run.update(facts={**run.info.facts, **system.facts})
    computed = sum(len(window) for window in windows_left(questions, done, reasoning.window))
    label = f"evaluate {run.info.name}"
    with place.console.progress(label, "questions") as advance, energy_recorded(run, computed):
        for count, chain in enumerate(system.answer(questions, done), start=len(done) + 1):
            append_passages(run, [chain], place.retriever.passages)
            run.append_chains([chain])
            advance(count, len(questions))


def _lines_cut(console: Console, run: RunDir, reasoning: ReasoningSection) -> int:
    """How many lines the limit of tokens ended, told where there are any."""
    cut = sum(step.cut for chain in run.chains() for step in chain.steps)
    if cut:
        console.warn(f"{run.info.name}: {cut:,} lines were cut at reasoning.max_new_tokens={reasoning.max_new_tokens}")
    return cut


def _warn_of_ends(console: Console, run: RunDir) -> None:
    """Say how many chains have no answer for another reason than what the model wrote."""
    counts = run.info.counts
    if too_long := counts.get("stopped: too_long"):
        console.warn(
            f"{run.info.name}: {too_long:,} chains ended without an answer, for their next prompt did not fit into the "
            "model's context: lower retrieval.top_k, reasoning.max_steps or student.demonstrations"
        )
    if refused := counts.get("stopped: refused"):
        console.warn(f"{run.info.name}: {refused:,} chains ended without an answer, for there was no usable line")


def _of_an_address(model: ModelSection) -> tuple[str, ...]:
    """Where a server is found says nothing of what it serves."""
    return ("model.base_url",) if model.backend == "openai" else ()


def _computed_in(model: ModelSection) -> dict[str, str]:
    """The number format of a local model, which is the machine's where settings leave it open."""
    if model.backend != "local":
        return {}
    from steper_core.devices import number_format

    return {"number_format": number_format(model.dtype, model.device)}


def student_of(run: RunDir, model: ModelSection, step: int | None = None) -> tuple[ModelSection, CheckpointRef]:
    """A checkpoint of a training run (the best one, or that of a training step) as a model to evaluate.

    Raises:
        UserError: no finished training run, or no checkpoint of that step; the message lists the steps.
    """
    folder = best_checkpoint(run) if step is None else checkpoint_at(run, step)
    info = run.info
    reference = CheckpointRef(run_uid=info.uid, run_name=info.name, step=training_step_of(folder))
    return as_student(model, str(folder), info.method), reference
