"""Questions and passages from files or from the hub, told apart by what they hold, never by how they are called.

A bad row is reported and left out; a file of which nothing can be used is the user's mistake.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeGuard

from steper_core.errors import UserError
from steper_core.json_text import parse_document, parse_line
from steper_core.readers import Reader, Row, RowError, match_key, recognise
from steper_core.records import Hop, Passage, Question
from steper_core.texts import one_line

HUB_PREFIX = "hub:"
HUB_SYNTAX = "hub:<owner>/<name>:<config>:<split> (the config may be empty: hub:<owner>/<name>::<split>)"

Source = str | Path
"""A local file, or a hub name written as `HUB_SYNTAX`."""

HubLoader = Callable[[str, str | None, str], Iterable[Row]]
"""(name, config or None, split) -> rows."""

_PROBLEMS_SHOWN = 10
_TRAIN_WORDS = frozenset({"train", "training"})
_EVALUATION_WORDS = frozenset({"dev", "eval", "evaluation", "held", "heldout", "test", "val", "valid", "validation"})
_CORPUS_WORDS = frozenset({"corpus", "corpora"})
_NO_QUESTIONS_WORDS = frozenset({"aliases", "singlehop"})
"""Files that lie beside the questions of 2WikiMultiHopQA and MuSiQue."""


class UnansweredError(UserError):
    """A source of whose rows none has an answer, as in the official test files: nothing can be learned or scored."""


@dataclass(frozen=True)
class RowProblem:
    """A row that was left out: its file (or hub name), its row or line number from 1, and why."""

    file: str
    row: int
    message: str

    def __str__(self) -> str:
        """The problem in one line."""
        return f"{self.file}, row {self.row}: {self.message}"


@dataclass(frozen=True)
class Dataset:
    """What a file holds: its questions, their labelled passages (each once, in order), and the rows left out."""

    name: str
    questions: tuple[Question, ...]
    passages: tuple[Passage, ...]
    problems: tuple[RowProblem, ...]


@dataclass(frozen=True)
class Corpus:
    """What a corpus file holds: its passages, each once, and which passage the file's own ids stand for."""

    passages: tuple[Passage, ...]
    own_ids: Mapping[str, str]


@dataclass(frozen=True)
class Splits:
    """What to read for each use."""

    train: tuple[Source, ...]
    evaluation: tuple[Source, ...]
    corpus: tuple[Path, ...]


def read(source: Source) -> Dataset:
    """Read a source, wherever it is.

    Raises:
        UserError: as `read_file` and `read_hub`.
    """
    return read_hub(source) if _is_hub_name(source) else read_file(Path(source))


def read_file(path: Path) -> Dataset:
    """Read a file of questions: a JSON array or JSON lines, in any of the formats `readers` knows.

    Raises:
        UserError: the file is missing, no UTF-8, empty, no whole JSON, or has no usable row (UnansweredError where no
            row has an answer).
    """
    return _collect(str(path), _file_rows(path))


def read_hub(name: str, load: HubLoader | None = None) -> Dataset:
    """Read one split of a dataset on the hub; `load` stands in for the `datasets` package.

    Raises:
        UserError: the name is not written so, it cannot be loaded, or it has no usable row.
    """
    dataset, config, split = _hub_parts(name)
    try:
        rows = (load or _load_from_hub)(dataset, config or None, split)
    except Exception as error:  # whatever the hub's client raises, it means that this name cannot be had
        raise UserError(f"{name}: cannot be loaded from the hub ({type(error).__name__}: {error})") from error
    return _collect(name, enumerate(rows, start=1))


def read_corpus(path: Path) -> Corpus:
    """Read a corpus: JSON lines of {id?, title, text}; equal passages are one.

    A passage is known by its title and text wherever it comes from; an id in the file only tells which passage the hops
    of questions mean that were written for it.

    Raises:
        UserError: the file cannot be read, a line is no passage, or one id stands for two different passages.
    """
    passages: dict[str, Passage] = {}
    own_ids: dict[str, str] = {}
    for number, row in _file_rows(path):
        try:
            own, passage = _corpus_passage(row)
        except RowError as error:
            raise UserError(f"{path}, line {number}: {error}") from error
        passages.setdefault(passage.id, passage)
        if own is not None and own_ids.setdefault(own, passage.id) != passage.id:
            raise UserError(f"{path}, line {number}: the id {own!r} already stands for another passage")
    if not passages:
        raise UserError(f"{path} holds no passages")
    return Corpus(tuple(passages.values()), own_ids)


def merge(datasets: Iterable[Dataset], corpora: Iterable[Corpus] = ()) -> tuple[Passage, ...]:
    """The passages of several datasets and corpora, each once, in the order of their first appearance."""
    parts = [*(dataset.passages for dataset in datasets), *(corpus.passages for corpus in corpora)]
    return tuple({passage.id: passage for passages in parts for passage in passages}.values())


def with_passages_of(dataset: Dataset, corpora: Iterable[Corpus]) -> Dataset:
    """The dataset with hops that name passages as these corpora call them naming the passages themselves.

    Raises:
        UserError: two corpora call different passages by an id that a hop names.
    """
    meant: dict[str, set[str]] = {}
    for corpus in corpora:
        for own, passage_id in corpus.own_ids.items():
            meant.setdefault(own, set()).add(passage_id)

    def named(question: Question, hop: Hop) -> Hop:
        found = meant.get(hop.passage_id or "")
        if found is None:
            return hop
        if len(found) > 1:
            raise UserError(
                f"question {question.id!r} names the passage {hop.passage_id!r}, and two corpora call different "
                "passages so: make their ids differ"
            )
        return hop.model_copy(update={"passage_id": next(iter(found))})

    # Official files name no passage so, and hold hundreds of thousands of hops.
    questions = tuple(
        question.model_copy(update={"hops": tuple(named(question, hop) for hop in question.hops)})
        if not meant.keys().isdisjoint(question.gold_passage_ids)
        else question
        for question in dataset.questions
    )
    return replace(dataset, questions=questions)


def read_answered(sources: Iterable[Source]) -> tuple[list[tuple[Source, Dataset]], list[str]]:
    """Read sources that were found by their names, each once; those without answers are passed over with a remark.

    Raises:
        UserError: as `read`.
    """
    found: list[tuple[Source, Dataset]] = []
    remarks: list[str] = []
    for source in dict.fromkeys(sources):
        try:
            found.append((source, read(source)))
        except UnansweredError as error:
            remarks.append(f"{error}: passed over")
    return found, remarks


def left_out(problems: Sequence[RowProblem]) -> list[str]:
    """Lines on the rows that were left out: the first ten by name."""
    lines = [f"{problem} (left out)" for problem in problems[:_PROBLEMS_SHOWN]]
    more = len(problems) - len(lines)
    return [*lines, f"{more:,} more rows left out"] if more else lines


def find_splits(sources: Iterable[Source], named: Iterable[Source] = ()) -> Splits:
    """Sort files, all *.json and *.jsonl files of folders, and hub names by the split that their names tell.

    Those that are `named` elsewhere, for what they are to be used, are passed over; so are the alias file that comes
    with 2WikiMultiHopQA and the single-hop questions of MuSiQue.

    Raises:
        UserError: a path does not exist, a folder holds no such file, or a name tells no split or several.
    """
    train: list[Source] = []
    evaluation: list[Source] = []
    corpus: list[Path] = []
    elsewhere = set(map(_place, named))
    for source in dict.fromkeys(_sources(sources)):
        if _place(source) in elsewhere:
            continue
        name = source.stem if isinstance(source, Path) else _hub_parts(source)[2]
        words = set(re.findall(r"[a-z]+", name.lower()))
        told = [bool(words & each) for each in (_TRAIN_WORDS, _EVALUATION_WORDS, _CORPUS_WORDS)]
        if words & _NO_QUESTIONS_WORDS:
            continue
        if sum(told) != 1:
            raise UserError(
                f"{source}: its name does not tell whether it is for training or for evaluation; put train, or dev, "
                "test, validation or held_out (or corpus) into the name, or list it under the setting data.train, "
                "data.evaluation or data.corpus"
            )
        if told[0]:
            train.append(source)
        elif told[1]:
            evaluation.append(source)
        else:
            corpus.append(Path(source))
    return Splits(tuple(train), tuple(evaluation), tuple(corpus))


def without_overlap(train: Iterable[Question], evaluation: Iterable[Question]) -> tuple[tuple[Question, ...], int]:
    """The training questions that do not stand in the evaluation, and how many do.

    They stand there if one has their words, or their id and answer: files that number their rows share ids by chance.
    """
    ids, texts = set(), set()
    for question in evaluation:
        ids.add((question.id, question.answer))
        texts.add(match_key(question.text))
    asked = tuple(train)
    kept = tuple(each for each in asked if (each.id, each.answer) not in ids and match_key(each.text) not in texts)
    return kept, len(asked) - len(kept)


def _collect(name: str, rows: Iterable[tuple[int, object]]) -> Dataset:
    questions: dict[str, Question] = {}
    passages: dict[str, Passage] = {}
    problems: list[RowProblem] = []
    reader: Reader | None = None
    unanswered = True
    for number, row in rows:
        try:
            if isinstance(row, RowError):
                raise row
            if not isinstance(row, Mapping):
                raise RowError("a row must be a JSON object")
            reader = reader or recognise(row)
            unanswered = unanswered and not row.get("answer")
            question, labelled = reader(row)
            if question.id in questions:
                raise RowError(f"the id {question.id!r} already stands in an earlier row")
        except RowError as error:
            problems.append(RowProblem(name, number, str(error)))
            continue
        questions[question.id] = question
        for passage in labelled:
            passages.setdefault(passage.id, passage)
    if not questions:
        kind = UnansweredError if reader and unanswered else UserError
        raise kind(f"no usable question: {problems[0] if problems else name + ' holds no rows'}")
    dataset = next(iter(questions.values())).dataset
    return Dataset(dataset, tuple(questions.values()), tuple(passages.values()), tuple(problems))


def _file_rows(path: Path) -> Iterator[tuple[int, object]]:
    """The rows of a file with their numbers; a line that is no JSON comes as the error to report."""
    try:
        with path.open("rb") as file:
            start = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        if not start:
            raise UserError(f"{path} is empty")
        yield from _array_rows(path) if start == b"[" else _line_rows(path)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text (byte {error.start}); if it is an archive, unpack it first, else convert it"
        ) from error


def _array_rows(path: Path) -> Iterator[tuple[int, object]]:
    rows = parse_document(path, path.read_bytes().decode("utf-8-sig"))
    for position in range(len(rows)):
        row, rows[position] = rows[position], None  # official files fill memory: let each row go once it is read
        yield position + 1, row


def _line_rows(path: Path) -> Iterator[tuple[int, object]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            if text:
                yield number, parse_line(text)


def _corpus_passage(row: object) -> tuple[str | None, Passage]:
    """The id that a line gives its passage, if it does, and the passage."""
    if isinstance(row, RowError):
        raise row
    if not isinstance(row, Mapping):
        raise RowError("a line must be a JSON object {id?, title, text}")
    title, text, identity = row.get("title"), row.get("text"), row.get("id")
    if not isinstance(title, str) or not isinstance(text, str) or not text.strip():
        raise RowError("a passage needs a title and a text")
    passage = Passage.of(one_line(title), one_line(text))
    if identity is None or identity == "":
        return None, passage
    if not isinstance(identity, str | int):
        raise RowError("the id of a passage must be a text or a whole number")
    return one_line(str(identity)), passage


def _sources(sources: Iterable[Source]) -> Iterator[Source]:
    for source in sources:
        if _is_hub_name(source):
            yield source
            continue
        path = Path(source)
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.suffix in {".json", ".jsonl"} and file.is_file())
            if not files:
                raise UserError(f"{path} holds no *.json or *.jsonl file")
            yield from files
        elif path.exists():
            yield path
        else:
            raise UserError(f"{path} does not exist")


def _place(source: Source) -> Source:
    return source if _is_hub_name(source) else Path(source).resolve()


def _is_hub_name(source: Source) -> TypeGuard[str]:
    return isinstance(source, str) and source.startswith(HUB_PREFIX)


def _hub_parts(name: str) -> tuple[str, str, str]:
    # A split may hold colons itself: "train[:500]".
    parts = name.removeprefix(HUB_PREFIX).split(":", 2)
    if len(parts) != 3 or not parts[0] or not parts[2]:
        raise UserError(f"{name!r} does not say which split of which dataset to read: write {HUB_SYNTAX}")
    return parts[0], parts[1], parts[2]


def _load_from_hub(name: str, config: str | None, split: str) -> Iterable[Row]:
    import datasets

    rows: Iterable[Row] = datasets.load_dataset(name, config, split=split)
    return rows
