"""The state of each page as its URL holds it: whoever opens the URL sees the same page."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from app.tokens import ABILITIES, MAX_COMPARED, MAX_TRAINED, RUN_LETTERS
from db.clean import clean
from db.queries import RunRow
from db.queries_questions import MARKS

Params = Mapping[str, Sequence[str]]
"""Query parameters: all values of each name."""

OUTCOMES: tuple[str, ...] = (
    "right",
    "wrong",
    "differs",
    "fixed",
    "broken",
    "both-right",
    "both-wrong",
)
"""What a question may have become; all but the first two are of two runs or more."""

OUTCOMES_OF_ONE = OUTCOMES[:2]
"""What it may have become under a single run."""

PAGE_SIZE = 20
_TOKEN_LENGTH = 8
_FIRST_SCORE = "em"
_MAX_VALUES = 50
_MAX_TEXT = 500
_LARGEST_ID = 2**31 - 1
"""What an id's column takes in any database."""

Row = TypeVar("Row")


@dataclasses.dataclass(frozen=True)
class RunsState:
    """What the runs page shows. `sort` is a column, after a minus sign for falling order; empty compares systems."""

    kinds: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    text: str = ""
    sort: str = ""
    page: int = 1
    ticked: tuple[str, ...] = ()
    opened: str = ""

    @classmethod
    def parse(cls, params: Params) -> RunsState:
        """The state in a URL; what makes no sense is left out."""
        return cls(
            kinds=_many(params, "kind"),
            methods=_many(params, "method"),
            models=_many(params, "model"),
            datasets=_many(params, "data"),
            statuses=_many(params, "status"),
            text=_one(params, "text"),
            sort=_one(params, "sort"),
            page=_page(params),
            ticked=_many(params, "tick")[: len(RUN_LETTERS)],
            opened=_one(params, "open"),
        )

    def params(self) -> dict[str, list[str]]:
        """The query parameters that hold this state."""
        return _stated(
            kind=self.kinds,
            method=self.methods,
            model=self.models,
            data=self.datasets,
            status=self.statuses,
            text=[self.text],
            sort=[self.sort],
            page=[str(self.page) if self.page > 1 else ""],
            tick=self.ticked,
            open=[self.opened],
        )


@dataclasses.dataclass(frozen=True)
class ChainsState:
    """What the chains page shows. `question` is what the URL says, which may be no id at all."""

    runs: tuple[str, ...] = ()
    question: str = ""
    outcome: str = ""
    kinds: tuple[str, ...] = ()
    hop_counts: tuple[int, ...] = ()
    step_counts: tuple[int, ...] = ()
    marks: tuple[str, ...] = ()
    text: str = ""
    page: int = 1
    gold: bool = True
    step: int | None = None

    @classmethod
    def parse(cls, params: Params) -> ChainsState:
        """The state in a URL; what makes no sense is left out."""
        outcome = _one(params, "outcome")
        return cls(
            runs=_many(params, "run")[:MAX_COMPARED],
            question=_one(params, "q"),
            outcome=outcome if outcome in OUTCOMES else "",
            kinds=_many(params, "kind"),
            hop_counts=_numbers(params, "hops"),
            step_counts=_numbers(params, "steps"),
            marks=tuple(mark for mark in _many(params, "mark") if mark in MARKS),
            text=_one(params, "text"),
            page=_page(params),
            gold=_one(params, "gold") != "hidden",
            step=_number(_one(params, "step")),
        )

    def params(self) -> dict[str, list[str]]:
        """The query parameters that hold this state."""
        return _stated(
            run=self.runs,
            q=[self.question],
            outcome=[self.outcome],
            kind=self.kinds,
            hops=[str(count) for count in self.hop_counts],
            steps=[str(count) for count in self.step_counts],
            mark=self.marks,
            text=[self.text],
            page=[str(self.page) if self.page > 1 else ""],
            gold=["" if self.gold else "hidden"],
            step=["" if self.step is None else str(self.step)],
        )

    @property
    def question_id(self) -> int | None:
        """The id in the URL, None if what stands there is none."""
        return _number(self.question)


@dataclasses.dataclass(frozen=True)
class CompareState:
    """What the compare page shows: runs, of which the first is the reference, by one score (of an ability, if any).

    `everything` lists all scores, `train` is the training run whose checkpoints' scores are drawn over its steps.
    """

    runs: tuple[str, ...] = ()
    score: str = _FIRST_SCORE
    ability: str = ""
    everything: bool = False
    train: str = ""

    @classmethod
    def parse(cls, params: Params) -> CompareState:
        """The state in a URL; what makes no sense is left out."""
        ability = _one(params, "ability")
        return cls(
            runs=_many(params, "run")[: len(RUN_LETTERS)],
            score=_one(params, "score") or _FIRST_SCORE,
            ability=ability if ability in ABILITIES else "",
            everything=_one(params, "scores") == "all",
            train=_one(params, "train"),
        )

    def params(self) -> dict[str, list[str]]:
        """The query parameters that hold this state."""
        return _stated(
            run=self.runs,
            score=["" if self.score == _FIRST_SCORE else self.score],
            ability=[self.ability],
            scores=["all" if self.everything else ""],
            train=[self.train],
        )


@dataclasses.dataclass(frozen=True)
class TrainingState:
    """What the training page shows."""

    runs: tuple[str, ...] = ()

    @classmethod
    def parse(cls, params: Params) -> TrainingState:
        """The state in a URL."""
        return cls(runs=_many(params, "run")[:MAX_TRAINED])

    def params(self) -> dict[str, list[str]]:
        """The query parameters that hold this state."""
        return _stated(run=self.runs)


@dataclasses.dataclass(frozen=True)
class StudiesState:
    """Which study is shown, and by which score (name, ability) its variants are drawn."""

    study: str = ""
    score: str = "em"
    ability: str = ""

    @classmethod
    def parse(cls, params: Params) -> StudiesState:
        """The state in a URL."""
        ability = _one(params, "ability")
        return cls(
            study=_one(params, "study"),
            score=_one(params, "score") or "em",
            ability=ability if ability in ABILITIES else "",
        )

    def params(self) -> dict[str, list[str]]:
        """The query parameters that hold this state."""
        return _stated(study=[self.study], score=["" if self.score == "em" else self.score], ability=[self.ability])


VIEWS = ("work", "progress", "disagreements", "history")
"""What the annotate page shows of a project."""


@dataclasses.dataclass(frozen=True)
class AnnotateState:
    """What the annotate page shows: a project, as whom, and what of it.

    `item` (and `place` in it) is to be decided, or the one whose history is shown; `decided` lists the disagreements
    that were decided instead of the open ones.
    """

    project: str = ""
    person: str = ""
    view: str = "work"
    item: int | None = None
    place: int | None = None
    page: int = 1
    decided: bool = False

    @classmethod
    def parse(cls, params: Params) -> AnnotateState:
        """The state in a URL; what makes no sense is left out."""
        view = _one(params, "view")
        return cls(
            project=_one(params, "project"),
            person=_one(params, "as"),
            view=view if view in VIEWS else VIEWS[0],
            item=_number(_one(params, "item")),
            place=_number(_one(params, "place")),
            page=_page(params),
            decided=_one(params, "show") == "decided",
        )

    def params(self) -> dict[str, list[str]]:
        """The query parameters that hold this state."""
        return _stated(
            project=[self.project],
            **{"as": [self.person]},
            view=["" if self.view == VIEWS[0] else self.view],
            item=["" if self.item is None else str(self.item)],
            place=["" if self.place is None else str(self.place)],
            page=[str(self.page) if self.page > 1 else ""],
            show=["decided" if self.decided else ""],
        )


@dataclasses.dataclass(frozen=True)
class AgreementState:
    """What the agreement page shows: a project, a verdict or tag, two raters, and a cell of their table."""

    project: str = ""
    subject: str = ""
    first: str = ""
    second: str = ""
    cell: str = ""

    @classmethod
    def parse(cls, params: Params) -> AgreementState:
        """The state in a URL."""
        return cls(
            project=_one(params, "project"),
            subject=_one(params, "about"),
            first=_one(params, "first"),
            second=_one(params, "second"),
            cell=_one(params, "cell"),
        )

    def params(self) -> dict[str, list[str]]:
        """The query parameters that hold this state."""
        return _stated(
            project=[self.project],
            about=[self.subject],
            first=[self.first],
            second=[self.second],
            cell=[self.cell],
        )


def run_tokens(runs: Iterable[RunRow]) -> dict[str, RunRow]:
    """Runs by the short name they have in URLs: the beginning of their uid, all of it where that is not unique."""
    rows = list(runs)
    short = [row.uid[:_TOKEN_LENGTH] for row in rows]
    return {(start if short.count(start) == 1 else row.uid): row for start, row in zip(short, rows, strict=True)}


def find_runs(tokens: Sequence[str], known: Mapping[str, RunRow]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split what a URL calls runs into known short names (a whole uid is understood too) and what no run is called."""
    by_uid = {row.uid: token for token, row in known.items()}
    found = [by_uid.get(token, token) for token in tokens]
    return (
        tuple(dict.fromkeys(token for token in found if token in known)),
        tuple(token for token in found if token not in known),
    )


def pages(total: int, size: int = PAGE_SIZE) -> int:
    """How many pages so many rows fill, at least one."""
    return max(1, -(-total // size))


def neighbour(options: Sequence[str], chosen: Sequence[str], direction: int) -> tuple[str, ...]:
    """The chosen runs with the last one replaced by the next or previous option that is not chosen."""
    if not chosen or chosen[-1] not in options:
        return tuple(chosen)
    start = options.index(chosen[-1])
    for distance in range(1, len(options)):
        candidate = options[(start + direction * distance) % len(options)]
        if candidate not in chosen:
            return (*chosen[:-1], candidate)
    return tuple(chosen)


def _many(params: Params, name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(clean(value) for value in params.get(name, ())[:_MAX_VALUES] if value))


def _one(params: Params, name: str) -> str:
    values = params.get(name, ())
    return clean(values[-1][:_MAX_TEXT]) if values else ""


def _numbers(params: Params, name: str) -> tuple[int, ...]:
    return tuple(number for value in _many(params, name) if (number := _number(value)) is not None)


def _number(value: str) -> int | None:
    """A whole number that a database can hold."""
    if not (value.isascii() and value.isdigit()) or len(value) > len(str(_LARGEST_ID)):
        return None
    number = int(value)
    return number if number <= _LARGEST_ID else None


def _page(params: Params) -> int:
    value = _one(params, "page")
    return max(1, int(value)) if value.isascii() and value.isdigit() and len(value) < 10 else 1


def _stated(**values: Sequence[str]) -> dict[str, list[str]]:
    kept = {name: [item for item in items if item] for name, items in values.items()}
    return {name: items for name, items in kept.items() if items}
