"""Collect runs: chains of the teacher, a file or an earlier run, kept or rejected. Each resumes where it stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.console import Console
from app.options import run_path
from app.scoring import require_rules
from app.seeds import OF_A_SERVER
from app.step_filter import StepFilter, with_labels
from app.workplace import OF_FILES, Workplace, append_passages, datasets_of, run_config, write_questions
from evaluators.answers import score_answer
from evaluators.steps import score_steps
from steper_core.chain_import import read_chains
from steper_core.config import CollectSection, Recipe
from steper_core.datasets import left_out
from steper_core.digests import differences, file_digest
from steper_core.errors import UserError
from steper_core.records import Chain, Passage, Question
from steper_core.run_records import Rejection, RunKind, RunStatus
from steper_core.rundir import RunDir, open_run
from steper_core.systems import System, open_system
from steper_core.teaching import KeepRule

_LABELLED = "labelled steps"
_UNMATCHED = "labels that match no step"


def collect(
    place: Workplace, name: str, source: Path | RunDir | None = None, labels: StepFilter | None = None
) -> RunDir:
    """Let the teacher answer the training questions and keep what passes the filters.

    Chains of `source`, a file or an earlier collect run (its rejected ones too), take the place of the teacher's. With
    `labels` a chain is also left out when people rejected one of its steps.

    Raises:
        UserError: a run of that name with other settings, or a teacher, file or run that cannot be had.
    """
    recipe, material = place.recipe, place.material
    questions = [*material.training, *material.held_out]
    if not material.training:
        raise UserError("there are no training questions: name files with data.train, or lower data.held_out_questions")
    require_rules(questions)
    teacher, framework = _author(recipe, source)
    config = _config(place) | _origin(source) | ({"labels": labels.digest} if labels else {})
    with open_run(
        run_path(place.runs, name),
        kind=RunKind.COLLECT,
        config=config,
        dataset=datasets_of(questions),
        model=teacher,
        framework=framework,
        seed=recipe.seed,
        command=place.command,
        study=place.study,
        undecided=_undecided(recipe),
    ) as run:
        if run.info.status is not RunStatus.FINISHED:
            write_questions(run, questions, place.retriever.passages)
            keep = keep_rule(recipe.collect)
            keep = with_labels(keep, labels) if labels else keep
            if source is None:
                _collect_from_teacher(place, run, questions, keep)
            elif isinstance(source, RunDir):
                _collect_from_run(place, run, questions, keep, source)
            else:
                _collect_from_file(place, run, questions, keep, source)
            run.update(counts=_collect_counts(run) | (_label_counts(run, labels) if labels else {}))
        _report_collected(place.console, run)
    return run


def collected_alike(place: Workplace, runs: Iterable[RunDir]) -> RunDir | None:
    """The run of this teacher on these questions, wherever files and servers were found then.

    Of several the one that was finished first, or begun first where none is finished.
    """
    wanted, free = _config(place), set(_undecided(place.recipe))
    alike = []
    for run in runs:
        # A damaged run is none of this one's business.
        with suppress(UserError):
            info = run.info
            changed = {key for key, *_ in differences(info.config, wanted)}
            if info.kind is RunKind.COLLECT and changed <= free:
                alike.append((info.status is not RunStatus.FINISHED, info.started, run))
    return min(alike, key=lambda each: each[:2])[-1] if alike else None


def _config(place: Workplace) -> dict[str, Any]:
    """What the chains of the recipe's teacher depend on."""
    questions = [*place.material.training, *place.material.held_out]
    return run_config(place.recipe, place.material, questions, "teacher", "collect")


def _undecided(recipe: Recipe) -> tuple[str, ...]:
    """What may change while a teacher is asked: how files are called, where its server is, how busy it is kept."""
    return (*OF_FILES, "chains", *(f"teacher.{key}" for key in OF_A_SERVER if recipe.teacher.backend == "openai"))


def _author(recipe: Recipe, source: Path | RunDir | None) -> tuple[str, str]:
    """The model that wrote the chains, or the file that they stand in, and how their steps were driven."""
    if isinstance(source, RunDir):
        return source.info.model, source.info.framework
    return source.name if source else recipe.teacher.model, recipe.reasoning.framework


def _origin(source: Path | RunDir | None) -> dict[str, Any]:
    """Where chains come from that no teacher writes; of an earlier run also how they were made there."""
    if source is None:
        return {}
    if isinstance(source, Path):
        return {"chains": str(source), "chains_digest": file_digest(source)}
    made = ("teacher", "retrieval", "reasoning", "chains", "chains_digest")
    return {"from_run": source.info.uid, **{key: value for key, value in source.info.config.items() if key in made}}


def keep_rule(settings: CollectSection) -> KeepRule:
    """The filter of the teacher's chains: the answer must match, and optionally each step's gold passage be there."""

    def keep(question: Question, chain: Chain) -> str | None:
        if chain.answer is None:
            return f"no answer ({chain.stop_reason.value.replace('_', ' ')})"
        if not all(chain.rationales):
            # As targets these would teach a student to write nothing.
            return "an empty step"
        if any(step.cut for step in chain.steps):
            return "a line cut at reasoning.max_new_tokens"
        score = score_answer(chain.answer, question.golds, question.dataset)
        passed = {"em": score.em == 1, "f1": score.f1 >= settings.min_f1, "contains": score.acc_bounded == 1}
        if not passed[settings.answer_filter]:
            return f"answer fails {settings.answer_filter}"
        if settings.gold_passage_filter and any(
            step.gold_passage.value == 0 for step in score_steps(chain, question).steps
        ):
            return "gold passage missing"
        return None

    return keep


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
    imported = read_chains(file, by_id)
    for remark in left_out(imported.problems):
        place.console.warn(remark)
    if imported.completed:
        place.console.warn(
            f"chains that end without an answer line: {imported.completed:,}; it was added as a step of its own"
        )
    _sort_all(run, by_id, imported.chains, keep, imported.passages)


def _collect_from_run(
    place: Workplace, run: RunDir, questions: Sequence[Question], keep: KeepRule, source: RunDir
) -> None:
    by_id = {question.id: question for question in questions}
    # Generated questions are numbered alike in every world.
    same = {each.id for each in source.questions() if each.id in by_id and by_id[each.id].text == each.text}
    chains = [*source.chains(), *(entry.chain for entry in source.rejected())]
    known = [chain for chain in chains if chain.question_id in same]
    _sort_all(run, by_id, known, keep, source.passages())
    if strange := len(chains) - len(known):
        place.console.warn(
            f"{strange:,} chains of {source.info.name} left out: their questions are not among the {len(questions):,} "
            "asked for here (data.train_questions)"
        )


def _collected(run: RunDir) -> set[str]:
    return {chain.question_id for chain in run.chains()} | {entry.chain.question_id for entry in run.rejected()}


def _sort_all(
    run: RunDir,
    questions: Mapping[str, Question],
    chains: Iterable[Chain],
    keep: KeepRule,
    passages: Iterable[Passage],
) -> None:
    """Sort in those of the chains that the run does not hold yet."""
    done = _collected(run)
    by_id = {passage.id: passage for passage in passages}
    for chain in chains:
        if chain.question_id not in done:
            _sort_in(run, questions[chain.question_id], chain, keep, by_id)


def _sort_in(run: RunDir, question: Question, chain: Chain, keep: KeepRule, passages: Mapping[str, Passage]) -> None:
    append_passages(run, [chain], passages)
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
