"""Putting a labelling project together: runs in the database, a rubric and a sample become items to hand out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field, ValidationError

from app.candidates import SCORES, candidates_of
from app.label_records import FilePart
from db.annotation_views import NewItem, NewProject, ProjectRow
from db.annotations import create_project
from db.queries import RunRow, list_runs, run_arrays, score_arrays
from db.queries_annotations import get_project, list_projects
from db.queries_texts import Database, chain_texts, question_ids_of
from db.queries_votes import votes
from evaluators.label_rubric import LabelRubric
from evaluators.sampling import Sample, choose, mix_controls
from steper_core.errors import UserError
from steper_core.jsonl import explain


@dataclass(frozen=True)
class Control:
    """A control item: a chain (by its run's name or uid and its question's key) whose labels are known.

    `labels` are values, or names of labels, by "number/field"; `run` may be left out where there is one run; `line` is
    where it stands in a file.
    """

    question: str
    labels: dict[str, float | str]
    run: str | None = None
    line: int | None = field(default=None, compare=False)

    @property
    def told(self) -> str:
        """What a message calls it."""
        return f"control {self.question!r}" + (f" of line {self.line}" if self.line else "")


@dataclass(frozen=True)
class ProjectOrder:
    """What a project is to be. `count` is how many chains of the runs are drawn, controls not counted."""

    name: str
    run_ids: tuple[int, ...]
    rubric: LabelRubric
    sample: Sample = "random"
    count: int = 50
    overlap: int = 1
    blind: bool = True
    seed: int = 0
    controls: tuple[Control, ...] = field(default=())


def found_project(engine: Database, name: str) -> ProjectRow:
    """The project of a name.

    Raises:
        UserError: there is none; the message lists those there are.
    """
    project = get_project(engine, name)
    if project is None:
        known = ", ".join(repr(each.name) for each in list_projects(engine)[:5])
        there = f"there are: {known}" if known else "`steper annotate create` makes one"
        raise UserError(f"there is no project named {name!r}; {there}")
    return project


def make_project(engine: Database, order: ProjectOrder) -> ProjectRow:
    """Create a project.

    Raises:
        UserError: as `plan_project`, or the name is taken or none.
    """
    create_project(engine, plan_project(engine, order))
    return found_project(engine, order.name)


def plan_project(engine: Database, order: ProjectOrder) -> NewProject:
    """The items of a project in the order of handing out: the sample, with the controls among them.

    Raises:
        UserError: no runs, a run without chains, a sample that leaves nothing, a control that is none of its chains, or
            two that know one label differently.
    """
    runs = _runs(engine, order.run_ids)
    arrays = [own for own in run_arrays(engine, order.run_ids) if own is not None]
    empty = sorted({run.name for run in runs.values()} - {runs[own.run_id].name for own in arrays})
    if empty:
        raise UserError(f"{', '.join(empty)}: no chains to label; collect and evaluate runs hold chains")
    controls = _controls(engine, order, runs)
    held_back = {(item.run_uid, item.question_id) for item in controls}
    candidates = candidates_of(
        {run_id: run.uid for run_id, run in runs.items()},
        arrays,
        score_arrays(engine, order.run_ids, SCORES),
        votes(engine, order.run_ids) if order.sample == "low-judge-agreement" else (),
    )
    free = [each for each in candidates if (each.run_uid, each.question_id) not in held_back]
    chosen = choose(free, order.sample, order.count, order.seed)
    items = [NewItem(each.run_uid, each.question_id) for each in chosen]
    return NewProject(
        name=order.name,
        rubric=order.rubric.model_dump(mode="json"),
        blind=order.blind,
        overlap=order.overlap,
        seed=order.seed,
        sample={"sample": order.sample, "count": order.count, "runs": [run.uid for run in runs.values()]},
        items=tuple(mix_controls(items, controls, order.seed)),
    )


def _runs(engine: Database, run_ids: Sequence[int]) -> dict[int, RunRow]:
    if not run_ids:
        raise UserError("name at least one run whose chains are to be labelled")
    rows = {run.id: run for run in list_runs(engine)}
    return {run_id: rows[run_id] for run_id in dict.fromkeys(run_ids)}


def _controls(engine: Database, order: ProjectOrder, runs: Mapping[int, RunRow]) -> list[NewItem]:
    """One item a chain: its labels may stand on several lines, and its run be named in several ways."""
    items: dict[tuple[str, int], NewItem] = {}
    for control in order.controls:
        item = _control(engine, control, order, runs)
        known = items.setdefault((item.run_uid, item.question_id), item).reference
        for place, value in item.reference.items():
            if known.setdefault(place, value) != value:
                raise UserError(f"{control.told}, label {place!r}: {value:g} here, {known[place]:g} before")
    return list(items.values())


def _control(engine: Database, control: Control, order: ProjectOrder, runs: Mapping[int, RunRow]) -> NewItem:
    told = control.told
    named = [run for run in runs.values() if control.run in (None, run.name, run.uid)]
    if not named:
        raise UserError(f"{told}: {control.run!r} is none of the project's runs")
    if len(named) > 1:
        raise UserError(f"{told}: the project has several runs; name the control's with the key 'run'")
    question_id = question_ids_of(engine, named[0].id, [control.question]).get(control.question)
    if question_id is None:
        raise UserError(f"{told}: {named[0].name} has no chain for this question")
    (text,) = chain_texts(engine, [(named[0].id, question_id)]).values()
    reference = {}
    for place, given in control.labels.items():
        number, _, name = place.partition("/")
        try:
            reference[place] = _value(order.rubric, int(number), name, given)
            if int(number) > len(text.steps):
                raise ValueError(f"the chain has {len(text.steps)} steps")
        except ValueError as error:
            raise UserError(f'{told}, label {place!r}: {error}; a label is "2/rating": -1 (0: the chain)') from error
    return NewItem(named[0].uid, question_id, control=True, reference=reference)


def _value(rubric: LabelRubric, number: int, name: str, given: float | str) -> float:
    """The number of a known label, by its value or its name."""
    verdict = next((each for each in (rubric.steps if number else rubric.chain) if each.name == name), None)
    if verdict is None or number < 0:
        raise ValueError(f"the rubric {rubric.name!r} asks nothing of that name there")
    for label in verdict.labels:
        if given in (label.value, label.name):
            return label.value
    raise ValueError(f"{given!r} is none of {', '.join(f'{label.name} ({label.value:g})' for label in verdict.labels)}")


class _ControlLine(FilePart):
    question: str = Field(min_length=1)
    run: str | None = None
    labels: dict[str, float | str] = Field(min_length=1)


def read_controls(path: Path) -> tuple[Control, ...]:
    """Read control items from JSON lines.

    One reads {"question": KEY, "run": NAME, "labels": {"2/rating": -1, "0/verdict": "right"}}.

    Raises:
        UserError: the file cannot be read, or a line is at fault; the message names it.
    """
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text ({error})") from error
    controls = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                read = _ControlLine.model_validate_json(line)
            except ValidationError as error:
                raise UserError(f"{path}, line {number}: {explain(error)}") from error
            controls.append(Control(read.question, read.labels, read.run, number))
    if not controls:
        raise UserError(f"{path} holds no control items")
    return tuple(controls)
