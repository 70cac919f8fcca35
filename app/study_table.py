"""The result of a study as a table: variants by scores, with intervals over seeds and questions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluators.over_seeds import SystemMean, against, system_mean
from evaluators.significance import Values
from steper_core.records import Ability
from steper_core.rundir import RunDir

COLUMNS: Mapping[tuple[str, str], str] = {
    ("em", ""): "EM",
    ("f1", ""): "F1",
    ("acc", ""): "Acc",
    ("gold_recall", ""): "gold recall",
    ("sub_answer", Ability.INITIALIZATION.value): "sub-answer, init",
    ("sub_answer", Ability.EXPANSION.value): "sub-answer, exp",
}
"""Scores of chains, and of their steps of an ability, with their names in tables."""

REFERENCE = "vanilla-kd"
"""The variant that others are measured against where there is one, as in the paper; else the first."""


@dataclass(frozen=True)
class StudyRows:
    """A table: its header, its cells as text, and sentences on what it shows."""

    header: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def study_rows(done: Sequence[tuple[str, RunDir]]) -> StudyRows:
    """A row a variant from (variant, evaluation run) pairs, several runs of a variant being its seeds."""
    runs: dict[str, list[RunDir]] = {}
    for variant, run in done:
        runs.setdefault(variant, []).append(run)
    found = {variant: [scores_by_question(run) for run in own] for variant, own in runs.items()}
    cells, em = [], {}
    for variant, seeds in found.items():
        questions = _shared(found[next(iter(found))] + seeds)
        means = []
        for column in COLUMNS:
            arrays = [_array(scores.get(column, {}), questions) for scores in seeds]
            means.append(system_mean(arrays))
            if column == ("em", ""):
                em[variant] = arrays
        seconds = [run.info.facts.get("seconds_per_question", 0.0) for run in runs[variant]]
        cells.append(
            (variant, *map(_cell, means), str(means[0].n), str(len(seeds)), f"{sum(seconds) / len(seconds):.2f}")
        )
    reference = REFERENCE if REFERENCE in em else next(iter(em))
    same = {variant: arrays for variant, arrays in em.items() if len(arrays[0]) == len(em[reference][0])}
    notes = against(same, reference, "EM") if len(same) > 1 else []
    header = ("variant", *COLUMNS.values(), "n", "seeds", "s/question")
    return StudyRows(header, tuple(cells), tuple(notes))


def scores_by_question(run: RunDir) -> dict[tuple[str, str], dict[str, float]]:
    """The values of a run by (score, ability) and question; several steps of an ability count as their mean."""
    abilities = {(chain.question_id, step.number): step.ability.value for chain in run.chains() for step in chain.steps}
    several: dict[tuple[str, str], dict[str, list[float]]] = {}
    for score in run.scores():
        if score.value is None:
            continue
        ability = "" if score.step is None else abilities.get((score.question_id, score.step), "")
        several.setdefault((score.name, ability), {}).setdefault(score.question_id, []).append(float(score.value))
    return {
        column: {question: sum(values) / len(values) for question, values in own.items()}
        for column, own in several.items()
    }


def markdown(title: str, rows: StudyRows) -> str:
    """The table as markdown, percent with intervals, with its sentences below."""
    lines = [f"# {title}", "", "Percent, with 95 % intervals over seeds and questions.", ""]
    lines += [_line(rows.header), _line(["---", *["---:"] * (len(rows.header) - 1)])]
    lines += [_line(cells) for cells in rows.cells]
    lines += ["", *(f"- {note}" for note in rows.notes)]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(found: SystemMean) -> str:
    if found.mean is None:
        return "–"
    if found.low is None or found.high is None:
        return f"{found.mean * 100:.1f}"
    return f"{found.mean * 100:.1f} [{found.low * 100:.1f}, {found.high * 100:.1f}]"


def _shared(runs: Sequence[Mapping[tuple[str, str], Mapping[str, float]]]) -> list[str]:
    """Questions of all these runs, in the order of the first."""
    asked = [list(run.get(("em", ""), {})) for run in runs]
    own = [set(questions) for questions in asked[1:]]
    both = [question for question in asked[0] if all(question in each for each in own)]
    return both or asked[-1]


def _array(values: Mapping[str, float], questions: Sequence[str]) -> Values:
    return np.array([values.get(question, np.nan) for question in questions])
