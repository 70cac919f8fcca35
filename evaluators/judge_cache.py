"""Answers of judges by the digest of what was asked: one SQLite file that several processes may use at once."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from steper_core.errors import UserError
from steper_core.wal import use_wal

_WAIT_SECONDS = 30.0
_KEYS_AT_ONCE = 500


@dataclass(frozen=True)
class Answer:
    """What a server gave for one call: its text or its refusal, why it stopped, tokens, and wall seconds."""

    text: str
    refusal: str | None = None
    finish: str = "stop"
    prompt_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0


def cache_key(
    *,
    model: str,
    url: str,
    messages: Sequence[Mapping[str, str]],
    settings: Mapping[str, Any],
    rubric: str,
    version: str,
    vote: int,
) -> str:
    """The digest of all that an answer depends on."""
    asked = [model, url, list(messages), dict(settings), rubric, version, vote]
    return hashlib.blake2b(json.dumps(asked, sort_keys=True).encode(), digest_size=16).hexdigest()


class AnswerCache:
    """Keeps answers in `folder`/answers.sqlite; use it as a context manager, from one thread.

    Whatever `put` returned from survives a kill. What a server answered is kept, refusals and broken answers included;
    a call that failed has no answer and is never kept. Delete the folder to ask everything anew.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "answers.sqlite"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Autocommit: every statement below is a transaction of its own unless it says BEGIN.
            self._database = sqlite3.connect(self._file, timeout=_WAIT_SECONDS, isolation_level=None)
            use_wal(self._database, _WAIT_SECONDS)
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL)")
        except (OSError, sqlite3.Error) as error:
            raise UserError(f"{self._file}: cannot be opened ({error}); delete it, or free the place") from error

    def __enter__(self) -> AnswerCache:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._database.close()

    def known(self, keys: Sequence[str]) -> set[str]:
        """Those of the keys that have an answer."""
        found: set[str] = set()
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            part = keys[start : start + _KEYS_AT_ONCE]
            marks = ",".join("?" * len(part))
            found.update(key for (key,) in self._read(f"SELECT key FROM answers WHERE key IN ({marks})", part))  # noqa: S608 - question marks only
        return found

    def get(self, key: str) -> Answer | None:
        """The answer of a key, None where there is none; one that cannot be read is dropped, to be asked for anew."""
        for (text,) in self._read("SELECT answer FROM answers WHERE key = ?", (key,)):
            answer = _answer_in(text)
            if answer is None:
                self._read("DELETE FROM answers WHERE key = ?", (key,))
            return answer
        return None

    def put(self, answers: Iterable[tuple[str, Answer]]) -> None:
        """Keep answers; of two for one key the first stays.

        Raises:
            UserError: the file cannot be written.
        """
        rows = [(key, json.dumps(asdict(answer))) for key, answer in answers]
        if not rows:
            return
        try:
            with self._database:
                self._database.execute("BEGIN IMMEDIATE")
                self._database.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?)", rows)
        except sqlite3.Error as error:
            raise UserError(f"{self._file}: cannot be written ({error})") from error

    def _read(self, query: str, values: Sequence[str]) -> list[tuple[str]]:
        try:
            return self._database.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise UserError(f"{self._file}: cannot be read ({error}); delete it to go on without it") from error


_ANSWER = TypeAdapter(Answer)


def _answer_in(text: str) -> Answer | None:
    try:
        return _ANSWER.validate_json(text, strict=True)
    except ValidationError:
        return None
