"""Two to eight runs side by side, on the questions that all of them answered: what differs, and how sure that is.

The first run is the reference that every other one is compared with. A score is compared only between runs that hold
it in the same version; what the runs do not share is told in `warnings`, never silently left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from app.plain import one_line, told_apart
from app.seeds import deciding, system_of
from app.tokens import RUN_LETTERS
from app.versions import version_order
from db.queries import RunArrays, RunRow, ScoreArray
from evaluators.intervals import figure_of
from evaluators.meanings import meaning_of
from evaluators.over_seeds import against
from evaluators.resampling import Values
from evaluators.significance import PairedResult, holm, paired
from evaluators.verdict import Unit, matrix_note, verdict
from steper_core.digests import differences
from steper_core.run_records import Figure

_LONGEST_NAME = 80
MAX_RUNS = len(RUN_LETTERS)
_DRAWS = 20_000_000
"""Random draws a cell may cost: a page of cells for 100,000 questions still comes within seconds."""
_FEWEST, _MOST = 500, 10_000

ScoreName = tuple[str, str]
"""Name of a score and the ability it is of; "" for the whole chain."""

Key = TypeVar("Key", ScoreName, str, int)
_Lined = tuple[Key, str, Sequence[Values | None]]
"""What a line is about, its label, and each run's values."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run's figure of one score on the shared questions, and its difference from the reference.

    `paired` and `adjusted_p` (Holm, over all cells of the table) are None for the reference itself.
    """

    figure: Figure
    paired: PairedResult | None = None
    adjusted_p: float | None = None


@dataclasses.dataclass(frozen=True)
class Line:
    """A row of a table: what it is about, and a cell for each run that can be compared.

    `key` is what the row is about, as data: a score, a kind of question or a number of hops.
    """

    key: ScoreName | str | int
    label: str
    cells: tuple[Cell | None, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """Lines of cells, and one sentence on what they show together."""

    lines: tuple[Line, ...]
    note: str


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Everything that is said of the runs by one chosen score, and the matrix of all chosen scores."""

    runs: tuple[RunRow, ...]
    score: ScoreName
    shared: int
    warnings: tuple[str, ...]
    verdicts: tuple[str, ...]
    seeds: tuple[str, ...]
    matrix: Table
    kinds: Table
    hops: Table


@dataclasses.dataclass(frozen=True)
class _Shared:
    """The questions that all runs answered, and where they stand in each run's arrays."""

    question_ids: npt.NDArray[np.int64]
    places: tuple[npt.NDArray[np.intp], ...]


def compare(
    runs: Sequence[RunRow],
    arrays: Sequence[RunArrays],
    scores: Sequence[ScoreArray],
    *,
    score: ScoreName = ("em", ""),
    names: Sequence[ScoreName] = (),
    seed: int = 0,
) -> Comparison:
    """Compare runs with the first of them, by `score` in detail and by all `names` in a matrix.

    `arrays` are the runs' own, in their order.
    """
    # A name of ten thousand letters would leave no room for what is said of it.
    runs = [dataclasses.replace(run, name=one_line(run.name, _LONGEST_NAME)) for run in runs]
    shared = _shared(arrays)
    values = _comparable(runs, scores, shared)
    chosen = values.get(score, [None] * len(runs))
    cells = _cells(chosen, seed)
    adjusted = holm([cell.paired.p if cell and cell.paired else None for cell in cells])
    compared = {place: cell.paired for place, cell in enumerate(cells) if cell and cell.paired}
    unit = meaning_of(score[0]).unit
    return Comparison(
        runs=tuple(runs),
        score=score,
        shared=len(shared.question_ids),
        warnings=(*_data_warnings(runs, arrays, shared), *_version_warnings(runs, scores), *_setting_warnings(runs)),
        verdicts=tuple(
            verdict(
                runs[0].name,
                runs[place].name,
                label_of(score),
                result,
                unit=unit,
                adjusted_p=adjusted[place],
                comparisons=sum(each.p is not None for each in compared.values()),
            )
            for place, result in compared.items()
        ),
        seeds=_seed_verdicts(runs, chosen, label_of(score), unit, seed),
        matrix=_matrix(values, names, seed),
        kinds=_table(_by_kind(chosen, arrays[0], shared), seed, lambda _: unit),
        hops=_table(_by_hops(chosen, arrays[0], shared), seed, lambda _: unit),
    )


def score_table(
    runs: Sequence[RunRow],
    arrays: Sequence[RunArrays],
    scores: Sequence[ScoreArray],
    names: Sequence[ScoreName],
    *,
    seed: int = 0,
) -> Table:
    """The matrix of `compare` alone: the runs by all of `names` that at least one of them holds."""
    return _matrix(_comparable(runs, scores, _shared(arrays)), names, seed)


def outcomes(
    runs: Sequence[RunRow], arrays: Sequence[RunArrays], scores: Sequence[ScoreArray], *, seed: int = 0
) -> tuple[PairedResult | None, ...]:
    """Each run after the first against the first by em, on all questions that these two answered.

    Other than in `compare`, the questions of further runs do not matter: these are the questions that a reader of two
    runs finds. None where a run lacks em, or has another version of it.
    """
    results: list[PairedResult | None] = []
    for place in range(1, len(runs)):
        pair = (runs[0], runs[place])
        ids = {run.id for run in pair}
        held = [score for score in scores if score.run_id in ids]
        values = _comparable(pair, held, _shared((arrays[0], arrays[place]))).get(("em", ""), [None, None])
        before, after = values
        results.append(None if before is None or after is None else paired(before, after, seed=seed))
    return tuple(results)


def label_of(name: ScoreName) -> str:
    """How a score is named in tables of plain text."""
    return f"{name[0]} ({name[1]})" if name[1] else name[0]


def score_names(scores: Iterable[ScoreArray]) -> list[ScoreName]:
    """The scores that occur, each once, in their order."""
    return list(dict.fromkeys((own_name(score), score.ability) for score in scores))


def _shared(arrays: Sequence[RunArrays]) -> _Shared:
    ids = reduce(np.intersect1d, (run.question_ids for run in arrays))
    places = tuple(np.argsort(run.question_ids)[np.searchsorted(np.sort(run.question_ids), ids)] for run in arrays)
    return _Shared(ids, places)


def _comparable(
    runs: Sequence[RunRow], scores: Sequence[ScoreArray], shared: _Shared
) -> dict[ScoreName, list[Values | None]]:
    """Each run's values on the shared questions; None for a run that lacks the score in the reference's version."""
    places = {run.id: place for place, run in enumerate(runs)}
    latest = _latest(scores)
    values: dict[ScoreName, list[Values | None]] = {}
    for (run_id, *rest), found in latest.items():
        name = (rest[0], rest[1])
        row = values.setdefault(name, [None] * len(runs))
        reference = latest.get((runs[0].id, *name))
        if reference is None or (reference.evaluator, reference.version) == (found.evaluator, found.version):
            row[places[run_id]] = found.values[shared.places[places[run_id]]].astype(np.float64)
    return values


def _latest(scores: Sequence[ScoreArray]) -> dict[tuple[int, str, str], ScoreArray]:
    """Of several versions of a score that a run holds, the highest."""
    ordered = sorted(scores, key=version_order)
    return {(score.run_id, own_name(score), score.ability): score for score in ordered}


def own_name(score: ScoreArray) -> str:
    """A score's name; a judge's with the judge's, for several may judge one run."""
    return f"{score.name}@{score.evaluator}" if ":" in score.evaluator else score.name


def _cells(values: Sequence[Values | None], seed: int) -> list[Cell | None]:
    reference = values[0]
    cells: list[Cell | None] = []
    for place, own in enumerate(values):
        if own is None:
            cells.append(None)
            continue
        resamples = min(_MOST, max(_FEWEST, _DRAWS // max(1, len(own))))
        figure = figure_of(own, seed, resamples)
        against = None if not place or reference is None else paired(reference, own, seed=seed, resamples=resamples)
        cells.append(Cell(figure, against))
    return cells


def _matrix(
    values: Mapping[ScoreName, Sequence[Values | None]],
    names: Sequence[ScoreName],
    seed: int,
) -> Table:
    lines = [(name, label_of(name), values[name]) for name in names if name in values]
    return _table(lines, seed, lambda name: meaning_of(name[0]).unit)


def _table(lines: Sequence[_Lined[Key]], seed: int, unit_of: Callable[[Key], Unit]) -> Table:
    """Cells of all lines, their p adjusted together."""
    rows = [(key, label, _cells(values, seed)) for key, label, values in lines]
    against = [cell for _, _, cells in rows for cell in cells if cell and cell.paired]
    results = [cell.paired for cell in against if cell.paired]
    units = [unit_of(key) for key, _, cells in rows for cell in cells if cell and cell.paired]
    adjusted = dict(zip(map(id, against), holm([result.p for result in results]), strict=True))
    return Table(
        lines=tuple(
            Line(
                key,
                label,
                tuple(cell and dataclasses.replace(cell, adjusted_p=adjusted.get(id(cell))) for cell in cells),
            )
            for key, label, cells in rows
        ),
        note=matrix_note(results, units=units) if results else "",
    )


def _by_kind(values: Sequence[Values | None], arrays: RunArrays, shared: _Shared) -> list[_Lined[str]]:
    codes = arrays.kind_codes[shared.places[0]]
    return [
        (kind, kind or "no kind", [None if own is None else own[codes == code] for own in values])
        for code, kind in enumerate(arrays.kinds)
        if (codes == code).any()
    ]


def _by_hops(values: Sequence[Values | None], arrays: RunArrays, shared: _Shared) -> list[_Lined[int]]:
    counts = arrays.hop_counts[shared.places[0]]
    return [
        (
            count,
            f"{count} hop{'' if count == 1 else 's'}",
            [None if own is None else own[counts == count] for own in values],
        )
        for count in sorted(set(counts.tolist()))
    ]


def _seed_verdicts(
    runs: Sequence[RunRow], values: Sequence[Values | None], score: str, unit: Unit, seed: int
) -> tuple[str, ...]:
    """Systems of which several seeds are among the runs, each against the reference's system; p adjusted by Holm.

    Runs of one system and one seed, such as the checkpoints of a training run, are no seeds: none is said of these.
    """
    systems: dict[tuple[str, ...], list[tuple[RunRow, Values]]] = {}
    for run, own in zip(runs, values, strict=True):
        if own is not None:
            systems.setdefault(system_of(run), []).append((run, own))
    groups = {
        system: members for system, members in systems.items() if len({run.seed for run, _ in members}) == len(members)
    }
    reference = system_of(runs[0])
    if reference not in groups or all(len(members) == 1 for members in groups.values()):
        return ()
    names = _distinct_names({system: members[0][0] for system, members in groups.items()})
    named = {names[system]: [own for _, own in members] for system, members in groups.items()}
    return tuple(against(named, names[reference], score, unit=unit, seed=seed, resamples=2_000))


def _distinct_names(first: Mapping[tuple[str, ...], RunRow]) -> dict[tuple[str, ...], str]:
    """What systems are called: their method, with model or framework where these differ, or else their first run."""
    parts = [
        (run.study.variant if run.study else run.method or "base", run.model, run.framework) for run in first.values()
    ]
    told = [place for place, each in enumerate(zip(*parts, strict=True)) if place == 0 or len(set(each)) > 1]
    names = [" ".join(each[place] for place in told if each[place]) for each in parts]
    names = told_apart(names, [f" as in {run.name}" for run in first.values()])
    names = told_apart(names, [f" ({run.uid[:8]})" for run in first.values()])
    return dict(zip(first, names, strict=True))


def _data_warnings(runs: Sequence[RunRow], arrays: Sequence[RunArrays], shared: _Shared) -> list[str]:
    count = len(shared.question_ids)
    partial = [
        f"{run.name} has {len(own.question_ids):,}"
        for run, own in zip(runs, arrays, strict=True)
        if len(own.question_ids) != count
    ]
    warnings = []
    if partial:
        warnings.append(
            f"compared on the {count:,} questions that all runs answered ({', '.join(partial)}); "
            "the other questions are left out"
        )
    unfinished = [run.name for run in runs if run.status != "finished"]
    if unfinished:
        warnings.append(f"not finished: {', '.join(unfinished)}")
    return warnings


def _version_warnings(runs: Sequence[RunRow], scores: Sequence[ScoreArray]) -> list[str]:
    latest = _latest(scores)
    warnings: dict[str, None] = {}
    for (run_id, name, ability), found in latest.items():
        reference = latest.get((runs[0].id, name, ability))
        if reference is not None and reference.version != found.version:
            run = next(run for run in runs if run.id == run_id)
            warnings[
                f"scores of {found.evaluator!r} are of version {found.version} in {run.name} and {reference.version} "
                f"in {runs[0].name}: not compared; bring both up to date with `steper rescore`"
            ] = None
    return list(warnings)


def _setting_warnings(runs: Sequence[RunRow]) -> list[str]:
    warnings = []
    for run in runs[1:]:
        found = differences(_prompting(runs[0]), _prompting(run))
        changed = [f"{key} ({_short(one)} and {_short(other)})" for key, one, other in found]
        if changed:
            warnings.append(f"{run.name} and {runs[0].name} differ in more than the model: {', '.join(changed)}")
    return warnings


def _prompting(run: RunRow) -> dict[str, Any]:
    """The settings that decide what a model is shown and how it writes: corpus, retrieval, steps, temperature."""
    settings = deciding(run.config)
    kept = {name: settings.get(name) for name in ("corpus", "retrieval", "reasoning")}
    if isinstance(kept["retrieval"], dict):
        # Where it is the default it is not written down.
        kept["retrieval"] = {"refill": True, **kept["retrieval"]}
    model = run.config.get("model")
    return {"data": run.dataset, **kept, "temperature": model.get("temperature") if isinstance(model, dict) else None}


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:23]}…"
