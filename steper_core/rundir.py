"""The run directory: the seam between computing and storing.

A run owns one folder. `run.json` says what ran; the other files are append-only JSON lines:

    run.json         config and its digest, versions, hardware, seed, status, times, figures
    questions.jsonl  the questions asked            passages.jsonl  every passage that a chain or a gold hop names, once
    chains.jsonl     one line a finished question   rejected.jsonl  (collect) chains not kept, with the reason
    scores.jsonl     one line a chain and evaluator             train.jsonl     (train) one line a logged step
    judgements.jsonl (judge) one line a vote
    checkpoints/     (train) folders that plain transformers loads

A killed run resumes where it stopped; a run whose config changed is refused. One process at a time holds a run.
"""

from __future__ import annotations

import datetime
import fcntl
import os
import uuid
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from steper_core import jsonl
from steper_core.digests import differences, digest_of
from steper_core.environment import describe_environment
from steper_core.errors import UserError
from steper_core.locks import lock_within
from steper_core.records import Chain, Judgement, Passage, Question, Score
from steper_core.run_records import CheckpointRef, Rejection, RunInfo, RunKind, RunStatus, StudyRef, TrainPoint
from steper_core.score_lines import ChainScores, gather

_LATER_KEYS = frozenset(
    {"questions", "chains_digest", "not_learned", "shown", "number_format", "processes", "stored_logits"}
)
"""Parts of configs that runs of earlier versions did not record: what they lack differs in nothing."""
_OF_THE_MACHINE = frozenset({"number_format", "processes"})
"""Parts of configs that settings leave to the machine: a finished run is what it is, on whichever it was made."""
_NAMED_FORMATS = frozenset({"train.dtype", "student.dtype", "model.dtype"})
"""What names a number format or leaves it to the machine: once it is found, the name decides nothing more."""
_ASKED = frozenset({"questions", "runs"})
"""Parts of configs that say which questions a run writes down before it makes anything."""


class RunDir:
    """Reads and appends the files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known_passages: set[str] | None = None

    @property
    def info(self) -> RunInfo:
        """The contents of run.json, with a dead RUNNING run shown as INTERRUPTED and the name that the folder has now.

        Raises:
            UserError: run.json is missing, no JSON, or of another format.
        """
        file = self.path / "run.json"
        try:
            info = RunInfo.model_validate_json(file.read_bytes())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UserError(f"{self.path} is no run directory: it holds no run.json") from error
        except ValidationError as error:
            raise UserError(f"{file}: {jsonl.explain(error)}") from error
        dead = info.status is RunStatus.RUNNING and not self._is_held()
        return info.model_copy(
            update={"name": self.path.absolute().name, **({"status": RunStatus.INTERRUPTED} if dead else {})}
        )

    def update(self, **changes: Any) -> RunInfo:
        """Replace fields of run.json atomically and return the new contents."""
        info = RunInfo.model_validate({**self.info.model_dump(), **changes})
        _write_atomically(self.path / "run.json", info.model_dump_json(indent=1))
        return info

    def append_chains(self, chains: Iterable[Chain]) -> None:
        """Append finished chains."""
        jsonl.append(self.path / "chains.jsonl", chains)

    def append_rejected(self, rejections: Iterable[Rejection]) -> None:
        """Append chains that were not kept."""
        jsonl.append(self.path / "rejected.jsonl", rejections)

    def append_scores(self, scores: Iterable[Score]) -> None:
        """Append scores; of two with the same question, step, name, evaluator and version the later one holds."""
        jsonl.append(self.path / "scores.jsonl", gather(scores))

    def append_judgements(self, judgements: Iterable[Judgement]) -> None:
        """Append votes of a judge."""
        jsonl.append(self.path / "judgements.jsonl", judgements)

    def append_train_point(self, point: TrainPoint) -> None:
        """Append one logged training step."""
        jsonl.append(self.path / "train.jsonl", [point])

    def cut_train_points(self, step: int) -> None:
        """Drop what was logged after a training step: an attempt that was stopped got further than what it saved."""
        points = list(self.train_points())
        kept = [point for point in points if point.step <= step]
        if len(kept) < len(points):
            lines = "".join(f"{point.model_dump_json()}\n" for point in kept)
            _write_atomically(self.path / "train.jsonl", lines)

    def append_passages(self, passages: Iterable[Passage]) -> None:
        """Append the passages that the run does not hold yet."""
        if self._known_passages is None:
            self._known_passages = {passage.id for passage in self.passages()}
        fresh = {passage.id: passage for passage in passages if passage.id not in self._known_passages}
        jsonl.append(self.path / "passages.jsonl", fresh.values())
        self._known_passages.update(fresh)

    def write_questions(self, questions: Iterable[Question]) -> None:
        """Write the questions that the run does not hold yet; the first ones are there all at once or not at all."""
        file = self.path / "questions.jsonl"
        if file.exists():
            known = {question.id for question in self.questions()}
            jsonl.append(file, (question for question in questions if question.id not in known))
            return
        partial = self.path / "questions.jsonl.partial"
        partial.unlink(missing_ok=True)
        jsonl.append(partial, questions)
        if partial.exists():
            partial.rename(file)

    def questions(self) -> Iterator[Question]:
        """The questions of the run."""
        return jsonl.read(self.path / "questions.jsonl", Question)

    def passages(self) -> Iterator[Passage]:
        """The passages that chains and gold hops name."""
        return jsonl.read(self.path / "passages.jsonl", Passage)

    def chains(self) -> Iterator[Chain]:
        """The finished (collect: kept) chains."""
        return jsonl.read(self.path / "chains.jsonl", Chain)

    def rejected(self) -> Iterator[Rejection]:
        """The chains that were not kept."""
        return jsonl.read(self.path / "rejected.jsonl", Rejection)

    def scores(self) -> Iterator[Score]:
        """All scores, in the order they were appended."""
        return (score for line in self.score_lines() for score in line.scores())

    def score_lines(self) -> Iterator[ChainScores]:
        """All scores as they are stored, a line for what one evaluator says of one chain."""
        return jsonl.read(self.path / "scores.jsonl", ChainScores)

    def judgements(self) -> Iterator[Judgement]:
        """All votes of a judge, in the order they came."""
        return jsonl.read(self.path / "judgements.jsonl", Judgement)

    def train_points(self) -> Iterator[TrainPoint]:
        """All logged training steps; of two with the same step and `held_out` the later one holds."""
        return jsonl.read(self.path / "train.jsonl", TrainPoint)

    def repair(self) -> None:
        """Cut torn last lines off, as a kill in the middle of a write leaves them."""
        for file in self.path.glob("*.jsonl"):
            jsonl.repair(file)

    def _is_held(self) -> bool:
        lock = self.path / ".lock"
        if not lock.exists():
            return False
        with lock.open("r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False


@contextmanager
def open_run(
    path: Path,
    *,
    kind: RunKind,
    config: dict[str, Any],
    dataset: str,
    model: str,
    method: str = "",
    framework: str = "",
    seed: int = 0,
    command: str = "",
    checkpoint: CheckpointRef | None = None,
    judged: tuple[str, ...] = (),
    study: StudyRef | None = None,
    undecided: Collection[str] = (),
) -> Iterator[RunDir]:
    """Create the run at `path`, or take it up again where it stopped, and hold it while the block runs.

    The block's end marks the run finished; an exception marks it failed with one line of why (an interrupt leaves it to
    be resumed) and is raised on. A run that is already finished is opened unchanged.

    A run goes on with other values of `undecided`, dotted keys of the config that decide nothing of its result; and
    with other settings of any kind while it holds nothing that was made with the first ones.

    Raises:
        RunHeldError: another process holds the run.
        UserError: it was started with another config.
    """
    told: dict[str, Any] = {
        "dataset": dataset,
        "model": model,
        "method": method,
        "framework": framework,
        "seed": seed,
        "config": config,
        "digest": digest_of(config),
        "command": command,
        "checkpoint": checkpoint,
        "judged": judged,
        "study": study,
    }
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path} cannot be a run directory: {error.strerror}") from error
    with hold_run(path) as run:
        if (path / "run.json").exists():
            _take_up(run, kind, told, undecided)
            run.repair()
        else:
            versions, hardware, revision = describe_environment()
            info = RunInfo(
                uid=uuid.uuid4().hex,
                name=path.name,
                kind=kind,
                versions=versions,
                hardware=hardware,
                revision=revision,
                started=_now(),
                **told,
            )
            _write_atomically(path / "run.json", info.model_dump_json(indent=1))
        yield from _hold(run)


class RunHeldError(UserError):
    """Another process works on the run."""


@contextmanager
def hold_run(path: Path, wait: float = 0.25) -> Iterator[RunDir]:
    """Keep other processes from working on a run while the block appends to it, whatever its status.

    Another process that holds the run is waited for, `wait` seconds at most.

    Raises:
        RunHeldError: another process holds the run.
    """
    with (path / ".lock").open("w") as lock:
        if not lock_within(lock.fileno(), wait):
            raise RunHeldError(f"{path}: another process is working on this run; wait for it, or stop it")
        yield RunDir(path)


def is_finished(path: Path) -> bool:
    """Whether there is a run at this path that came to its end."""
    return (path / "run.json").exists() and RunDir(path).info.status is RunStatus.FINISHED


def add_scores(path: Path, scores: Iterable[Score], wait: float = 0.25) -> None:
    """Append scores to a run that may be finished, as an evaluator does that comes later, once the run is free.

    Raises:
        RunHeldError: another process held the run for `wait` seconds.
    """
    with hold_run(path, wait) as run:
        run.repair()
        run.append_scores(scores)


def _hold(run: RunDir) -> Iterator[RunDir]:
    before = run.info
    if before.status is RunStatus.FINISHED:
        yield run
        return
    started = _now()

    def ended(**changes: Any) -> None:
        seconds = before.seconds + (_now() - started).total_seconds()
        run.update(seconds=seconds, finished=_now(), **changes)

    run.update(status=RunStatus.RUNNING, error=None, finished=None)
    try:
        yield run
    except (KeyboardInterrupt, GeneratorExit):
        ended(status=RunStatus.INTERRUPTED)
        raise
    except BaseException as error:
        # Where the disk is full this cannot be written either: the first error is the one to tell.
        with suppress(OSError):
            ended(status=RunStatus.FAILED, error=_why(error))
        raise
    ended(status=RunStatus.FINISHED)


def _why(error: BaseException) -> str:
    """One line of why a run failed; what is meant for the user needs no name of a class."""
    told = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    return next(iter(told.splitlines()), "")


def _take_up(run: RunDir, kind: RunKind, told: dict[str, Any], undecided: Collection[str]) -> None:
    """Check that a run may go on as it is told now, and record what it is told where it is not finished."""
    info = run.info
    if (info.digest, info.seed) == (told["digest"], told["seed"]):
        return
    known = {key: value for key, value in told["config"].items() if key in info.config or key not in _LATER_KEYS}
    before, now = {"seed": info.seed, **info.config}, {"seed": told["seed"], **known}
    finished = info.status is RunStatus.FINISHED
    free = {*undecided, *(_OF_THE_MACHINE if finished else ())}
    if "number_format" in before and (finished or before["number_format"] == now.get("number_format")):
        free |= _NAMED_FORMATS
    changed = [key for key, *_ in differences(before, now) if key not in free]
    if changed and (finished or info.kind is not kind or _ASKED.intersection(changed) or not _is_bare(run)):
        found = [f"; {key} was {before.get(key)}" for key in sorted(_OF_THE_MACHINE.intersection(changed))]
        raise UserError(
            f"{run.path} was started with other settings (changed: {', '.join(changed)}{''.join(found)}); "
            "repeat its settings to resume it, or give the new run another name"
        )
    if not finished:
        # What was found out with other settings, as of another server, holds no longer.
        fresh: dict[str, Any] = {"facts": {}, "counts": {}, "figures": {}} if changed else {}
        run.update(**told, **fresh)


def _is_bare(run: RunDir) -> bool:
    """Whether a run came no further than its questions."""
    made = (
        "chains.jsonl",
        "rejected.jsonl",
        "scores.jsonl",
        "judgements.jsonl",
        "train.jsonl",
        "checkpoints/checkpoint-*",
    )
    return not any(found for name in made for found in run.path.glob(name))


def _write_atomically(path: Path, text: str) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
