"""The result of a study: a row a variant, with intervals over seeds and questions, and what it shows in words."""

from __future__ import annotations

import dataclasses
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from app.plain import plain
from app.seeds import system_of
from app.versions import version_order
from db.queries import RunArrays, RunRow, ScoreArray, StudyRow
from evaluators.over_seeds import SystemMean, against_each, system_mean
from evaluators.resampling import Values

ScoreName = tuple[str, str]

COLUMNS: Mapping[ScoreName, str] = {
    ("em", ""): "EM",
    ("f1", ""): "F1",
    ("acc", ""): "Acc",
    ("acc_text", ""): "Acc, whole text",
    ("gold_recall", ""): "Gold recall",
    ("hops_reached", ""): "Hops reached",
    ("steps_before_error", ""): "Steps before error",
    ("sub_answer", "initialization"): "Sub-answers, init",
    ("sub_answer", "expansion"): "Sub-answers, exp",
}
"""Scores of chains, and of their steps of an ability, with their names in tables."""

REFERENCE = "vanilla-kd"
"""The method that others are measured against where a variant has it, as in the paper; else the first trained one."""

_IN_GROUPS = ("scaling", "out-of-domain")
"""Kinds of studies that compare methods only between students of one base, taught and asked alike."""


@dataclasses.dataclass(frozen=True)
class VariantResult:
    """One variant: its evaluation runs, a mean for each column, and what a question costs."""

    name: str
    runs: tuple[RunRow, ...]
    means: Mapping[ScoreName, SystemMean]
    seconds: float | None
    parameters: float | None


@dataclasses.dataclass(frozen=True)
class StudyResult:
    """A study as far as it is done."""

    study: StudyRow
    variants: tuple[VariantResult, ...]
    notes: tuple[str, ...]


def studies_of(runs: Iterable[RunRow]) -> dict[str, list[RunRow]]:
    """Finished evaluation runs by study, each study's in the order of its variants and seeds."""
    found: dict[str, list[RunRow]] = {}
    for run in runs:
        if run.study is not None and run.kind == "evaluate" and run.status == "finished":
            found.setdefault(run.study.name, []).append(run)
    return {name: sorted(own, key=_place) for name, own in sorted(found.items())}


def study_result(
    runs: Sequence[RunRow],
    arrays: Sequence[RunArrays | None],
    scores: Sequence[ScoreArray],
) -> StudyResult:
    """The result of a study from its evaluation runs (at least one, in the order of `studies_of`).

    Of a study that was done again, of each variant only the runs with the settings of its last one count, and of two
    with the same seed the last one.
    """
    repeated = runs
    runs = _counting(runs)
    questions = {each.run_id: tuple(each.question_ids.tolist()) for each in arrays if each is not None}
    shown = [each for each in scores if (each.name, each.ability) in COLUMNS]
    newest = {each.evaluator: each.version for each in sorted(shown, key=version_order)}
    values = {
        (each.run_id, (each.name, each.ability)): tuple(each.values.tolist())
        for each in shown
        if each.version == newest[each.evaluator]
    }
    grouped: dict[str, list[RunRow]] = {}
    for run in runs:
        if run.study is not None and run.id in questions:
            grouped.setdefault(run.study.variant, []).append(run)
    variants, em = [], {}
    for name, own in grouped.items():
        shared = _shared([questions[run.id] for run in own])
        means = {}
        for column in COLUMNS:
            found = [_on(shared, questions[run.id], values.get((run.id, column))) for run in own]
            means[column] = system_mean(found)
        em[name] = (own, shared)
        variants.append(
            VariantResult(name, tuple(own), means, _fact(own, "seconds_per_question"), _fact(own, "parameters_total"))
        )
    study = next(run.study for run in runs if run.study is not None)
    notes = (
        *_superseded(repeated, runs),
        *_outdated(runs, shown, newest),
        *_notes(em, questions, values, _groups(study, em)),
    )
    return StudyResult(study, tuple(variants), notes)


def cells(result: StudyResult) -> tuple[list[str], list[list[str]]]:
    """Header and rows as text: percent with intervals, questions of EM, seeds, seconds a question."""
    rows = [
        [
            variant.name,
            *(_figure(variant, column) for column in COLUMNS),
            str(variant.means["em", ""].n),
            str(len(variant.runs)),
            "–" if variant.seconds is None else f"{variant.seconds:.2f}",
        ]
        for variant in result.variants
    ]
    return ["variant", *COLUMNS.values(), "n", "seeds", "s/question"], rows


def markdown(result: StudyResult) -> str:
    """The table as markdown, with its sentences below. Names of foreign runs are in it as text."""
    header, rows = cells(result)
    lines = [f"# {_as_text(headline(result.study))}", "", "Percent, with 95 % intervals over seeds and questions.", ""]
    lines += [_line(header), _line(["---", *["---:"] * (len(header) - 1)]), *map(_line, rows)]
    return "\n".join([*lines, "", *(f"- {_as_text(note)}" for note in result.notes)]) + "\n"


def headline(study: StudyRow) -> str:
    """What a study is called, with the table or figure of the paper that asks the same."""
    return f"{study.title} (paper: {study.paper})" if study.paper else study.title


def percent(found: SystemMean) -> str:
    """A mean with its interval."""
    if found.mean is None:
        return "–"
    if found.low is None or found.high is None:
        return f"{found.mean * 100:.1f}"
    return f"{found.mean * 100:.1f} [{found.low * 100:.1f}, {found.high * 100:.1f}]"


def fewer(variant: VariantResult, column: ScoreName) -> int | None:
    """On how many questions a column is scored where these are not those of EM."""
    scored = variant.means[column].n
    return scored if scored != variant.means["em", ""].n and variant.means[column].mean is not None else None


def _figure(variant: VariantResult, column: ScoreName) -> str:
    scored = fewer(variant, column)
    return percent(variant.means[column]) + (f" (n {scored})" if scored is not None else "")


def _counting(runs: Sequence[RunRow]) -> list[RunRow]:
    by_start = sorted(runs, key=lambda run: run.started)
    settings = {run.id: system_of(run) for run in runs}
    newest = {_variant(run): settings[run.id] for run in by_start}
    last = {(_variant(run), run.seed): run for run in by_start if settings[run.id] == newest[_variant(run)]}
    return [run for run in runs if last.get((_variant(run), run.seed)) is run]


def _superseded(runs: Sequence[RunRow], kept: Sequence[RunRow]) -> list[str]:
    """A sentence for each variant of which earlier runs are left out."""
    left_out = Counter(run.study.variant for run in runs if run.study is not None and run not in kept)
    return [
        f"{name}: {count} earlier run{'' if count == 1 else 's'} left out: of one seed the last run counts, and of the "
        "variant those with its settings"
        for name, count in left_out.items()
    ]


def _outdated(runs: Sequence[RunRow], scores: Sequence[ScoreArray], newest: Mapping[str, str]) -> list[str]:
    """A sentence for each evaluator whose newest version some runs lack: what they hold of it is in no mean."""
    sentences = []
    for evaluator, version in newest.items():
        held = [each for each in scores if each.evaluator == evaluator]
        behind = {each.run_id for each in held} - {each.run_id for each in held if each.version == version}
        if behind:
            names = ", ".join(run.name for run in runs if run.id in behind)
            sentences.append(
                f"scores of {evaluator!r} are of an earlier version than {version} in {names}: left out; bring them "
                "up to date with `steper rescore`"
            )
    return sentences


def _notes(
    em: Mapping[str, tuple[Sequence[RunRow], Sequence[int]]],
    questions: Mapping[int, Sequence[int]],
    values: Mapping[tuple[int, ScoreName], Sequence[float]],
    groups: Iterable[Sequence[str]],
) -> list[str]:
    compared = []
    for names in groups:
        reference = _reference(names, em)
        asked = set(em[reference][1])
        alike = [name for name in names if set(em[name][1]) & asked]
        if len(alike) > 1:
            shared = _shared([em[name][1] for name in alike])
            arrays = {
                name: [_on(shared, questions[run.id], values.get((run.id, ("em", "")))) for run in em[name][0]]
                for name in alike
            }
            compared.append((reference, arrays))
    return against_each(compared, "EM")


def _groups(study: StudyRow, em: Mapping[str, tuple[Sequence[RunRow], Sequence[int]]]) -> list[list[str]]:
    """The trained variants that are compared with each other, in their order."""
    trained = [name for name, (runs, _) in em.items() if any(run.method not in ("base", "gold") for run in runs)]
    if study.shows not in _IN_GROUPS:
        return [trained] if trained else []
    groups: dict[object, list[str]] = {}
    for name in trained:
        runs, asked = em[name]
        taught = {run.training.get("teacher_run") for run in runs if run.training}
        groups.setdefault((runs[0].model, frozenset(taught), frozenset(asked)), []).append(name)
    return list(groups.values())


def _reference(names: Sequence[str], em: Mapping[str, tuple[Sequence[RunRow], Sequence[int]]]) -> str:
    if REFERENCE in names:
        return REFERENCE
    return next((name for name in names if any(run.method == REFERENCE for run in em[name][0])), names[0])


def _shared(asked: Sequence[Sequence[int]]) -> list[int]:
    """Questions that all were asked, in the order of the first."""
    others = [set(each) for each in asked[1:]]
    return [question for question in asked[0] if all(question in other for other in others)]


def _on(shared: Sequence[int], asked: Sequence[int], found: Sequence[float] | None) -> Values:
    """Values for these questions, NaN where a run has none."""
    if found is None:
        return np.full(len(shared), np.nan)
    by_question = dict(zip(asked, found, strict=True))
    return np.array([by_question[question] for question in shared], dtype=float)


def _fact(runs: Sequence[RunRow], name: str) -> float | None:
    known = [run.facts[name] for run in runs if name in run.facts]
    return statistics.fmean(known) if known else None


def _variant(run: RunRow) -> str:
    return run.study.variant if run.study is not None else ""


def _place(run: RunRow) -> tuple[int, str, int]:
    return (run.study.place, run.study.variant, run.seed) if run.study is not None else (0, "", run.seed)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(map(_as_text, cells)) + " |"


def _as_text(text: str) -> str:
    """One line in which markdown finds no cell, no tag and no link; an interval in brackets stays as it is."""
    line = re.sub(r"[\\|]", r"\\\g<0>", " ".join(plain(text).split()))
    return re.sub(r"\](?=[(\[:])", r"\\]", line.replace("&", "&amp;").replace("<", "&lt;"))
