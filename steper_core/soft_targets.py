"""A teacher's log-probabilities of its likeliest tokens, stored once for all trainings on the same chains.

A folder holds `soft.json` (what they are of), `index.jsonl` (a line a chain: where its targets begin, how many, and a
digest of them) and two arrays, tokens and log-probabilities, a row of k a target, in the order of a chain's examples.
The digest ties them to the very targets and all that stands before them: other chains, passages, examples, tokens or a
cut elsewhere are noticed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from steper_core import jsonl
from steper_core.digests import digest_of
from steper_core.errors import UserError
from steper_core.examples import ChainRows
from steper_core.locks import lock_within
from steper_core.losses import target_logits
from steper_core.objectives import tempered
from steper_core.packing import Row, collate

_BYTES = 4
"""Of a token as of a log-probability."""

_PRIME = 2**61 - 1

OnProgress = Callable[[int, int], None]


class SoftSettings(BaseModel):
    """What stored log-probabilities are of: the teacher, its vocabulary's digest and size, temperature, and k."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    teacher: str
    vocabulary_digest: str
    vocabulary: int
    temperature: float
    top_k: int


class StoredChain(BaseModel):
    """Where the targets of one chain stand."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question_id: str
    start: int
    count: int
    digest: str


@dataclass(frozen=True)
class SoftFiles:
    """The files of one folder."""

    folder: Path

    @property
    def settings(self) -> Path:
        """What is stored."""
        return self.folder / "soft.json"

    @property
    def index(self) -> Path:
        """A line a chain."""
        return self.folder / "index.jsonl"

    @property
    def ids(self) -> Path:
        """int32 (targets, k)."""
        return self.folder / "ids.bin"

    @property
    def log_probs(self) -> Path:
        """float32 (targets, k)."""
        return self.folder / "log_probs.bin"


def store_soft_targets(
    folder: Path,
    settings: SoftSettings,
    teacher: Any,
    chains: Sequence[ChainRows],
    *,
    on_progress: OnProgress = lambda _done, _all: None,
) -> int:
    """Run the teacher over all targets of these chains and store what it says; chains that are stored stay.

    Returns:
        How many chains were stored now.

    Raises:
        UserError: the folder holds what another teacher said, or at other settings, or another process stores into it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        if not lock_within(lock.fileno(), wait=0.25):
            raise UserError(f"{folder}: another process stores into it; wait for it, or name another folder")
        return _store(SoftFiles(folder), settings, teacher, chains, on_progress)


def _store(
    files: SoftFiles, settings: SoftSettings, teacher: Any, chains: Sequence[ChainRows], on_progress: OnProgress
) -> int:
    if files.settings.exists():
        _require_same(_read_settings(files), settings, files)
    else:
        files.settings.write_text(settings.model_dump_json(indent=1), "utf-8")
    jsonl.repair(files.index)
    known = list(jsonl.read(files.index, StoredChain))
    _cut(files, _rows(known), settings.top_k)
    done = {chain.question_id for chain in known}
    start = _rows(known)
    added = 0
    for number, chain in enumerate(chains, start=1):
        if chain.question_id not in done:
            ids, log_probs = _ask(teacher, chain.rows, settings)
            for file, values in ((files.ids, ids), (files.log_probs, log_probs)):
                with file.open("ab") as stream:
                    stream.write(values.tobytes())
            line = StoredChain(question_id=chain.question_id, start=start, count=len(ids), digest=targets_digest(chain))
            jsonl.append(files.index, [line])
            start += len(ids)
            added += 1
        on_progress(number, len(chains))
    return added


def stored_teacher(folder: Path) -> str:
    """The teacher whose log-probabilities a folder holds.

    Raises:
        UserError: nothing is stored there.
    """
    return _read_settings(SoftFiles(folder)).teacher


def stored_digest(folder: Path, question_ids: Collection[str]) -> str:
    """Tells whether a folder still says of these questions what it said; of each chain the first target is looked at.

    Raises:
        UserError: nothing is stored there.
    """
    files = SoftFiles(folder)
    settings = _read_settings(files)
    chains = [chain for chain in jsonl.read(files.index, StoredChain) if chain.question_id in question_ids]
    row = settings.top_k * _BYTES
    said = []
    if chains:
        _require_whole(files, max(chain.start + chain.count for chain in chains), settings.top_k)
        with files.log_probs.open("rb") as stream:
            for chain in chains:
                stream.seek(chain.start * row)
                said.append([chain.question_id, chain.digest, stream.read(row if chain.count else 0).hex()])
    return digest_of({"settings": settings.model_dump(mode="json"), "said": sorted(said)})


def attach(
    folder: Path, chains: Sequence[ChainRows], vocabulary_digest: str, temperature: float, teacher: str | None = None
) -> list[ChainRows]:
    """The chains with what a teacher stored for their targets; the numbers stay on disk until they are read.

    Without `teacher` any will do.

    Raises:
        UserError: nothing is stored there, or it belongs to other chains, examples or tokens, to another temperature or
            teacher.
    """
    files = SoftFiles(folder)
    settings = _read_settings(files)
    asked = {
        "vocabulary_digest": vocabulary_digest,
        "temperature": temperature,
        "teacher": teacher or settings.teacher,
    }
    _require_same(settings, settings.model_copy(update=asked), files)
    index = {stored.question_id: stored for stored in jsonl.read(files.index, StoredChain)}
    shape = (_rows(index.values()), settings.top_k)
    if not shape[0]:
        raise UserError(f"{folder} holds no chain: repeat steper soft-targets")
    _require_whole(files, *shape)
    ids = np.memmap(files.ids, np.int32, "r", shape=shape)
    log_probs = np.memmap(files.log_probs, np.float32, "r", shape=shape)
    return [_with_soft(chain, index.get(chain.question_id), ids, log_probs, folder) for chain in chains]


def targets_digest(chain: ChainRows) -> str:
    """Equal for chains whose targets are the same tokens after the same tokens in examples of the same tasks.

    Targets stand in the order of examples whether these share a row or not.
    """
    parts = zip(*((row.targets, _paths(row)[row.sources], row.tasks) for row in chain.rows), strict=True)
    targets, paths, tasks = (np.concatenate(part).tolist() for part in parts)
    return digest_of({"targets": targets, "paths": paths, "tasks": tasks})


def _paths(row: Row) -> Any:
    """int64 (N,): for each token a number that tells it and all tokens above it, in their order."""
    numbers, branch = [], [1]
    for depth, token in zip(row.depths.tolist(), row.ids.tolist(), strict=True):
        branch[depth + 1 :] = [(branch[depth] * 1_000_003 + token) % _PRIME]
        numbers.append(branch[-1])
    return np.array(numbers, np.int64)


@torch.inference_mode()
def _ask(teacher: Any, rows: Sequence[Row], settings: SoftSettings) -> tuple[Any, Any]:
    kept = []
    for row in rows:
        logits = target_logits(teacher, collate([row], teacher.device))[:, : settings.vocabulary]
        kept.append(tempered(logits, settings.temperature).topk(settings.top_k))
    ids = torch.cat([each.indices for each in kept]).cpu().numpy().astype(np.int32)
    log_probs = torch.cat([each.values for each in kept]).cpu().numpy().astype(np.float32)
    return ids, log_probs


def _with_soft(chain: ChainRows, stored: StoredChain | None, ids: Any, log_probs: Any, folder: Path) -> ChainRows:
    if stored is None:
        raise UserError(f"{folder} holds nothing for question {chain.question_id!r}: repeat steper soft-targets")
    if stored.digest != targets_digest(chain):
        raise UserError(
            f"{folder}: what is stored for question {chain.question_id!r} belongs to other targets; the chains, the "
            "method, train.abilities, train.max_length or the tokenizer changed: repeat steper soft-targets elsewhere"
        )
    return dataclasses.replace(chain, rows=tuple(_split(chain.rows, stored.start, ids, log_probs)))


def _split(rows: Sequence[Row], start: int, ids: Any, log_probs: Any) -> Iterator[Row]:
    for row in rows:
        stop = start + len(row.targets)
        yield dataclasses.replace(row, soft=(ids[start:stop], log_probs[start:stop]))
        start = stop


def _read_settings(files: SoftFiles) -> SoftSettings:
    try:
        return SoftSettings.model_validate_json(files.settings.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"{files.folder} holds no stored log-probabilities: steper soft-targets makes them") from error
    except ValueError as error:
        raise UserError(f"{files.settings} is damaged: delete {files.folder} and repeat steper soft-targets") from error


def _require_same(stored: SoftSettings, asked: SoftSettings, files: SoftFiles) -> None:
    names = {"vocabulary_digest": "vocabulary"}
    for name, value in stored.model_dump().items():
        wanted = getattr(asked, name)
        if value != wanted:
            what = names.get(name, name)
            raise UserError(f"{files.folder} is of another {what} ({value}, not {wanted}): name another folder")


def _rows(chains: Iterable[StoredChain]) -> int:
    return sum(chain.count for chain in chains)


def _cut(files: SoftFiles, count: int, top_k: int) -> None:
    """Drop what a kill left behind the last chain of the index."""
    if count:
        _require_whole(files, count, top_k)
    for file in (files.ids, files.log_probs):
        with file.open("ab") as stream:
            stream.truncate(count * top_k * _BYTES)


def _require_whole(files: SoftFiles, count: int, top_k: int) -> None:
    for file in (files.ids, files.log_probs):
        if not file.exists() or file.stat().st_size < count * top_k * _BYTES:
            raise UserError(
                f"{file} is missing or shorter than {files.index.name} says: delete {files.folder} and repeat "
                "steper soft-targets"
            )
