"""Lines of PRM800K's shape that another tool wrote: they name no chain, so it is found by its words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from app.label_records import (
    ForeignShare,
    ItemName,
    LabelChange,
    Problem,
    ReadShare,
    Share,
)
from db.annotation_views import LABEL, SKIP, SUBMIT
from db.queries_annotations import get_project, item_rows
from db.queries_runs import list_runs
from db.queries_texts import ChainText, Database, chain_texts, chains_asked
from evaluators.label_rubric import LabelRubric, parse_label_rubric
from steper_core.errors import UserError


def foreign_shares(
    engine: Database,
    lines: Sequence[ForeignShare],
    project: str | None,
    rubric: LabelRubric | None,
    run_ids: tuple[int, ...],
    problems: list[Problem],
) -> list[ReadShare]:
    """The lines as shares of `project`, each with the one stored chain that has its question and its steps.

    Chains are looked for in the runs given, else in those of the project. A rating becomes the value of the rubric's
    first step verdict; `rubric` is that of a project which is still to be created. Lines that fit no chain or several
    are added to `problems`.

    Raises:
        UserError: it is not said which project the lines belong to, or its rubric asks nothing of steps.
    """
    if not lines:
        return []
    if project is None:
        raise UserError("the file has lines of another tool, which name no project: name one with --project")
    known = get_project(engine, project)
    used = parse_label_rubric(known.rubric) if known else rubric
    if used is None:
        raise UserError(f"there is no project {project!r}: name its rubric with --rubric to create it")
    if not used.steps:
        raise UserError(f"the rubric {used.name!r} asks nothing of steps, so there is no place for the file's ratings")
    runs = {run.id: run for run in list_runs(engine)}
    if not run_ids and known:
        rows = item_rows(engine, known.id)
        run_ids = tuple(sorted({row.run_id for row in rows if row.run_id is not None}))
    asked = chains_asked(engine, run_ids, {line.problem for line in lines})
    texts = chain_texts(engine, (pair for pairs in asked.values() for pair in pairs))
    found = []
    for line in lines:
        fitting = [
            texts[pair]
            for pair in asked.get(line.problem, ())
            if tuple(step.rationale for step in texts[pair].steps) == line.texts
        ]
        if len(fitting) != 1:
            problems.append(Problem(line.line, _why_not_one(len(fitting), line.problem in asked)))
            continue
        run = runs[fitting[0].run_id]
        found.append(_share(line, project, run.uid, run.name, fitting[0], used.steps[0].name))
    return found


def _why_not_one(count: int, asked: bool) -> str:
    if count:
        return f"{count} stored chains have these steps; name the run that is meant with --run"
    return "no stored chain of this question has these steps" if asked else "no stored chain answers this question"


def _share(line: ForeignShare, project: str, uid: str, run: str, chain: ChainText, verdict: str) -> ReadShare:
    def change(number: int, field: str, value: float | None, seconds: float | None = None) -> LabelChange:
        told = json.dumps([line.annotator, line.at.isoformat(), uid, chain.key, number, field])
        # Made of what it says, so that the same line imported again is known.
        identity = hashlib.blake2b(told.encode(), digest_size=16).hexdigest()
        return LabelChange(uid=identity, number=number, field=field, value=value, at=line.at, seconds=seconds)

    ratings = [
        change(number, verdict, rating) for number, rating in enumerate(line.ratings, start=1) if rating is not None
    ]
    end = change(0, SUBMIT if line.state == "submitted" else SKIP, None, line.seconds)
    item = ItemName(run_uid=uid, run=run, dataset=chain.dataset, question=chain.key)
    changes = (*ratings, end)
    share = Share(item, line.annotator, LABEL, line.state, changes)
    return ReadShare(project, share, line.line, (line.line,) * len(changes))
