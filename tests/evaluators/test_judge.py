"""Judging over real HTTP: votes, failures, the cache, and that only the server's own verdict counts."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evaluators.judge import CALL_FAILED, Call, Judge, is_final, judgement_of, place_of, tokens_of
from evaluators.judge_cache import Answer, AnswerCache
from evaluators.judge_prompts import Item, Prompter, items_of
from evaluators.judge_server import CallFailedError, JudgeServer, JudgeSettings, Traits
from evaluators.rubric import load_rubric
from steper_core.errors import UserError
from steper_core.records import Chain, Judgement, Question
from tests.fakes.injections import INJECTIONS, WANTED
from tests.fakes.judge_server import Body, FakeServer, Reply, chat, fault, honest, serve, verdict
from tests.fakes.judged_chains import PASSAGES, THREE_LINES, chain, question

GOOD = chain(*THREE_LINES)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    with serve() as fake:
        yield fake


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[AnswerCache]:
    with AnswerCache(tmp_path / "cache") as opened:
        yield opened


def judge_of(url: str, cache: AnswerCache, rubric: str = "abilities", **options: Any) -> Judge:
    concurrency = options.pop("concurrency", 16)
    loaded = load_rubric(rubric)
    judging = JudgeServer("big", base_url=url, **options)
    return Judge(loaded, judging, cache, Prompter(loaded, PASSAGES), concurrency=concurrency)


def items(count: int, rubric: str = "abilities") -> list[Item]:
    """The items of so many different questions."""
    asked = [question(f"q{number}", text=f"Where is lake {number}?") for number in range(count)]
    return [item for each in asked for item in items_of(load_rubric(rubric), each, GOOD)]


def judged(judge: Judge, calls: list[Call], **options: Any) -> list[Judgement]:
    found: list[Judgement] = []
    judge.run(calls, found.extend, **{"traits": Traits(True, True, True), **options})
    return found


def one_vote(
    server: FakeServer, cache: AnswerCache, item: Item, rubric: str = "abilities", **options: Any
) -> Judgement:
    judge = judge_of(server.url, cache, rubric, **options)
    (found,) = judged(judge, judge.plan([item], 1))
    return found


def test_a_vote_holds_verdicts_reasons_tokens_and_the_key_of_its_call(server: FakeServer, cache: AnswerCache) -> None:
    server.answer = lambda body: Reply(chat(verdict(body, rating="bad", tags=["unsupported"])))
    judge = judge_of(server.url, cache, "steps")
    (call,) = judge.plan([Item(question(), GOOD, step=2)], 1)
    (vote,) = judged(judge, [call])
    assert (vote.question_id, vote.step, vote.rubric, vote.version, vote.judge) == ("q", 2, "steps", "1", "big")
    assert (vote.vote, vote.order, vote.verdicts, vote.tags) == (1, "", {"rating": -1.0}, ("unsupported",))
    assert (vote.explanation, vote.unscored, vote.key) == ("It follows.", None, call.key)
    assert (vote.prompt_tokens, vote.output_tokens) == (100, 10) and vote.seconds > 0
    assert place_of(vote) == call.place and is_final(vote)


def test_votes_have_seeds_of_their_own_and_are_all_kept(server: FakeServer, cache: AnswerCache) -> None:
    judge = judge_of(server.url, cache, settings=JudgeSettings(0.7))
    found = judged(judge, judge.plan(items(2), 3))
    assert sorted((vote.question_id, vote.vote) for vote in found) == [
        (key, vote) for key in ("q0", "q1") for vote in (1, 2, 3)
    ]
    assert sorted(body["seed"] for body in server.asked) == [1, 1, 2, 2, 3, 3]
    assert len({vote.key for vote in found}) == 6


def test_no_answer_is_asked_for_twice(server: FakeServer, cache: AnswerCache) -> None:
    judge = judge_of(server.url, cache)
    first = judged(judge, judge.plan(items(3), 1))
    again = judge_of(server.url, cache)
    assert again.run(again.plan(items(3), 1), first.extend) == 0
    assert len(server.asked) == 3
    by_place = sorted(first, key=lambda vote: vote.question_id)
    # What comes out of the cache is what came from the server: tokens and seconds too.
    assert all(one == other for one, other in zip(by_place[::2], by_place[1::2], strict=True))


def test_the_server_is_probed_once_before_the_calls_and_not_without_them(
    server: FakeServer, cache: AnswerCache
) -> None:
    told: list[Traits] = []
    for _ in range(2):
        judge = judge_of(server.url, cache)
        judge.run(judge.plan(items(1), 1), lambda votes: None, on_traits=told.append)
    assert told == [Traits(True, True, True)]
    assert (len(server.probes), len(server.judged)) == (4, 1)


def test_what_the_server_refuses_is_left_out_where_its_traits_are_known_from_before(
    server: FakeServer, cache: AnswerCache
) -> None:
    server.answer = lambda body: fault(400, "seed: no", "seed") if "seed" in body else honest(body)
    judge = judge_of(server.url, cache)
    (vote,) = judged(judge, judge.plan(items(1), 1), traits=Traits(True, True, None, frozenset({"seed"})))
    assert vote.unscored is None and vote.verdicts["initialization"] == 1.0
    assert server.probes == []


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(chat(None, refusal="I  cannot\njudge.")), "refused: I cannot judge."),
        (Reply(chat(None, finish="content_filter")), "refused: the server's content filter stopped it"),
        (Reply(chat('{"explanation": "It fol', finish="length")), "cut off at the token limit"),
        (Reply(chat('{"explanation": "It fol')), "the answer is not one JSON object"),
        (Reply(chat("")), "the answer is not one JSON object"),
        (Reply(chat('{"explanation": "x"}')), "the answer lacks 'initialization'"),
        (Reply(chat(WANTED.replace('"yes"', '"maybe"'))), "unknown verdict 'maybe'"),
        (Reply(chat()), "refused: the server gave no message"),
    ],
)
def test_an_answer_without_a_verdict_is_unscored_and_never_0(
    server: FakeServer, cache: AnswerCache, reply: Reply, reason: str
) -> None:
    vote = one_vote(server.gives(reply), cache, items(1)[0])
    assert vote.verdicts == {} and vote.unscored is not None and reason in vote.unscored
    assert is_final(vote)
    # It is what the server answered: asking the same again is not repeated either.
    assert cache.get(vote.key) is not None


def test_judging_goes_on_past_calls_that_fail_for_good_and_those_are_not_cached(
    server: FakeServer, cache: AnswerCache
) -> None:
    server.answer = lambda body: fault(500, "broken") if "lake 1?" in body["messages"][1]["content"] else honest(body)
    judge = judge_of(server.url, cache, retries=1)
    found = {vote.question_id: vote for vote in judged(judge, judge.plan(items(4), 1))}
    assert found["q1"].unscored == f"{CALL_FAILED}500: broken" and not is_final(found["q1"])
    assert found["q1"].verdicts == {} and cache.get(found["q1"].key) is None
    assert all(found[key].verdicts and cache.get(found[key].key) for key in ("q0", "q2", "q3"))
    assert len(server.asked) == 5


def test_a_server_that_only_fails_is_given_up_and_what_was_judged_is_kept(
    server: FakeServer, cache: AnswerCache
) -> None:
    server.gives(Reply(chat(WANTED)), fault(500, "broken"))
    judge = judge_of(server.url, cache, retries=0, concurrency=1)
    found: list[Judgement] = []
    with pytest.raises(UserError, match=r"20 calls in a row failed, the last because of 500: broken; .* repeat"):
        judge.run(judge.plan(items(40), 1), found.extend, traits=Traits())
    assert [bool(vote.verdicts) for vote in found] == [True] + [False] * 20
    assert len(server.asked) == 21


def test_calls_that_the_server_takes_from_nobody_end_no_judging(server: FakeServer, cache: AnswerCache) -> None:
    def answer(body: Body) -> Reply:
        return honest(body) if "lake 30?" in body["messages"][1]["content"] else fault(400, "longer than my context")

    server.answer = answer
    judge = judge_of(server.url, cache, retries=0, concurrency=1)
    votes = judged(judge, judge.plan(items(31), 1))
    assert [bool(vote.verdicts) for vote in votes] == [False] * 30 + [True]
    assert votes[0].unscored == f"{CALL_FAILED}400: longer than my context"


def test_a_key_that_is_refused_midway_ends_in_one_error_and_keeps_what_came_before(
    server: FakeServer, cache: AnswerCache
) -> None:
    server.gives(Reply(chat(WANTED)), Reply(chat(WANTED)), fault(401))
    judge = judge_of(server.url, cache, concurrency=1)
    found: list[Judgement] = []
    with pytest.raises(UserError, match="refuses the key"):
        judge.run(judge.plan(items(9), 1), found.extend, traits=Traits())
    assert len(found) == 2 and len(server.asked) == 3


def test_a_server_that_went_away_is_an_error_at_once(cache: AnswerCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    with serve() as gone:
        url = gone.url
    judge = judge_of(url, cache, retries=0)
    with pytest.raises(UserError, match="cannot be reached"):
        judge.run(judge.plan(items(3), 1), lambda votes: None, traits=Traits())


def test_so_many_calls_run_at_once_and_no_more(server: FakeServer, cache: AnswerCache) -> None:
    together = threading.Barrier(5)

    def answer(body: Body) -> Reply:
        together.wait(timeout=20)  # goes on only once five calls are here
        return honest(body)

    server.answer = answer
    judge = judge_of(server.url, cache, concurrency=5)
    assert len(judged(judge, judge.plan(items(10), 1))) == 10
    assert server.most_at_once == 5


def test_votes_are_cached_before_they_are_handed_on(server: FakeServer, cache: AnswerCache) -> None:
    def keep(votes: list[Judgement]) -> None:
        assert all(cache.get(vote.key) for vote in votes)

    judge = judge_of(server.url, cache)
    judge.run(judge.plan(items(5), 1), keep, traits=Traits())


def test_an_error_while_keeping_comes_out(server: FakeServer, cache: AnswerCache) -> None:
    def keep(votes: list[Judgement]) -> None:
        if votes:
            raise UserError("the disk is full")

    judge = judge_of(server.url, cache)
    with pytest.raises(UserError, match="the disk is full"):
        judge.run(judge.plan(items(5), 1), keep, traits=Traits())


@pytest.mark.parametrize(
    ("labels", "answer", "figures"),
    [
        ({"hop1": "yes", "hop2": "yes"}, "Morland", {"hop1": 1.0, "hop2": 1.0, "sqa": 1.0, "ri": 1.0}),
        ({"hop1": "yes", "hop2": "no"}, "in Morland", {"hop1": 1.0, "hop2": 0.0, "sqa": 0.5, "ri": 0.0}),
        # RI is about rightly answered questions only.
        ({"hop1": "yes", "hop2": "yes"}, "Orvale", {"hop1": 1.0, "hop2": 1.0, "sqa": 1.0}),
        ({"hop1": "no", "hop2": "no"}, None, {"hop1": 0.0, "hop2": 0.0, "sqa": 0.0}),
    ],
)
def test_sub_questions_become_sqa_and_ri(
    server: FakeServer, cache: AnswerCache, labels: dict[str, str], answer: str | None, figures: dict[str, float]
) -> None:
    server.answer = lambda body: Reply(chat(verdict(body, **labels)))
    assert one_vote(server, cache, Item(question(), chain(*THREE_LINES, answer=answer)), "subqa").verdicts == figures


@pytest.mark.parametrize(("label", "in_ab", "in_ba"), [("first", 1.0, -1.0), ("second", -1.0, 1.0), ("tie", 0.0, 0.0)])
def test_a_preference_is_told_from_the_judged_runs_side(
    server: FakeServer, cache: AnswerCache, label: str, in_ab: float, in_ba: float
) -> None:
    server.answer = lambda body: Reply(chat(verdict(body, preference=label)))
    judge = judge_of(server.url, cache, "pairwise")
    pair = items_of(load_rubric("pairwise"), question(), GOOD, chain("x", answer="y"))
    found = {vote.order: vote.verdicts["preference"] for vote in judged(judge, judge.plan(pair, 1))}
    assert found == {"ab": in_ab, "ba": in_ba}


def test_tokens_are_estimated_from_bytes(cache: AnswerCache, server: FakeServer) -> None:
    judge = judge_of(server.url, cache)
    (call,) = judge.plan(items(1), 1)
    messages = Prompter(load_rubric("abilities"), PASSAGES).messages(call.item)
    exact = sum(len(message["content"].encode()) for message in messages) / 3.5
    assert 0 <= call.prompt_tokens - exact < 1
    assert tokens_of([call, call]) == (2 * call.prompt_tokens, 240)


def injected(number: int) -> tuple[Question, Chain]:
    text = INJECTIONS[number]
    return question(text=text), chain(text, text, "So the answer is: Morland")


def echo_then_own(body: Body) -> str:
    return f"The chain says {WANTED}. I say:\n{verdict(body, initialization='no', expansion='no', aggregation='no')}"


ECHOES: dict[str, Callable[[Body], str]] = {
    "the wanted verdict in prose": lambda body: f"The first line says: {WANTED}",
    "a block, quoted": lambda body: f"It asks for this:\n```json\n{WANTED}\n```",
    "echo, then its own verdict": echo_then_own,
    "its own verdict, then an echo": lambda body: f"{verdict(body)}\n{WANTED}",
    "two blocks": lambda body: f"```json\n{WANTED}\n```\n```json\n{verdict(body)}\n```",
    "the whole prompt": lambda body: str(body["messages"][1]["content"]),
    "an echo inside another key": lambda body: json.dumps({"explanation": "x", "said": json.loads(WANTED)}),
}


@pytest.mark.parametrize("echo", ECHOES)
def test_an_echo_of_a_wanted_verdict_is_no_verdict(server: FakeServer, cache: AnswerCache, echo: str) -> None:
    server.answer = lambda body: Reply(chat(ECHOES[echo](body)))
    vote = one_vote(server, cache, Item(*injected(0)))
    assert vote.verdicts == {} and vote.unscored


@pytest.mark.parametrize("number", range(len(INJECTIONS)))
def test_the_servers_own_verdict_is_taken_whatever_the_judged_text_wants(
    server: FakeServer, cache: AnswerCache, number: int
) -> None:
    def answer(body: Body) -> Reply:
        reasons = f"The text says: {INJECTIONS[number]}"
        own = {"initialization": "no", "expansion": "no", "aggregation": "no"}
        return Reply(chat(verdict(body, explanation=reasons, **own)))

    server.answer = answer
    vote = one_vote(server, cache, Item(*injected(number)))
    assert vote.verdicts == {"initialization": 0.0, "expansion": 0.0, "aggregation": 0.0}
    assert vote.explanation.startswith("The text says:") and "\n" not in vote.explanation


def test_a_failed_call_is_a_vote_without_verdicts() -> None:
    rubric = load_rubric("abilities")
    vote = judgement_of(rubric, Call(items(1)[0], 2, "key", 9), "m", CallFailedError("no answer in time"))
    assert (vote.vote, vote.verdicts, vote.unscored) == (2, {}, "the call failed: no answer in time")
    assert judgement_of(rubric, Call(items(1)[0], 1, "key", 9), "m", Answer(WANTED)).verdicts["expansion"] == 1
