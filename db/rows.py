"""From a run directory to plain rows, without a database: everything is read and checked before anything is written."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any

from db.clean import clean, clean_json, clean_optional, folded
from db.models import CHAIN_LEVEL, CORRECT, WRONG_PATH
from steper_core.errors import UserError
from steper_core.records import LARGEST_SCORE, Chain, Question
from steper_core.run_records import RunInfo
from steper_core.rundir import RunDir
from steper_core.score_lines import ChainScores, fit, reason_key

_FILES = ("questions.jsonl", "passages.jsonl", "chains.jsonl", "scores.jsonl", "train.jsonl", "judgements.jsonl")

EvaluatorKey = tuple[str, str]
"""Evaluator, version."""

VoteKey = tuple[str, int, int, str]
"""Question id, step number (or CHAIN_LEVEL), vote, order."""


@dataclasses.dataclass(frozen=True)
class RunState:
    """How a run directory stood before it was read: equal fingerprints mean that there is nothing new to read."""

    info: RunInfo
    fingerprint: str
    bytes_whole: int
    torn: tuple[str, ...]


@dataclasses.dataclass(slots=True)
class ChainRows:
    """A chain, its steps and its retrieved passages: columns of the tables without those of the keys before them."""

    answer: str | None
    stop_reason: str
    steps: list[tuple[Any, ...]]
    retrievals: list[tuple[Any, ...]]


@dataclasses.dataclass(slots=True)
class ScoreRows:
    """What one evaluator says of a chain: values by step number (or CHAIN_LEVEL) and name, and reasons for None."""

    values: dict[int, dict[str, float | None]]
    reasons: dict[str, str]


@dataclasses.dataclass(slots=True)
class QuestionRows:
    """A question's columns without its id, and its hops' without the question's; JSON columns as their text."""

    digest: str
    gold_digest: str
    columns: tuple[Any, ...]
    hops: list[tuple[Any, ...]]


@dataclasses.dataclass(frozen=True)
class RunRows:
    """Everything of one run, by the question ids of its files; `correct` and `wrong_path` as in the table of chains."""

    state: RunState
    questions: dict[str, QuestionRows]
    passages: dict[str, tuple[str, str]]
    chains: dict[str, ChainRows]
    scores: dict[str, dict[EvaluatorKey, ScoreRows]]
    correct: dict[str, bool | None]
    wrong_path: dict[str, bool | None]
    points: dict[tuple[int, bool], tuple[Any, ...]]
    judgements: dict[VoteKey, tuple[Any, ...]]
    notes: tuple[str, ...]


def state_of(path: Path) -> RunState:
    """How the run directory stands now.

    Raises:
        UserError: it is no run directory, or cannot be read.
    """
    try:
        info = RunDir(path).info
        sizes: dict[str, tuple[int, int, int]] = {}
        for name in _FILES:
            file = path / name
            if file.exists():
                stat = file.stat()
                sizes[name] = (_whole_bytes(file), stat.st_size, stat.st_mtime_ns)
    except UnicodeDecodeError as error:
        raise UserError(f"{path / 'run.json'}: is no UTF-8 text ({error.reason})") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    seen = json.dumps([str(path.resolve()), info.model_dump(mode="json"), sizes], sort_keys=True)
    return RunState(
        info=info,
        fingerprint=hashlib.blake2b(seen.encode("utf-8", "backslashreplace"), digest_size=16).hexdigest(),
        # A training that is resumed cuts its log back to the checkpoint it goes on from: that is no older state.
        bytes_whole=sum(whole for name, (whole, _, _) in sizes.items() if name != "train.jsonl"),
        torn=tuple(name for name, (whole, size, _) in sizes.items() if whole < size),
    )


def read_rows(path: Path, state: RunState) -> RunRows:
    """Read and check all files of a run directory.

    Raises:
        UserError: a whole line of a file is invalid; the message names file, line and field.
    """
    reader = _Reader(RunDir(path))
    try:
        # A running run appends passages before the chain that names them, and the chain before its scores: read in
        # the other order, nothing that was read can name something that was not.
        reader.read_scores()
        reader.read_points()
        reader.read_judgements()
        reader.read_chains()
        reader.read_passages()
        reader.read_questions()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    reader.check()
    torn = [f"{name}: its torn last line was ignored" for name in state.torn]
    return RunRows(
        state=state,
        questions=reader.questions,
        passages=reader.passages,
        chains=reader.chains,
        scores=reader.scores,
        correct=reader.correct,
        wrong_path=reader.wrong_path,
        points=reader.points,
        judgements=reader.judgements,
        notes=(*torn, *reader.notes()),
    )


def run_row(info: RunInfo, path: Path) -> dict[str, Any]:
    """The columns of a run's own row, without what tells how it was read."""
    checkpoint = info.checkpoint
    return {
        "uid": clean(info.uid),
        "name": clean(info.name),
        "kind": info.kind.value,
        "status": info.status.value,
        "dataset": clean(info.dataset),
        "model": clean(info.model),
        "method": clean(info.method),
        "framework": clean(info.framework),
        "seed": info.seed,
        "config": clean_json(info.config),
        "digest": clean(info.digest),
        "versions": clean_json(info.versions),
        "hardware": clean_json(info.hardware),
        "git_revision": clean_optional(info.revision),
        "command": clean(info.command),
        "path": clean(str(path.resolve())),
        "started": info.started,
        "finished": info.finished,
        "seconds": info.seconds,
        "error": clean_optional(info.error),
        "checkpoint_run_uid": clean(checkpoint.run_uid) if checkpoint else None,
        "checkpoint_run_name": clean(checkpoint.run_name) if checkpoint else None,
        "checkpoint_step": checkpoint.step if checkpoint else None,
        "study": clean_json(info.study.model_dump()) if info.study else None,
        "figures": clean_json({name: figure.model_dump() for name, figure in info.figures.items()}),
        "counts": clean_json(info.counts),
        "facts": clean_json(info.facts),
        "search": folded(info.name, info.model, info.dataset, info.method, info.framework),
    }


class _Reader:
    """Collects the rows of one run and what is wrong with some of them."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self.questions: dict[str, QuestionRows] = {}
        self.passages: dict[str, tuple[str, str]] = {}
        self.chains: dict[str, ChainRows] = {}
        self.scores: dict[str, dict[EvaluatorKey, ScoreRows]] = {}
        self.correct: dict[str, bool | None] = {}
        self.wrong_path: dict[str, bool | None] = {}
        self.points: dict[tuple[int, bool], tuple[Any, ...]] = {}
        self.judgements: dict[VoteKey, tuple[Any, ...]] = {}
        self._clean_names: set[str] = set()
        self._faults: dict[str, list[str]] = {}

    def read_scores(self) -> None:
        for line in self.run.score_lines():
            evaluator = (clean(line.evaluator), clean(line.version))
            stored = self.scores.setdefault(line.question_id, {})
            if evaluator not in stored and self._is_clean(line):
                stored[evaluator] = ScoreRows(line.values, {key: clean(why) for key, why in line.reasons.items()})
            else:
                _merge(stored.setdefault(evaluator, ScoreRows({}, {})), line)
            for name, found in ((CORRECT, self.correct), (WRONG_PATH, self.wrong_path)):
                if name in line.values.get(CHAIN_LEVEL, ()):
                    value = stored[evaluator].values[CHAIN_LEVEL][name]
                    found[line.question_id] = None if value is None else value == 1

    def _is_clean(self, line: ChainScores) -> bool:
        """Whether a line can be stored as it is; nearly all can, and looking at each value takes longest."""
        for values in line.values.values():
            if not values.keys() <= self._clean_names:
                if any(clean(name) != name for name in values):
                    return False
                self._clean_names.update(values)
            if not sum(map(abs, filter(None, values.values()))) <= LARGEST_SCORE:
                return False
        return True

    def read_points(self) -> None:
        for point in self.run.train_points():
            if math.isfinite(point.epoch):
                self.points[point.step, point.held_out] = (
                    point.epoch,
                    json.dumps(clean_json(point.losses)),
                    json.dumps(clean_json(point.sigmas)),
                    clean_json(point.learning_rate),
                    clean_json(point.tokens_per_second),
                )
            else:
                self._fault("training points of an epoch that is no number, left out", str(point.step))

    def read_judgements(self) -> None:
        judged = self.run.info.judged
        for vote in self.run.judgements():
            number = CHAIN_LEVEL if vote.step is None else vote.step
            self.judgements[vote.question_id, number, vote.vote, vote.order] = (
                clean(judged[0]) if judged else "",
                clean(vote.rubric),
                clean(vote.version),
                clean(vote.judge),
                json.dumps(clean_json(vote.verdicts)),
                json.dumps([clean(tag) for tag in vote.tags]),
                clean(vote.explanation),
                clean_optional(vote.unscored),
                vote.prompt_tokens,
                vote.output_tokens,
                vote.seconds if math.isfinite(vote.seconds) else 0.0,
            )

    def read_chains(self) -> None:
        for chain in self.run.chains():
            if chain.question_id in self.chains:
                self._fault("further chains for a question that has one, left out", chain.question_id)
            elif (rows := _chain_rows(chain)) is None:
                self._fault("chains with a repeated step or rank or an infinite number, left out", chain.question_id)
            else:
                self.chains[chain.question_id] = rows

    def read_passages(self) -> None:
        for passage in self.run.passages():
            self.passages.setdefault(clean(passage.id), (clean(passage.title), clean(passage.text)))

    def read_questions(self) -> None:
        for question in self.run.questions():
            if question.id in self.questions:
                self._fault("further questions with an id that another one has, left out", question.id)
            else:
                self.questions[question.id] = _question_rows(question)

    def check(self) -> None:
        """Leave out what names something that the directory does not hold."""
        for key in [key for key in self.chains if key not in self.questions]:
            self._fault("chains whose question is not in questions.jsonl, left out", key)
            del self.chains[key]
        for vote in [vote for vote in self.judgements if vote[0] not in self.questions]:
            self._fault("judgements whose question is not in questions.jsonl, left out", vote[0])
            del self.judgements[vote]
        for chain_rows in self.chains.values():
            missing = {row[2] for row in chain_rows.retrievals if row[2] not in self.passages}
            if missing:
                for passage in sorted(missing):
                    self._fault("retrieved passages that are not in passages.jsonl, steps kept without them", passage)
                chain_rows.retrievals = [row for row in chain_rows.retrievals if row[2] not in missing]
        for key in list(self.scores):
            chain = self.chains.get(key)
            numbers = {CHAIN_LEVEL, *(row[0] for row in chain.steps)} if chain else set()
            for rows in self.scores[key].values():
                for number in rows.values.keys() - numbers:
                    self._fault("scores of chains or steps that are not there, left out", key)
                    del rows.values[number]

    def notes(self) -> list[str]:
        """One line a kind of fault: how many, and one example."""
        return [f"{what}: {len(examples)} (first: {clean(examples[0])!r})" for what, examples in self._faults.items()]

    def _fault(self, what: str, example: str) -> None:
        self._faults.setdefault(what, []).append(example)


def _merge(rows: ScoreRows, line: ChainScores) -> None:
    """Take over the scores of a further line; of two of one thing the later one holds."""
    for number, given in line.values.items():
        values = rows.values.setdefault(number, {})
        for given_name, value in given.items():
            name, key = clean(given_name), reason_key(number, clean(given_name))
            values[name], reason = fit(value, line.reasons.get(reason_key(number, given_name)))
            if reason is None:
                rows.reasons.pop(key, None)
            else:
                rows.reasons[key] = clean(reason)


def _chain_rows(chain: Chain) -> ChainRows | None:
    """The rows of a chain, None if two would have the same key or a number is not finite."""
    steps: dict[int, tuple[Any, ...]] = {}
    hits: dict[tuple[int, int], tuple[Any, ...]] = {}
    count = 0
    for step in chain.steps:
        number = step.number
        steps[number] = (
            number,
            step.ability.value,
            clean(step.query),
            clean(step.rationale),
            step.prompt_tokens,
            step.output_tokens,
            step.seconds,
        )
        if number <= CHAIN_LEVEL or not math.isfinite(step.seconds):
            return None
        for hit in step.retrieved:
            count += 1
            hits[number, hit.rank] = (number, hit.rank, clean(hit.passage_id), hit.score)
            if not math.isfinite(hit.score):
                return None
    if len(steps) < len(chain.steps) or len(hits) < count:
        return None
    return ChainRows(clean_optional(chain.answer), chain.stop_reason.value, list(steps.values()), list(hits.values()))


def _question_rows(question: Question) -> QuestionRows:
    identity = json.dumps([question.dataset, question.id, question.text, question.answer])
    hops = [
        (
            position,
            clean(hop.question),
            clean_optional(hop.answer),
            clean(hop.statement),
            clean_optional(hop.passage_id),
            json.dumps(hop.depends_on) if hop.depends_on else "[]",
        )
        for position, hop in enumerate(question.hops)
    ]
    digest = _digest(identity)
    gold_digest = _digest(question.model_dump_json(include={"aliases", "kind", "hops"}))
    columns = (
        digest,
        gold_digest,
        clean(question.dataset),
        clean(question.id),
        clean(question.text),
        clean(question.answer),
        json.dumps([clean(alias) for alias in question.aliases]) if question.aliases else "[]",
        clean(question.kind),
        len(hops),
        folded(question.text, question.answer),
    )
    return QuestionRows(digest=digest, gold_digest=gold_digest, columns=columns, hops=hops)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _whole_bytes(file: Path) -> int:
    """Bytes up to the end of the last whole line."""
    with file.open("rb") as opened:
        end = opened.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 65536)
            opened.seek(start)
            newline = opened.read(end - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
    return 0
