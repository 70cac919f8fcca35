"""A judge's server over real HTTP: what it is asked, what is done about its faults, and what is found out about it."""

from __future__ import annotations

import asyncio
import json
import math
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from evaluators.judge_cache import Answer
from evaluators.judge_server import CallFailedError, JudgeServer, JudgeSettings, Traits, public_url
from steper_core.errors import UserError
from tests.fakes.judge_server import Body, FakeServer, Reply, chat, fault, honest, serve

KEY = "sk-secret-7f3a"
MESSAGES = [{"role": "system", "content": "Judge."}, {"role": "user", "content": "This."}]
SCHEMA = {"type": "object", "properties": {"explanation": {"type": "string"}, "sound": {"enum": ["yes", "no"]}}}


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serve() as fake:
        yield fake


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "")


def ask(url: str, *, probe: bool = False, **options: Any) -> Answer:
    async def once() -> Answer:
        judge = JudgeServer("big", base_url=url, **options)
        try:
            if probe:
                await judge.probe()
            return await judge.ask(MESSAGES, SCHEMA, 7)
        finally:
            await judge.close()

    return asyncio.run(once())


def probe(url: str, **options: Any) -> Traits:
    async def once() -> Traits:
        judge = JudgeServer("big", base_url=url, **options)
        try:
            return await judge.probe()
        finally:
            await judge.close()

    return asyncio.run(once())


def failure(url: str, **options: Any) -> CallFailedError:
    with pytest.raises(CallFailedError) as caught:
        ask(url, **options)
    assert KEY not in str(caught.value)
    return caught.value


def refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(UserError) as caught:
        call()
    assert KEY not in str(caught.value) and len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_call_carries_messages_settings_seed_schema_and_key(server: FakeServer) -> None:
    found = ask(server.url, settings=JudgeSettings(0.5, 99))
    assert json.loads(found.text) == {"explanation": "It follows.", "sound": "yes"}
    assert (found.refusal, found.finish, found.prompt_tokens, found.output_tokens) == (None, "stop", 100, 10)
    assert found.seconds > 0
    (body,) = server.asked
    assert body == {
        "model": "big",
        "messages": MESSAGES,
        "max_tokens": 99,
        "temperature": 0.5,
        "seed": 7,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "verdict", "strict": True, "schema": SCHEMA},
        },
    }
    assert server.keys == [f"Bearer {KEY}"]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_busy_server_is_asked_again(server: FakeServer, status: int) -> None:
    server.gives(fault(status), fault(status), Reply(chat("fine")))
    assert ask(server.url).text == "fine"
    assert len(server.asked) == 3


def test_a_server_that_asks_for_a_very_long_pause_is_not_waited_for(server: FakeServer) -> None:
    server.gives(fault(429, "come back in an hour", retry_after="3600"), Reply(chat("fine")))
    assert str(failure(server.url)) == "429: come back in an hour"
    assert len(server.asked) == 1


def test_a_server_that_stays_busy_fails_the_call_with_its_status(server: FakeServer) -> None:
    server.gives(fault(503, f"overloaded, dear {KEY}"))
    error = failure(server.url, retries=1)
    assert "overloaded, dear ***" in str(error) and not error.unreachable
    assert len(server.asked) == 2


def test_a_slow_server_is_asked_again_and_then_given_up(server: FakeServer) -> None:
    server.gives(Reply(chat("late"), seconds=1.0))
    assert str(failure(server.url, retries=1, timeout=0.1)) == "no answer in time"
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("status", "said"), [(401, "refuses the key (401)"), (403, "refuses the key (403)"), (404, "no model 'big'")]
)
def test_a_refused_key_or_model_ends_everything(server: FakeServer, status: int, said: str) -> None:
    server.gives(fault(status, f"Incorrect API key provided: {KEY}"))
    assert said in refusal(lambda: ask(server.url))
    assert len(server.asked) == 1


def test_a_call_that_the_server_cannot_take_fails_alone_with_what_it_says(server: FakeServer) -> None:
    server.gives(fault(400, f"the request exceeds\nthe context of 4096 tokens {KEY}"))
    assert "the request exceeds the context of 4096 tokens ***" in str(failure(server.url))


def test_a_server_that_is_not_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    assert failure(url, retries=0).unreachable
    assert f"{url} does not answer: no connection; is the server running" in refusal(lambda: probe(url, retries=0))


@pytest.mark.parametrize(
    "content", [b"<html>", [1], {"choices": 3}, {"choices": [{}]}, {"choices": [{"message": {"content": [1]}}]}, b"{"]
)
def test_an_answer_of_another_shape_fails_the_call(server: FakeServer, content: Any) -> None:
    error = failure(server.gives(Reply(content)).url, retries=0)
    assert "chat completion" in str(error) or "cannot be read" in str(error) or "no text" in str(error)


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (chat(None, refusal="I cannot."), Answer("", "I cannot.", "stop", 100, 10)),
        (chat(None, finish="content_filter"), Answer("", None, "content_filter", 100, 10)),
        (chat('{"a', finish="length"), Answer('{"a', None, "length", 100, 10)),
        (chat(), Answer("", "the server gave no message")),
        ({**chat("x"), "usage": None}, Answer("x")),
        ({**chat("x"), "usage": {"prompt_tokens": None, "completion_tokens": 3}}, Answer("x", output_tokens=3)),
        ({**chat("x"), "usage": {"prompt_tokens": -5, "completion_tokens": 10**30}}, Answer("x")),
        ({**chat("x"), "usage": {"prompt_tokens": math.inf, "completion_tokens": "many"}}, Answer("x")),
    ],
)
def test_refusals_and_cut_answers_are_answers(server: FakeServer, body: Body, answer: Answer) -> None:
    found = ask(server.gives(Reply(body)).url)
    assert Answer(found.text, found.refusal, found.finish, found.prompt_tokens, found.output_tokens) == answer


def test_an_honest_server_has_nothing_to_be_said_about(server: FakeServer) -> None:
    traits = probe(server.url)
    assert traits == Traits(schema=True, n=True, seed=True) and traits.remarks(server.url) == []
    assert len(server.asked) == 4


def ignoring(*options: str) -> Callable[[Body], Reply]:
    """A server that answers 200 and takes no notice of these options; without a schema it says what it was told to."""

    def answer(body: Body) -> Reply:
        body = {key: value for key, value in body.items() if key not in options}
        if "response_format" in body or "seed" not in body or "max_tokens" not in body:
            return honest(body)
        greeting = "hello" in body["messages"][0]["content"]
        return Reply(chat(*["hello"] * body.get("n", 1))) if greeting else honest(body)

    return answer


@pytest.mark.parametrize(
    ("options", "traits", "remark"),
    [
        (("response_format",), Traits(schema=False, n=True, seed=True), "ignores the JSON schema"),
        (("n",), Traits(schema=True, n=False, seed=True), "ignores n"),
        (("seed",), Traits(schema=True, n=True, seed=False), "ignores the seed or the temperature"),
        (("temperature",), Traits(schema=True, n=True, seed=False), "ignores the seed or the temperature"),
    ],
)
def test_a_server_that_ignores_an_option_in_silence_is_named(
    server: FakeServer, options: tuple[str, ...], traits: Traits, remark: str
) -> None:
    server.probed = ignoring(*options)
    found = probe(server.url)
    assert found == traits
    (said,) = found.remarks(server.url)
    assert server.url in said and remark in said


def test_a_server_without_repeatable_draws_is_named(server: FakeServer) -> None:
    drawn = iter(range(100))
    server.probed = lambda body: honest(body) if "response_format" in body else Reply(chat(f"{next(drawn)}"))
    assert probe(server.url).seed is False


def test_what_cannot_be_told_is_not_held_against_a_server(server: FakeServer) -> None:
    # Thoughts used up all tokens: nothing was written.
    server.probed = lambda body: Reply(chat(*[""] * body.get("n", 1), finish="length"))
    assert probe(server.url) == Traits(schema=None, n=True, seed=None)


@pytest.mark.parametrize(
    ("refused", "worded"),
    [
        ({"temperature"}, "Unsupported value: 'temperature' does not support 0 with this model."),
        ({"max_tokens"}, "Unsupported parameter: use 'max_completion_tokens' instead."),
        ({"response_format"}, "response_format is not supported"),
        ({"seed"}, "seed: extra inputs are not permitted"),
        ({"n"}, "too many slots"),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_an_option_that_a_server_refuses_is_left_out_from_then_on(
    server: FakeServer, refused: set[str], worded: str, named: bool
) -> None:
    (option,) = refused

    def answer(body: Body) -> Reply:
        return fault(400, worded, option if named else None) if option in body else honest(body)

    server.answer = server.probed = answer
    traits = probe(server.url)
    assert traits.refused == refused and f"refuses the option {option}" in traits.remarks("u")[0]
    server.asked.clear()
    server.answer = lambda body: Reply(chat("fine"))
    assert ask(server.url, probe=True, settings=JudgeSettings(0.0, 55)).text == "fine"
    (body,) = server.judged
    assert option not in body
    assert body.get("max_completion_tokens") == (55 if option == "max_tokens" else None)


def test_a_server_that_refuses_whatever_it_is_asked_is_an_error(server: FakeServer) -> None:
    server.probed = lambda body: fault(400, "not today")
    assert "does not answer: 400" in refusal(lambda: probe(server.url))
    assert len(server.asked) == 6


def test_traits_survive_as_facts_of_a_run() -> None:
    for traits in (Traits(True, False, None), Traits(refused=frozenset({"seed", "n"})), Traits(False, True, True)):
        assert Traits.from_facts({"seconds": 3.0, **traits.facts()}) == traits
    assert Traits.from_facts({"seconds": 3.0}) is None


def test_an_address_is_shown_without_its_password() -> None:
    assert public_url("https://me:secret@host:81/v1/?token=x#y") == "https://host:81/v1"
    assert JudgeServer("m", base_url="http://me:secret@host:81/v1").url == "http://host:81/v1"


def test_a_key_that_the_server_repeats_is_not_kept(server: FakeServer) -> None:
    server.gives(Reply(chat(f'{{"{KEY}": 1}}', refusal=f"not with {KEY}")))
    answer = ask(server.url)
    assert (answer.text, answer.refusal) == ('{"***": 1}', "not with ***")


def test_without_a_key_and_an_address_there_is_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    assert "set OPENAI_API_KEY" in refusal(lambda: JudgeServer("m"))


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://a\nb/v1", "http://127.0.0.1:99999/v1", "127.0.0.1:8000", "file:///etc/passwd"]
)
def test_an_address_that_is_none_is_refused_without_being_repeated(url: str) -> None:
    assert refusal(lambda: JudgeServer("m", base_url=url)) == (
        "the base URL is no address of a server; it looks like http://127.0.0.1:8000/v1"
    )
