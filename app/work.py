"""The three kinds of runs, composed from the layers: collect, train, evaluate. Each resumes where it stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.console import Console
from app.costs import costs_of, energy_recorded
from app.options import run_path
from app.scoring import score_run
from app.step_filter import StepFilter, with_labels
from app.stopping import asked_to_stop
from evaluators.answers import score_answer
from evaluators.steps import score_steps
from steper_core.chain_import import read_chains
from steper_core.checkpoints import best_checkpoint, checkpoint_at, resolve_model, training_step_of
from steper_core.config import CollectSection, ModelSection, ReasoningSection, Recipe, TrainSection
from steper_core.datasets import without_overlap
from steper_core.digests import digest_of, file_digest
from steper_core.errors import UserError
from steper_core.material import Material
from steper_core.ranks import rank, shared_run, world_size
from steper_core.reasoning import windows_left
from steper_core.records import Chain, Passage, Question
from steper_core.retrieval import IndexSettings, Retriever, corpus_digest, open_retriever
from steper_core.run_records import CheckpointRef, Rejection, RunKind, RunStatus, StudyRef
from steper_core.rundir import RunDir, open_run
from steper_core.systems import System, as_student, open_system
from steper_core.teaching import KeepRule

_LABELLED = "labelled steps"
_UNMATCHED = "labels that match no step"


@dataclass(frozen=True)
class Workplace:
    """What all runs of a piece of work share."""

    recipe: Recipe
    material: Material
    retriever: Retriever
    runs: Path
    command: str
    console: Console
    study: StudyRef | None = None


def open_workplace(recipe: Recipe, material: Material, runs: Path, command: str, console: Console) -> Workplace:
    """Index the corpus (or read its index from the runs folder)."""
    settings = IndexSettings(k1=recipe.retrieval.k1, b=recipe.retrieval.b)
    with console.status(f"indexing {len(material.corpus):,} passages"):
        retriever = open_retriever(material.corpus, settings, runs / ".index")
    return Workplace(recipe, material, retriever, runs, command, console)


def collect(place: Workplace, name: str, chains_file: Path | None = None, labels: StepFilter | None = None) -> RunDir:
    """Let the teacher answer the training questions, or bring chains in from a file, and keep what passes the filters.

    With `labels` a chain is also left out when people rejected one of its steps.

    Raises:
        UserError: a run of that name with other settings, or a teacher that cannot be had.
    """
    recipe, material = place.recipe, place.material
    questions = [*material.training, *material.held_out]
    if not questions:
        raise UserError("there are no training questions: name files with data.train, or lower data.held_out_questions")
    teacher = recipe.teacher.model if chains_file is None else chains_file.name
    config = _config(recipe, material, questions, "teacher", "collect")
    config |= {"chains": str(chains_file), "chains_digest": file_digest(chains_file)} if chains_file else {}
    config |= {"labels": labels.digest} if labels else {}
    with open_run(
        run_path(place.runs, name),
        kind=RunKind.COLLECT,
        config=config,
        dataset=material.dataset,
        model=teacher,
        framework=recipe.reasoning.framework,
        seed=recipe.seed,
        command=place.command,
        study=place.study,
    ) as run:
        if run.info.status is not RunStatus.FINISHED:
            _write_questions(run, questions, place.retriever.passages)
            keep = keep_rule(recipe.collect)
            keep = with_labels(keep, labels) if labels else keep
            if chains_file is None:
                _collect_from_teacher(place, run, questions, keep)
            else:
                _collect_from_file(place, run, questions, keep, chains_file)
            run.update(counts=_collect_counts(run) | (_label_counts(run, labels) if labels else {}))
        _report_collected(place.console, run)
    return run


def keep_rule(settings: CollectSection) -> KeepRule:
    """The filter of the teacher's chains: the answer must match, and optionally each step's gold passage be there."""

    def keep(question: Question, chain: Chain) -> str | None:
        if chain.answer is None:
            return "no answer"
        score = score_answer(chain.answer, question.golds, question.dataset)
        passed = {"em": score.em == 1, "f1": score.f1 >= settings.min_f1, "contains": score.acc == 1}
        if not passed[settings.answer_filter]:
            return f"answer fails {settings.answer_filter}"
        if settings.gold_passage_filter and any(
            step.gold_passage.value == 0 for step in score_steps(chain, question).steps
        ):
            return "gold passage missing"
        return None

    return keep


def train(place: Workplace, name: str, teacher_run: RunDir, settings: TrainSection, seed: int) -> RunDir:
    """Train one student on the kept chains of a collect run.

    Raises:
        UserError: no chain to train on, a run of that name with other settings, or a base model that cannot be had.
    """
    from steper_core.devices import pick_device
    from steper_core.training import Models, train_on_chains

    recipe, material = place.recipe, place.material
    source = teacher_run.info
    held_out = {question.id for question in material.held_out}
    banned = unasked(place, teacher_run)
    config = {
        "teacher_run": source.uid,
        "student": recipe.student.model_dump(mode="json"),
        "train": settings.model_dump(mode="json", exclude={"seeds"}),
        "followed_teacher": _stored_teacher(settings) or _teacher_name(recipe, settings),
        "held_out_questions": len(material.held_out),
        "not_learned": digest_of({"held_out": sorted(held_out), "banned": sorted(banned)}),
    }
    path = run_path(place.runs, name)
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
    )
    with shared_run(opener, path, cpu=pick_device(recipe.student.device).type == "cpu") as run:
        if run.info.status is not RunStatus.FINISHED:
            stopping = asked_to_stop(place.console) if world_size() == 1 else nullcontext(lambda: False)
            with (
                place.console.progress(f"train {settings.method}", "steps") as advance,
                energy_recorded(run),
                stopping as stop,
            ):
                outcome = train_on_chains(
                    Models(
                        resolve_model(recipe.student.model), recipe.student.model, followed_teacher(recipe, settings)
                    ),
                    teacher_run,
                    settings,
                    held_out=held_out,
                    banned=banned,
                    seed=seed,
                    run=run,
                    device=recipe.student.device,
                    on_progress=advance,
                    stop=stop,
                )
            run.update(facts={**run.info.facts, **outcome.facts}, counts=outcome.counts)
        if rank() == 0:
            _report_trained(place.console, run)
    return run


def unasked(place: Workplace, teacher_run: RunDir) -> set[str]:
    """Ids of questions that a student must not learn from: the evaluation asks them."""
    asked_of_teacher = list(teacher_run.questions())
    free, _ = without_overlap(asked_of_teacher, place.material.evaluation)
    return {question.id for question in asked_of_teacher} - {question.id for question in free}


def _teacher_name(recipe: Recipe, settings: TrainSection) -> str | None:
    """The model whose logits or hidden states a student follows, if its loss follows any."""
    if settings.loss == "cross-entropy" or settings.logits.stored:
        return None
    return settings.teacher or (recipe.teacher.model if recipe.teacher.backend == "local" else None)


def _stored_teacher(settings: TrainSection) -> str | None:
    from steper_core.soft_targets import stored_teacher

    return stored_teacher(Path(settings.stored_logits)) if settings.stored_logits else None


def followed_teacher(recipe: Recipe, settings: TrainSection) -> Path | None:
    """The folder of the model whose logits or hidden states a student follows; None if there is none or none is needed.

    Raises:
        UserError: a model that cannot be had.
    """
    name = _teacher_name(recipe, settings)
    return None if name is None else resolve_model(name)


def evaluate(
    place: Workplace,
    name: str,
    model: ModelSection,
    reasoning: ReasoningSection,
    *,
    method: str = "",
    seed: int = 0,
    checkpoint: CheckpointRef | None = None,
) -> RunDir:
    """Answer the evaluation questions with one system and score every chain and step.

    Raises:
        UserError: no evaluation questions, a run of that name with other settings, or a model that cannot be had.
    """
    recipe, material = place.recipe, place.material
    questions = material.evaluation
    if not questions:
        raise UserError("there are no evaluation questions: name files with data.evaluation")
    config = _config(recipe, material, questions) | {
        "model": model.model_dump(mode="json"),
        "reasoning": reasoning.model_dump(mode="json"),
        "checkpoint": checkpoint.model_dump(mode="json") if checkpoint else None,
    }
    with open_run(
        run_path(place.runs, name),
        kind=RunKind.EVALUATE,
        config=config,
        dataset=material.dataset,
        model=recipe.student.model if checkpoint else model.model,
        method=method,
        framework=reasoning.framework,
        seed=seed,
        command=place.command,
        study=place.study,
        checkpoint=checkpoint,
    ) as run:
        if run.info.status is not RunStatus.FINISHED:
            _write_questions(run, questions, place.retriever.passages)
            done = {chain.question_id for chain in run.chains()}
            if len(done) < len(questions):
                with place.console.status(f"loading {model.model}"):
                    system = open_system(
                        model, reasoning, recipe.retrieval, place.retriever, material.training, recipe.seed
                    )
                run.update(facts={**run.info.facts, **system.facts})
                label = f"evaluate {name}"
                computed = sum(len(window) for window in windows_left(questions, done, reasoning.window))
                with place.console.progress(label, "questions") as advance, energy_recorded(run, computed):
                    for count, chain in enumerate(system.answer(questions, done), start=len(done) + 1):
                        _append_passages(run, [chain], place.retriever.passages)
                        run.append_chains([chain])
                        advance(count, len(questions))
            with place.console.status(f"scoring {name}"):
                score_run(run)
            facts = run.info.facts
            run.update(facts={**facts, **costs_of(list(run.chains()), model, reasoning, facts)})
    return run


def student_of(run: RunDir, model: ModelSection, step: int | None = None) -> tuple[ModelSection, CheckpointRef]:
    """A checkpoint of a training run (the best one, or that of a training step) as a model to evaluate.

    Raises:
        UserError: no finished training run, or no checkpoint of that step; the message lists the steps.
    """
    folder = best_checkpoint(run) if step is None else checkpoint_at(run, step)
    info = run.info
    reference = CheckpointRef(run_uid=info.uid, run_name=info.name, step=training_step_of(folder))
    return as_student(model, str(folder), info.method), reference


def _config(recipe: Recipe, material: Material, questions: Sequence[Question], *sections: str) -> dict[str, Any]:
    used = ["retrieval", "data" if recipe.data.paths or recipe.data.evaluation or recipe.data.train else "worlds"]
    dumped = recipe.model_dump(mode="json")
    reasoning = {"reasoning": dumped["reasoning"]} if sections else {}
    return {
        "seed": recipe.seed,
        "corpus": corpus_digest(material.corpus),
        "questions": digest_of({"questions": [question.model_dump(mode="json") for question in questions]}),
        **{section: dumped[section] for section in (*used, *sections)},
        **reasoning,
    }


def _write_questions(run: RunDir, questions: Sequence[Question], passages: Mapping[str, Passage]) -> None:
    run.write_questions(questions)
    gold = (key for question in questions for key in question.gold_passage_ids if key in passages)
    run.append_passages(passages[key] for key in gold)


def _append_passages(run: RunDir, chains: Iterable[Chain], passages: Mapping[str, Passage]) -> None:
    run.append_passages(passages[key] for chain in chains for key in chain.passage_ids)


def _collect_from_teacher(place: Workplace, run: RunDir, questions: Sequence[Question], keep: KeepRule) -> None:
    recipe = place.recipe
    done = _collected(run)
    by_id = {question.id: question for question in questions}
    system: System = open_system(
        recipe.teacher, recipe.reasoning, recipe.retrieval, place.retriever, place.material.training, recipe.seed
    )
    run.update(facts={**run.info.facts, **system.facts})
    with place.console.progress(f"collect from {recipe.teacher.model}", "questions") as advance:
        for count, chain in enumerate(system.answer(questions, done), start=len(done) + 1):
            _sort_in(run, by_id[chain.question_id], chain, keep, place.retriever.passages)
            advance(count, len(questions))
    _note_refused(place, run, system)


def _note_refused(place: Workplace, run: RunDir, system: System) -> None:
    # max_tokens is sent by another name: nothing is lost by it.
    refused = sorted(system.refused - {"max_tokens"})
    for option in refused:
        place.console.warn(f"the teacher's server refuses the option {option}: it was left out")
    run.update(facts={**run.info.facts, **{f"server_refuses_{option}": 1.0 for option in refused}})


def _collect_from_file(
    place: Workplace, run: RunDir, questions: Sequence[Question], keep: KeepRule, file: Path
) -> None:
    by_id = {question.id: question for question in questions}
    done = _collected(run)
    imported = read_chains(file, by_id)
    for problem in imported.problems[:10]:
        place.console.warn(f"{problem} (left out)")
    passages = {passage.id: passage for passage in imported.passages}
    for chain in imported.chains:
        if chain.question_id not in done:
            _sort_in(run, by_id[chain.question_id], chain, keep, passages)


def _collected(run: RunDir) -> set[str]:
    return {chain.question_id for chain in run.chains()} | {entry.chain.question_id for entry in run.rejected()}


def _sort_in(run: RunDir, question: Question, chain: Chain, keep: KeepRule, passages: Mapping[str, Passage]) -> None:
    _append_passages(run, [chain], passages)
    reason = keep(question, chain)
    if reason is None:
        run.append_chains([chain])
    else:
        run.append_rejected([Rejection(reason=reason, chain=chain)])


def _collect_counts(run: RunDir) -> dict[str, int]:
    reasons = Counter(entry.reason for entry in run.rejected())
    rejected = {f"rejected: {reason}": count for reason, count in sorted(reasons.items())}
    return {"kept": sum(1 for _ in run.chains()), **rejected}


def _label_counts(run: RunDir, labels: StepFilter) -> dict[str, int]:
    by_id = {question.id: question for question in run.questions()}
    chains = [*run.chains(), *(entry.chain for entry in run.rejected())]
    matching = labels.matching((by_id[chain.question_id], chain) for chain in chains)
    return {_LABELLED: matching, _UNMATCHED: labels.places - matching}


def _report_collected(console: Console, run: RunDir) -> None:
    counts = dict(run.info.counts)
    kept, labelled, unmatched = counts.pop("kept", 0), counts.pop(_LABELLED, None), counts.pop(_UNMATCHED, 0)
    rejected = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    console.say(f"{run.path.name}: kept {kept} chains" + (f" ({rejected})" if rejected else ""))
    if labelled is not None:
        console.say(f"{run.path.name}: {labelled} of {labelled + unmatched} labelled steps occur in these chains")
    if unmatched:
        console.warn(f"labels that match no step: {unmatched} (of another teacher, question or text)")


def _report_trained(console: Console, run: RunDir) -> None:
    info = run.info
    facts, counts = info.facts, info.counts
    console.say(
        f"{info.name}: {counts['examples']} examples of {counts['chains']} chains "
        f"({counts['cut']} cut, {counts['left_out']} left out at the length limit), "
        f"{facts['tokens_per_second']:.0f} tokens/s, best at step {facts['best_step']:.0f}, "
        f"checkpoints {facts['disk_bytes'] / 1e6:,.0f} MB"
    )
