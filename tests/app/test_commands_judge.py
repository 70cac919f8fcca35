"""`steper judge` and `steper rubrics`: the whole way from chains to scores, over real HTTP."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.commands_judge import judge, rubrics
from app.judging import default_name
from app.options import Group
from app.settings import database_url
from db import open_database
from db.queries_runs import list_runs
from db.queries_votes import votes
from evaluators.rubric import RUBRICS, load_rubric
from steper_core.run_records import RunKind, RunStatus
from steper_core.rundir import RunDir, open_run
from tests.fakes.judge_server import Body, FakeServer, Reply, chat, fault, honest, serve, verdict
from tests.fakes.judged_chains import PASSAGES, THREE_LINES, chain, question, write_run

KEY = "sk-secret-7f3a"
MAIN = Group("steper", commands={"judge": judge, "rubrics": rubrics})
PROCESS = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background ignores it
from app.commands_judge import judge
from app.options import Group
Group("steper", commands={"judge": judge})()
"""
PROBES = 4


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two finished runs of five questions; the fourth chain has one line and the fifth none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("STEPER_DATABASE_URL", raising=False)
    lines = [THREE_LINES, THREE_LINES, THREE_LINES, THREE_LINES[2:], ()]
    asked = [question(f"q{number}", text=f"Where is lake {number}?") for number in range(5)]
    for name in ("one", "two"):
        chains = [chain(*each, key=f"q{number}") for number, each in enumerate(lines)]
        write_run(tmp_path / "runs" / name, chains, asked)
    return tmp_path / "runs"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serve() as fake:
        yield fake


def steper(*arguments: str, url: str | None = None, input: str | None = None) -> Result:
    where = ["--base-url", url] if url else []
    return CliRunner().invoke(MAIN, [*arguments, *where], input=input)


def judged(server: FakeServer, *arguments: str, rubric: str = "abilities") -> str:
    result = steper("judge", "one", "--rubric", rubric, "--model", "big", "--yes", *arguments, url=server.url)
    assert result.exit_code == 0, result.output + result.stderr
    return result.stdout


def refused(result: Result) -> str:
    assert result.exit_code == 2, result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("steper: ") and KEY not in lines[0]
    return lines[0]


def scores(run: Path, name: str) -> dict[tuple[str, int | None], tuple[float | None, str | None]]:
    return {
        (score.question_id, score.step): (score.value, score.reason)
        for score in RunDir(run).scores()
        if score.name == name
    }


def test_a_judge_run_holds_its_votes_and_the_judged_run_gets_the_scores(runs: Path, server: FakeServer) -> None:
    server.answer = lambda body: Reply(chat(verdict(body, expansion="no")))
    said = judged(server)
    run = RunDir(runs / "judge-one-abilities-big")
    info = run.info
    assert (info.kind, info.status, info.model, info.dataset) == (RunKind.JUDGE, RunStatus.FINISHED, "big", "worlds")
    rubric = load_rubric("abilities")
    assert info.config == {
        "runs": [{"uid": RunDir(runs / "one").info.uid, "name": "one"}],
        "rubric": {"name": "abilities", "version": "1", "digest": rubric.digest},
        "model": "big",
        "base_url": server.url,
        "votes": 1,
        "generation": {"temperature": 0.0, "max_tokens": 1024},
        "limit": None,
    }
    assert len(list(run.questions())) == 5 and len(list(run.judgements())) == 4
    empty = {("q4", None): (None, "the chain has no steps")}
    three: dict[Any, Any] = {(f"q{number}", None): (1.0, None) for number in range(3)}
    missing = {("q3", None): (None, "the chain has no initialization step")}
    assert scores(runs / "one", "abilities_initialization") == {**three, **missing, **empty}
    assert scores(runs / "one", "abilities_aggregation") == {**three, ("q3", None): (1.0, None), **empty}
    assert {score.evaluator for score in RunDir(runs / "one").scores()} == {"judge:big"}
    expansion = info.figures["abilities_expansion@judge:big"]
    assert (expansion.mean, expansion.n, expansion.unscored, expansion.version) == (0.0, 3, 2, "1")
    assert info.judged == (RunDir(runs / "one").info.uid,)
    assert info.counts == {"chains": 5, "votes": 4}
    assert info.facts["prompt_tokens"] == 400 and info.facts["server_keeps_schema"] == 1
    assert "calls: 4 to make, 0 in the cache, 0 judged before" in said
    assert "cost unknown" in said and "1 the chain has no initialization step" in said


def test_the_same_command_makes_no_call_and_adds_nothing(runs: Path, server: FakeServer) -> None:
    judged(server)
    before = {file: file.read_bytes() for file in runs.rglob("*.jsonl")}
    assert len(server.asked) == PROBES + 4
    assert "calls: 0 to make, 0 in the cache, 4 judged before" in judged(server)
    # Under another name the answers come from the cache, and the scores are the same.
    assert "calls: 0 to make, 4 in the cache" in judged(server, "--name", "again")
    assert len(server.asked) == PROBES + 4
    assert all(file.read_bytes() == old for file, old in before.items())
    votes = [sorted(RunDir(runs / name).judgements(), key=lambda vote: vote.key) for name in ("again", default())]
    assert votes[0] == votes[1]


def default(rubric: str = "abilities") -> str:
    return default_name("one", rubric, "big", None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--base-url", ""), "--base-url is empty"), (("--temperature", "nan"), "nan is no temperature")],
)
def test_options_without_a_meaning_are_refused(arguments: tuple[str, ...], words: str) -> None:
    assert words in refused(steper("judge", "one", "--rubric", "abilities", "--model", "big", *arguments))


def test_other_settings_need_another_name(server: FakeServer) -> None:
    judged(server)
    arguments = ("judge", "one", "--rubric", "abilities", "--model", "big", "--yes", "--limit", "2")
    assert "changed: limit" in refused(steper(*arguments, url=server.url))


def test_steps_sub_questions_and_votes(runs: Path, server: FakeServer) -> None:
    server.answer = lambda body: Reply(chat(verdict(body, rating="good" if body["seed"] == 1 else "bad")))
    said = judged(server, "--votes", "2", "--limit", "1", rubric="steps")
    assert [body["temperature"] for body in server.judged] == [0.7] * 6
    assert scores(runs / "one", "steps_rating") == {("q0", step): (0.0, None) for step in (1, 2, 3)}
    # Every step got a good and a bad vote: no pair of votes agrees, on three things of one question.
    assert "votes that agree, pair by pair" in said and "0.0" in said and "+0.00" in said
    judged(server, "--limit", "1", rubric="subqa")
    assert scores(runs / "one", "subqa_ri") == {("q0", None): (1.0, None)}


def test_a_pair_is_judged_in_both_orders_for_the_judged_run_alone(runs: Path, server: FakeServer) -> None:
    server.answer = lambda body: Reply(chat(verdict(body, preference="first")))
    said = judged(server, "--against", "two", rubric="pairwise")
    # Whoever stands first is preferred: all are ties, and none is consistent.
    assert scores(runs / "one", "pairwise_preference") == {(f"q{number}", None): (0.0, None) for number in range(5)}
    info = RunDir(runs / "judge-one-pairwise-against-two-big").info
    assert info.figures["pairwise_consistency@judge:big:two"].mean == 0
    assert info.judged == tuple(RunDir(runs / name).info.uid for name in ("one", "two"))
    assert {score.evaluator for score in RunDir(runs / "one").scores()} == {"judge:big:two"}
    assert list(RunDir(runs / "two").scores()) == [] and len(server.judged) == 10
    assert "pairwise_consistency" in said


def test_only_shared_questions_are_compared_and_that_is_said(runs: Path, server: FakeServer) -> None:
    asked = [question("q1", text="Where is lake 1?"), question("other")]
    write_run(runs / "few", [chain(*THREE_LINES, key="q1"), chain("x", key="other")], asked)
    said = judged(server, "--against", "few", rubric="pairwise")
    assert "the two runs share 1 questions (of 5 and 2)" in said and len(server.judged) == 2


def test_questions_that_are_only_numbered_alike_are_not_compared(runs: Path, server: FakeServer) -> None:
    write_run(runs / "other", [chain("x", key="q1")], [question("q1", text="Who is king?")])
    result = steper("judge", "one", "--rubric", "pairwise", "--model", "m", "--against", "other", url=server.url)
    assert result.exit_code == 2 and "no chains to judge against" in result.stderr


def test_a_chain_without_steps_does_not_hide_the_ratings_of_others(runs: Path, server: FakeServer) -> None:
    server.answer = lambda body: Reply(chat(verdict(body, rating="good")))
    judged(server, rubric="steps")
    figure = RunDir(runs / "judge-one-steps-big").info.figures["steps_rating@judge:big"]
    assert (figure.mean, figure.n, figure.unscored) == (1.0, 4, 1)


def test_it_asks_before_it_calls_and_no_means_nothing_happens(runs: Path, server: FakeServer) -> None:
    arguments = ("judge", "one", "--rubric", "abilities", "--model", "gpt-4o-mini")
    result = steper(*arguments, url=server.url, input="n\n")
    assert result.exit_code == 0 and "make 4 calls?" in result.output and "nothing was called" in result.output
    assert "cost $0.00" in result.output and "prices of" in result.output
    assert server.asked == [] and not (runs / "judge-one-abilities-gpt-4o-mini").exists()
    result = steper(*arguments, url=server.url, input="")
    assert result.exit_code == 2 and "--yes" in result.stderr and server.asked == []
    result = steper(*arguments, url=server.url, input="y\n")
    assert result.exit_code == 0 and len(server.judged) == 4


def test_prices_of_ones_own_make_the_cost(runs: Path, server: FakeServer) -> None:
    Path("prices.toml").write_text("[models.big]\nprompt = 1000\noutput = 10000\n")
    said = judged(server, "--prices", "prices.toml")
    # Four votes of 100 and 10 tokens: 400 at 0.001 and 40 at 0.01 dollars.
    assert "cost $0.8000" in said and RunDir(runs / default()).info.facts["cost_usd"] == 0.8


def test_a_server_that_counts_no_tokens_is_no_free_one(runs: Path, server: FakeServer) -> None:
    server.answer = lambda body: Reply({**honest(body).content, "usage": None})
    Path("prices.toml").write_text("[models.big]\nprompt = 1000\noutput = 10000\n")
    said = judged(server, "--prices", "prices.toml")
    assert "cost unknown: the server counts no tokens" in said.splitlines()[-1]
    assert "cost_usd" not in RunDir(runs / default()).info.facts


def test_calls_that_failed_are_unscored_and_asked_for_again(runs: Path, server: FakeServer) -> None:
    def answer(body: Body) -> Reply:
        return fault(400, "too long") if "lake 1?" in body["messages"][1]["content"] else honest(body)

    server.answer = answer
    said = judged(server)
    assert "! 1 of 4 votes give no verdict: 1 the call failed: 400: too long" in said
    reason = "the call failed: 400: too long"
    assert scores(runs / "one", "abilities_expansion")["q1", None] == (None, reason)
    assert RunDir(runs / default()).info.counts[f"unscored: {reason}"] == 1
    server.asked.clear()
    server.answer = honest
    judged(server)
    assert len(server.asked) == 1
    assert scores(runs / "one", "abilities_expansion")["q1", None] == (1.0, None)
    assert RunDir(runs / default()).info.counts == {"chains": 5, "votes": 4}


def test_two_judgings_that_share_a_run_s_scores_are_told_of(runs: Path, server: FakeServer) -> None:
    judged(server)
    server.answer = lambda body: Reply(chat(verdict(body, expansion="no")))
    part = ("--votes", "2", "--limit", "2", "--name")
    said = judged(server, *part, "twice")
    assert "! one has scores of judge:big for 3 more questions, from a judging that went otherwise" in said
    # Repeated, it changes nothing, and so does a part of the same judging.
    assert "went otherwise" not in judged(server, *part, "twice")
    assert "went otherwise" not in judged(server, "--votes", "2", "--name", "whole")
    assert "went otherwise" not in judged(server, *part, "part")


def test_a_server_that_ignores_options_is_named_and_its_answers_are_unscored(runs: Path, server: FakeServer) -> None:
    server.answer = server.probed = lambda body: Reply(chat("hello"))
    said = judged(server)
    assert f"! {server.url} ignores the JSON schema" in said and "ignores n;" in said and "ignores the seed" in said
    info = RunDir(runs / default()).info
    assert [info.facts[f"server_keeps_{name}"] for name in ("schema", "n", "seed")] == [0, 0, 0]
    assert info.figures["abilities_aggregation@judge:big"].n == 0
    assert info.counts["unscored: the answer is not one JSON object"] == 4


def test_a_refused_key_and_a_missing_server_end_in_one_line(runs: Path, server: FakeServer) -> None:
    server.probed = lambda body: fault(401, f"Incorrect API key provided: {KEY}")
    arguments = ("judge", "one", "--rubric", "abilities", "--model", "big", "--yes")
    assert "refuses the key" in refused(steper(*arguments, url=server.url))
    assert RunDir(runs / default()).info.status is RunStatus.FAILED
    server.probed = honest
    judged(server)
    assert RunDir(runs / default()).info.status is RunStatus.FINISHED


def test_no_secret_reaches_a_file(runs: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    url = server.url.replace("://", "://me:hunter2@")
    arguments = ["judge", "one", "--rubric", "abilities", "--model", "big", "--yes", "--base-url", url]
    monkeypatch.setattr(sys, "argv", ["steper", *arguments])
    result = CliRunner().invoke(MAIN, arguments)
    assert result.exit_code == 0, result.output
    assert RunDir(runs / default()).info.command.endswith(f"--base-url {server.url}")
    for text in [result.output.encode(), *(file.read_bytes() for file in runs.rglob("*") if file.is_file())]:
        assert KEY.encode() not in text and b"hunter2" not in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("on", "--rubric", "abilities"), "there are: one"),
        (("one", "--rubric", "abilitys"), "neither a readable TOML file nor a built-in rubric"),
        (("one", "--rubric", "pairwise"), "name the other one with --against"),
        (("one", "--rubric", "steps", "--against", "two"), "leave --against out"),
        (("one", "--rubric", "pairwise", "--against", "one"), "compared with itself"),
        (("trained", "--rubric", "steps"), "it is a train run"),
        (("empty", "--rubric", "steps"), "has no chains to judge"),
        (("one", "--rubric", "steps", "--prices", "none.toml"), "none.toml is no readable table"),
    ],
)
def test_a_mistake_is_named_before_anything_is_called(
    runs: Path, server: FakeServer, arguments: tuple[str, ...], said: str
) -> None:
    with open_run(runs / "trained", kind=RunKind.TRAIN, config={}, dataset="worlds", model="m"):
        pass
    write_run(runs / "empty", [], [question()])
    result = steper("judge", *arguments, "--model", "big", "--yes", url=server.url)
    assert said in refused(result) and server.asked == []


def test_a_run_that_is_not_finished_is_judged_with_a_warning_but_not_while_it_is_held(
    runs: Path, server: FakeServer
) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        open_run(runs / "cut", kind=RunKind.EVALUATE, config={}, dataset="worlds", model="m") as run,
    ):
        run.write_questions([question("q0"), question("q1")])
        run.append_chains([chain("So the answer is: x", key="q1").model_copy(update={"steps": ()})])
        held = steper("judge", "cut", "--rubric", "steps", "--model", "big", "--yes", url=server.url)
        assert "still being worked on" in refused(held)
        raise KeyboardInterrupt
    result = steper("judge", "cut", "--rubric", "steps", "--model", "big", "--yes", url=server.url)
    assert result.exit_code == 0 and "only the chains it has so far are judged" in result.stdout
    assert server.asked == [] and scores(runs / "cut", "steps_rating") == {
        ("q1", None): (None, "the chain has no steps")
    }


def test_votes_on_chains_that_were_finished_later_are_in_the_database_too(runs: Path, server: FakeServer) -> None:
    def go_on(key: str) -> None:
        with open_run(runs / "late", kind=RunKind.EVALUATE, config={}, dataset="worlds", model="m") as run:
            run.write_questions([question("q0"), question("q1")])
            run.append_passages(PASSAGES.values())
            run.append_chains([chain(*THREE_LINES, key=key)])
            if key == "q1":
                raise KeyboardInterrupt

    command = ("judge", "late", "--rubric", "abilities", "--model", "big", "--yes")
    with pytest.raises(KeyboardInterrupt):
        go_on("q1")
    assert steper(*command, url=server.url).exit_code == 0
    go_on("q0")
    assert steper(*command, url=server.url).exit_code == 0
    assert [each.id for each in RunDir(runs / "judge-late-abilities-big").questions()] == ["q1", "q0"]
    engine = open_database(database_url(runs))
    found = votes(engine, tuple(run.id for run in list_runs(engine)))
    assert len({vote.question_id for vote in found}) == len(found) == 2


def test_rubrics_are_listed_printed_and_checked(tmp_path: Path) -> None:
    listed = steper("rubrics").stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["abilities", "pairwise", "steps", "subqa"]
    assert steper("rubrics", "steps").stdout.strip() == RUBRICS.text("steps").strip()
    own = tmp_path / "own.toml"
    own.write_text(RUBRICS.text("steps").replace('name = "steps"', 'name = "mine"'))
    assert steper("rubrics", str(own)).stdout.startswith("mine 1 (step): ")
    own.write_text(RUBRICS.text("steps").replace("scope", "scop"))
    assert "did you mean 'scope'?" in refused(steper("rubrics", str(own)))


def test_names_fit_any_file_system() -> None:
    assert default_name("eval", "steps", "org/Model 8B:x", None) == "judge-eval-steps-org-Model-8B-x"
    assert default_name("a", "pairwise", "m", "b") == "judge-a-pairwise-against-b-m"


def start(server: FakeServer, *more: str) -> subprocess.Popen[str]:
    arguments = ["judge", "one", "--rubric", "steps", "--model", "big", "--base-url", server.url, "--yes", *more]
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for_calls(server: FakeServer, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(server.judged) < count:
        assert time.monotonic() < deadline, "the calls did not come"
        time.sleep(0.01)


def slowly(body: Body) -> Reply:
    return Reply(honest(body).content, seconds=0.3)


def test_an_interrupt_lets_calls_come_home_and_the_same_command_repeats_none(runs: Path, server: FakeServer) -> None:
    server.answer = slowly
    process = start(server, "--concurrency", "2")
    wait_for_calls(server, 3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "calls in flight; interrupt again to drop them" in out and "the same command continues" in err
    run = RunDir(runs / default("steps"))
    done = len(server.judged)
    assert run.info.status is RunStatus.INTERRUPTED and len(list(run.judgements())) == done < 10
    judged(server, "--concurrency", "2", rubric="steps")
    assert len(server.probes) == PROBES
    asked = [body["messages"][1]["content"] for body in server.judged]
    assert len(asked) == len(set(asked)) == 10 == len(list(run.judgements()))


def test_after_a_kill_only_calls_that_were_in_flight_are_repeated(runs: Path, server: FakeServer) -> None:
    server.answer = slowly
    process = start(server, "--concurrency", "2")
    wait_for_calls(server, 5)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    run = RunDir(runs / default("steps"))
    kept = len(list(run.judgements()))
    assert run.info.status is RunStatus.INTERRUPTED and kept >= 2
    asked_before = len(server.judged)
    judged(server, "--concurrency", "2", rubric="steps")
    # An answer may have been kept whose vote was not: it is not asked for again either.
    assert len(server.judged) - asked_before <= 10 - kept and len(server.judged) <= 10 + 2
    assert len(server.probes) == PROBES and len(scores(runs / "one", "steps_rating")) == 11


def test_scores_that_cannot_be_read_are_noticed_before_anything_is_called(runs: Path, server: FakeServer) -> None:
    (runs / "one" / "scores.jsonl").write_text('{"nothing": 1}\n')
    arguments = ("judge", "one", "--rubric", "abilities", "--model", "big", "--yes")
    assert "scores.jsonl, line 1" in refused(steper(*arguments, url=server.url)) and server.asked == []


def test_a_server_that_answers_nothing_at_all_is_an_error_and_asked_again(runs: Path, server: FakeServer) -> None:
    server.answer = lambda body: Reply(b"<html>")
    result = steper("judge", "one", "--rubric", "abilities", "--model", "big", "--yes", url=server.url)
    assert "answered none of the calls" in refused(result)
    server.answer = honest
    assert "votes, 4 calls made now" in judged(server)


@pytest.mark.parametrize("name", [".", "..", "../out", "a/b", " a", "a.", "-x", "x" * 300, "a\nb"])
def test_a_run_lies_in_a_folder_right_below_the_runs(runs: Path, server: FakeServer, name: str) -> None:
    command = ("judge", "one", "--rubric", "abilities", "--model", "big", "--yes", f"--name={name}")
    assert "cannot name a run" in refused(steper(*command, url=server.url))
    assert server.asked == []


def test_a_very_long_model_name_gets_a_short_folder(runs: Path, server: FakeServer) -> None:
    result = steper("judge", "one", "--rubric", "abilities", "--model", "m" * 300, "--yes", url=server.url)
    assert result.exit_code == 0
    (made,) = (path for path in runs.iterdir() if path.name.startswith("judge-one-abilities-mmm"))
    assert len(made.name) < 60 and RunDir(made).info.model == "m" * 300
