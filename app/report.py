"""What a report says: the comparison of some runs as the pages show it, and chosen chains in full.

The records are those that the components of the pages are drawn from, so that a report and a page never differ in a
figure, a word or a rounding.
"""

from __future__ import annotations

import dataclasses
import datetime
import random
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from app.comparison import ScoreName, Table, compare, outcomes, score_table
from app.formats import moment, number
from app.plain import one_line, plain
from app.tokens import RUN_LETTERS
from app.views.chain import chain_data
from app.views.compare_costs import cost_remarks, cost_rows
from app.views.compare_flow import flow_data
from app.views.compare_table import ability_rows, columns, group_rows, score_rows
from app.views.compare_verdict import verdict_data
from app.views.compare_words import held_scores, score_label, step_scores, whole_scores
from app.views.labelled import ChainLabels
from db.queries import QuestionFilter, RunArrays, RunRow, get_question, list_questions, run_arrays, score_arrays
from db.queries_annotations import chain_labels, project_rubrics
from db.queries_texts import Database, question_ids_of
from evaluators.meanings import meaning_of
from steper_core.errors import UserError

MAX_RUNS = len(RUN_LETTERS)
_SIDE_BY_SIDE = 2
_PAIRED = ("fixed", "broken", "both-wrong", "both-right")
_ALONE = ("wrong", "right")


@dataclasses.dataclass(frozen=True)
class Wish:
    """What a report is to hold: `questions` by key, or else `chains` chosen ones, the same for the same seed."""

    title: str = ""
    score: str = "em"
    ability: str = ""
    questions: tuple[str, ...] = ()
    chains: int = 12
    seed: int = 0


def report_data(engine: Database, runs: Sequence[RunRow], wish: Wish, now: datetime.datetime) -> dict[str, Any]:
    """What the template draws of one to eight runs, the first of which is the reference.

    Raises:
        UserError: too many runs, one without chains, a score that none holds, or a question that none was asked.
    """
    if not 1 <= len(runs) <= MAX_RUNS:
        raise UserError(f"a report holds one to {MAX_RUNS} runs")
    arrays = [own for own in run_arrays(engine, tuple(run.id for run in runs)) if own is not None]
    if len(arrays) < len(runs):
        held = {own.run_id for own in arrays}
        bare = ", ".join(run.name for run in runs if run.id not in held)
        raise UserError(
            f"{bare}: no chains to report, or read by an earlier version (`steper ingest` reads them again)"
        )
    named = {str(place): run for place, run in enumerate(runs)}
    names = " and ".join(one_line(run.name, 60) for run in runs[:_SIDE_BY_SIDE])
    more = f" and {len(runs) - _SIDE_BY_SIDE} more" if len(runs) > _SIDE_BY_SIDE else ""
    return {
        "title": plain(wish.title) or f"{names}{more}",
        "made": moment(now),
        "version": metadata.version("steper"),
        "runs": [{**column, **_about(run)} for column, run in zip(columns(named), runs, strict=True)],
        **_comparison(engine, named, arrays, wish),
        "chains": _chains(engine, runs[:_SIDE_BY_SIDE], wish),
    }


def _about(run: RunRow) -> dict[str, Any]:
    weights = f"{run.checkpoint_run_name}, step {run.checkpoint_step}" if run.checkpoint_run_name else ""
    facts = {
        "method": run.method,
        "model": run.model,
        "framework": run.framework,
        "data": run.dataset,
        "weights from": weights,
        "seed": str(run.seed),
        "chains": number(run.chain_count),
    }
    return {"facts": [(name, one_line(value, 80)) for name, value in facts.items() if value]}


def _comparison(
    engine: Database, runs: Mapping[str, RunRow], arrays: Sequence[RunArrays], wish: Wish
) -> dict[str, Any]:
    rows = list(runs.values())
    scores = score_arrays(engine, tuple(run.id for run in rows))
    held = held_scores(rows)
    focus: ScoreName = (wish.score, wish.ability)
    if wish.score not in held:
        raise UserError(f"no run holds a score named {wish.score!r}; there are: {', '.join(held)}")
    whole = whole_scores(held, everything=False, focus=focus)
    found = compare(rows, arrays, scores, score=focus, names=whole)
    steps = score_table(rows, arrays, scores, step_scores(held, everything=False, focus=focus))
    single = len(rows) == 1
    return {
        "score": score_label(*focus),
        "shared": found.shared,
        "verdict": None if single else verdict_data(found),
        "matrix": score_rows(found.matrix, runs, door=lambda _: None, focus=focus, reasons={}),
        "matrix_note": "" if single else found.matrix.note,
        "forest": [] if single else forest(found.matrix, rows),
        "abilities": ability_rows(steps, runs, door=lambda _: None, focus=focus, reasons={}),
        "flow": None if single else flow_data(runs, outcomes(rows, arrays, scores)),
        "groups": [
            {"title": title, "rows": group_rows(table, runs, focus, door=lambda _: None), "note": table.note}
            for title, table in (("Kind", found.kinds), ("Hops", found.hops))
            if len(table.lines) > 1
        ],
        "costs": _costs(found.matrix, runs),
        "cost_remarks": cost_remarks(runs),
    }


def _costs(table: Table, runs: Mapping[str, RunRow]) -> list[dict[str, Any]]:
    cells = next((line.cells for line in table.lines if line.key == ("em", "")), (None,) * len(runs))
    rows = cost_rows(runs, "em", [cell.figure.mean if cell else None for cell in cells])
    return [row for row in rows if any(cell["main"] != "–" for cell in row["cells"])]


def forest(table: Table, runs: Sequence[RunRow]) -> list[dict[str, Any]]:
    """Differences from the first run with their intervals, as places from -1 to 1 on a common axis; shares only.

    `reach` is what the ends of the axis stand for, in points.
    """
    drawn = []
    for line in table.lines:
        if not isinstance(line.key, tuple) or meaning_of(line.key[0]).unit != "share":
            continue
        for place, cell in enumerate(line.cells):
            paired = cell.paired if cell and place else None
            if paired is None or None in (paired.difference, paired.low, paired.high):
                continue
            drawn.append((score_label(*line.key), place, cell, paired))
    reach = max((abs(end) for *_, paired in drawn for end in (paired.low or 0, paired.high or 0)), default=0) or 1
    return [
        {
            "label": label,
            "letter": RUN_LETTERS[place],
            "name": one_line(runs[place].name, 40),
            "at": (paired.difference or 0) / reach,
            "low": (paired.low or 0) / reach,
            "high": (paired.high or 0) / reach,
            "holds": bool(cell and cell.adjusted_p is not None and cell.adjusted_p < 0.05),
            "reach": f"{100 * reach:.1f}".removesuffix(".0"),
        }
        for label, place, cell, paired in drawn
    ]


def _chains(engine: Database, runs: Sequence[RunRow], wish: Wish) -> list[dict[str, Any]]:
    ids = tuple(run.id for run in runs)
    chosen = _asked(engine, runs, wish.questions) if wish.questions else _drawn(engine, ids, wish)
    rubrics = project_rubrics(engine)
    found = []
    for number_ in chosen:
        view = get_question(engine, number_, ids)
        if view is not None:
            labels = ChainLabels(chain_labels(engine, number_, ids), rubrics)
            found.append(chain_data(view, runs, gold=True, labels=labels))
    return found


def _asked(engine: Database, runs: Sequence[RunRow], keys: Sequence[str]) -> list[int]:
    known: dict[str, int] = {}
    for run in runs:
        known = question_ids_of(engine, run.id, keys) | known
    missing = [key for key in keys if key not in known]
    if missing:
        raise UserError(f"none of these runs was asked the question {missing[0]!r}")
    return [known[key] for key in dict.fromkeys(keys)]


def _drawn(engine: Database, ids: tuple[int, ...], wish: Wish) -> list[int]:
    """Questions of every outcome in turn, drawn by the seed; a scarce outcome leaves its share to the others."""
    draw = random.Random(wish.seed)  # noqa: S311 - a sample, no secret
    left: list[list[int]] = []
    for outcome in _PAIRED if len(ids) > 1 else _ALONE:
        where = QuestionFilter(outcome=outcome)
        total = list_questions(engine, ids, where, limit=1).total
        places = sorted(range(total), key=lambda _: draw.random())[: wish.chains]
        left.append([list_questions(engine, ids, where, offset=place, limit=1).rows[0].id for place in places])
    chosen: list[int] = []
    while any(left) and len(chosen) < wish.chains:
        for own in left:
            if own and len(chosen) < wish.chains:
                chosen.append(own.pop(0))
    return chosen
