"""The cache of answers: what tells calls apart, and that it holds under several processes and a kill."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from evaluators.judge_cache import Answer, AnswerCache, cache_key
from steper_core.errors import UserError

MESSAGES = [{"role": "user", "content": "Judge."}]
SAME: dict[str, Any] = {
    "model": "m",
    "url": "http://h/v1",
    "messages": MESSAGES,
    "settings": {"temperature": 0.0, "max_tokens": 9},
    "rubric": "abilities",
    "version": "1",
    "vote": 1,
}
FULL = Answer("text", "no", "length", 3, 4, 0.5)

WRITER = """
import sys
from pathlib import Path
from evaluators.judge_cache import Answer, AnswerCache
name, folder = sys.argv[1:]
with AnswerCache(Path(folder)) as cache:
    for number in range(int(1e9)):
        cache.put([(f"{name}-{number}", Answer(name))])
        print(number, flush=True)
        if number == 199 and name != "killed":
            break
"""


@pytest.mark.parametrize(
    "change",
    [
        {"model": "n"},
        {"url": "http://h2/v1"},
        {"messages": [{"role": "user", "content": "Judge!"}]},
        {"messages": [{"role": "system", "content": "Judge."}]},
        {"settings": {"temperature": 0.5, "max_tokens": 9}},
        {"settings": {"temperature": 0.0, "max_tokens": 8}},
        {"rubric": "steps"},
        {"version": "2"},
        {"vote": 2},
    ],
)
def test_whatever_an_answer_depends_on_changes_the_key(change: dict[str, Any]) -> None:
    assert cache_key(**SAME) == cache_key(**SAME)
    assert cache_key(**{**SAME, **change}) != cache_key(**SAME)


def test_answers_come_back_as_they_were(tmp_path: Path) -> None:
    with AnswerCache(tmp_path / "deep" / "cache") as cache:
        assert cache.get("a") is None
        cache.put([("a", FULL), ("b", Answer("ü"))])
        cache.put([])
    with AnswerCache(tmp_path / "deep" / "cache") as cache:
        assert cache.get("a") == FULL and cache.get("b") == Answer("ü")
        assert cache.known(["b", "x", "a"]) == {"a", "b"}


def test_the_first_answer_stays(tmp_path: Path) -> None:
    with AnswerCache(tmp_path) as cache:
        cache.put([("a", FULL)])
        cache.put([("a", Answer("later")), ("b", Answer("new"))])
        assert cache.get("a") == FULL and cache.get("b") == Answer("new")


def test_more_keys_than_one_question_to_the_database_holds(tmp_path: Path) -> None:
    with AnswerCache(tmp_path) as cache:
        cache.put((f"{number}", Answer("x")) for number in range(0, 1203, 3))
        assert len(cache.known([f"{number}" for number in range(1203)])) == 401


def test_an_answer_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    with AnswerCache(tmp_path) as cache:
        cache.put([("a", FULL)])
        with sqlite3.connect(tmp_path / "answers.sqlite") as database:
            database.execute("UPDATE answers SET answer = '{\"other\": 1}'")
        assert cache.get("a") is None
        # It is asked for anew, and the new answer is kept.
        cache.put([("a", FULL)])
        assert cache.get("a") == FULL


@pytest.mark.parametrize("damaged", ["5", '{"text": 5}', '{"text": "x", "refusal": 7}', "[" * 100_000])
def test_an_answer_of_other_types_is_none(tmp_path: Path, damaged: str) -> None:
    with AnswerCache(tmp_path) as cache:
        cache.put([("a", FULL)])
        with sqlite3.connect(tmp_path / "answers.sqlite") as database:
            database.execute("UPDATE answers SET answer = ?", (damaged,))
        assert cache.get("a") is None


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "answers.sqlite").write_bytes(b"no database at all, but long enough to be looked at" * 40)
    with pytest.raises(UserError, match=r"answers\.sqlite: cannot be opened .*delete it"):
        AnswerCache(tmp_path)


def start(name: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, name, str(folder)], stdout=subprocess.PIPE, text=True, env={**os.environ}
    )


def test_a_new_file_that_another_is_just_opening_is_waited_for(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "answers.sqlite", check_same_thread=False, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    timer.start()
    with AnswerCache(tmp_path) as cache:
        cache.put([("a", FULL)])
        assert cache.get("a") == FULL
    timer.join()
    other.close()


def test_processes_write_at_once_and_a_killed_one_loses_nothing_it_had_written(tmp_path: Path) -> None:
    killed, *writers = [start(name, tmp_path) for name in ("killed", "one", "two")]
    assert killed.stdout is not None
    said = ""
    while said != "30\n":
        said = killed.stdout.readline()
    killed.send_signal(signal.SIGKILL)
    rest = killed.communicate()[0].splitlines()
    last = int(rest[-1]) if rest else 30
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    with AnswerCache(tmp_path) as cache:
        for name in ("one", "two"):
            assert len(cache.known([f"{name}-{number}" for number in range(200)])) == 200
        assert len(cache.known([f"killed-{number}" for number in range(last + 1)])) == last + 1
