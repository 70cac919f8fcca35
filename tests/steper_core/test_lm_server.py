"""A server's answers, good and bad, given by a real HTTP server on this machine."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openai
import pytest

from steper_core.errors import UserError
from steper_core.lm_server import ServerModel, connect
from steper_core.prompts import Prompt, build_prompt
from steper_core.writers import Completion

KEY = "sk-secret-7f3a"
Answer = tuple[int, Any]
USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
PROMPT = build_prompt("Who?", [], ["One."])
FORCED = build_prompt("Who?", [], ["One."], force_answer=True)


def chat(content: str | None, **more: Any) -> Answer:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
    return 200, {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]} | more


def cut(content: str, **more: Any) -> Answer:
    """A chat answer that used up its tokens."""
    status, body = chat(content, **more)
    body["choices"][0]["finish_reason"] = "length"
    return status, body


def plain(text: str) -> Answer:
    choice = {"index": 0, "finish_reason": "stop", "text": text, "logprobs": None}
    return 200, {"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]}


def fault(status: int, message: str, code: str | None = None, param: str | None = None) -> Answer:
    return status, {"error": {"message": message, "type": "error", "param": param, "code": code}}


def refusing(worded: dict[str, Answer]) -> Callable[[dict[str, Any]], Answer]:
    """A server that refuses these options, one a call, in these words."""
    return lambda body: next((answer for option, answer in worded.items() if option in body), chat("Fine."))


@dataclass
class Server:
    """What a server was asked, and the function that answers."""

    url: str
    answer: Callable[[dict[str, Any]], Answer] = lambda body: chat("Fine.")
    asked: list[tuple[str, str | None, dict[str, Any]]] = field(default_factory=list)

    def gives(self, *answers: Answer) -> Server:
        """Give these answers one after the other, the last for ever."""
        left = list(answers)
        self.answer = lambda body: left.pop(0) if len(left) > 1 else left[0]
        return self


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.asked.append((self.path, self.headers["Authorization"], body))
            status, content = state.answer(body)
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("retry-after-ms", "1")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Server(f"http://127.0.0.1:{http.server_port}/v1")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "")


def asked(server: Server, prompt: Prompt = PROMPT, **settings: Any) -> Completion:
    model = ServerModel("m", base_url=server.url, **settings)
    (found,) = model.complete([prompt], [3])
    return found


def refusal(model: ServerModel) -> str:
    with pytest.raises(UserError) as caught:
        model.complete([PROMPT], [0])
    assert KEY not in str(caught.value) and len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_chat_server_is_asked_with_the_prompt_the_settings_and_the_key(server: Server) -> None:
    server.gives(chat("Tiv is a lake.", usage=USAGE))
    model = ServerModel("big-model", base_url=server.url, max_new_tokens=9, temperature=0.5)
    (found,) = model.complete([PROMPT], [2**62 + 5])
    assert (found.text, found.prompt_tokens, found.output_tokens, found.problem) == ("Tiv is a lake.", 11, 5, None)
    assert found.seconds > 0
    ((path, authorization, body),) = server.asked
    assert (path, authorization) == ("/v1/chat/completions", f"Bearer {KEY}")
    (message,) = body.pop("messages")
    assert message["role"] == "user" and message["content"].endswith("\n\n" + PROMPT.text)
    # Servers take seeds of 31 bits: 2 ** 62 + 5 keeps its lowest.
    assert body == {"model": "big-model", "max_tokens": 9, "temperature": 0.5, "seed": 5}


def test_a_plain_server_is_given_the_bare_prompt_and_stops_at_a_line_break(server: Server) -> None:
    server.gives(plain(" Tiv"))
    assert asked(server, FORCED, endpoint="completions").text == "Tiv"
    ((path, _, body),) = server.asked
    assert path == "/v1/completions"
    assert body == {
        "model": "m",
        "prompt": FORCED.text,
        "max_tokens": 64,
        "temperature": 0.0,
        "seed": 3,
        "stop": ["\n"],
    }


@pytest.mark.parametrize(
    ("prompt", "content", "text"),
    [
        (PROMPT, "One fact.\nTwo facts.\nSo the answer is: x", "One fact."),
        (PROMPT, "\n\n  \n One fact.\n", "One fact."),
        (PROMPT, "So the answer is: Tiv", "So the answer is: Tiv"),
        (PROMPT, "", ""),
        (PROMPT, "\n \n", ""),
        (FORCED, "Tiv", "Tiv"),
        # The words that the line already begins with are not repeated.
        (FORCED, "So the answer is: Tiv", "Tiv"),
        (FORCED, "\nso the ANSWER is:Tiv\nmore", "Tiv"),
        (FORCED, "Well. So the answer is: Tiv", "Well. So the answer is: Tiv"),
        # Thoughts written inline are no line, also where the prompt's template has opened them.
        (PROMPT, "<think>\nTiv?\nNo.\n</think>\n\nOne fact.", "One fact."),
        (PROMPT, "\n<think></think>One fact.", "One fact."),
        (PROMPT, "Tiv?\nNo.\n</think>\n\nOne fact.", "One fact."),
        (FORCED, "<think>Tiv?</think>So the answer is: Tiv", "Tiv"),
    ],
)
def test_the_first_line_with_text_is_taken(server: Server, prompt: Prompt, content: str, text: str) -> None:
    found = asked(server.gives(chat(content)), prompt)
    assert (found.text, found.prompt_tokens, found.output_tokens, found.problem) == (text, 0, 0, None)


@pytest.mark.parametrize(
    ("answer", "is_cut"),
    [
        (chat("One fact."), False),
        (cut("One fact"), True),
        (cut("\nOne fact.\nTwo"), False),
        (cut("One fact.\n"), False),
        (cut("<think>Tiv?</think>One fact"), True),
    ],
)
def test_a_line_that_ends_at_the_limit_is_known_as_one(server: Server, answer: Answer, is_cut: bool) -> None:
    found = asked(server.gives(answer))
    assert found.text.startswith("One fact") and found.cut == is_cut


def test_a_key_that_the_server_repeats_is_not_kept(server: Server) -> None:
    assert asked(server.gives(chat(f"My key is {KEY}, said {KEY}."))).text == "My key is ***, said ***."


@pytest.mark.parametrize(
    "answer",
    [
        chat(None),
        chat(None, usage=USAGE),
        chat("unread", choices=[]),
        # All tokens went into thoughts.
        chat("<think>\nOne fact.\nTwo", usage=USAGE),
        chat("\n<think>", usage=USAGE),
        cut("", usage=USAGE),
    ],
)
def test_no_content_is_a_refusal_whose_tokens_count(server: Server, answer: Answer) -> None:
    found = asked(server.gives(answer))
    assert (found.text, found.problem) == ("", "refused")
    assert found.prompt_tokens == (11 if "usage" in answer[1] else 0)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(server: Server, status: int) -> None:
    server.gives(fault(status, "slow down"), fault(status, "slow down"), chat("Fine."))
    assert asked(server).text == "Fine."
    assert len(server.asked) == 3


def test_a_server_that_stays_busy_is_an_error(server: Server) -> None:
    server.gives(fault(429, "slow down"))
    client = openai.OpenAI(base_url=server.url, api_key=KEY, max_retries=1)
    message = refusal(ServerModel("m", client=client))
    assert message.endswith("429: slow down; finished chains are kept, repeat the command to go on")
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (fault(401, f"Incorrect API key provided: {KEY}", "invalid_api_key"), "401: Incorrect API key provided: ***"),
        (fault(403, f"Key {KEY} may not"), "403: Key *** may not"),
        (fault(404, "The model m does not exist", "model_not_found"), "404: The model m does not exist"),
        (fault(400, "bad\nprompt " + "x" * 500), "400: bad prompt " + "x" * 189),
        ((400, {"detail": "no"}), "400"),
    ],
)
def test_a_refused_request_tells_why_without_the_key_and_not_to_repeat_it(
    server: Server, answer: Answer, reason: str
) -> None:
    message = refusal(ServerModel("my-model", base_url=server.gives(answer).url))
    assert message == f"{server.url} refused a request for model 'my-model': {reason}; finished chains are kept"
    assert len(server.asked) == 1


def test_a_reasoning_models_refusals_are_done_without_and_learned_once(server: Server) -> None:
    # As OpenAI words them for its o-series and gpt-5.
    other_name = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'."
    one_value = "Unsupported value: 'temperature' does not support 0 with this model."
    server.answer = refusing(
        {"max_tokens": fault(400, other_name, param="max_tokens"), "temperature": fault(400, one_value)}
    )
    model = ServerModel("m", base_url=server.url, max_new_tokens=9)
    assert [each.text for each in model.complete([PROMPT], [1])] == ["Fine."]
    assert model.refused == {"max_tokens", "temperature"} and len(server.asked) == 3
    model.complete([PROMPT], [2])
    *_, body = (body for _, _, body in server.asked)
    del body["messages"]
    assert body == {"model": "m", "max_completion_tokens": 9, "seed": 2} and len(server.asked) == 4


def test_a_plain_server_does_without_what_it_refuses_too(server: Server) -> None:
    server.gives(fault(422, "seed: extra inputs are not permitted"), plain("Tiv"))
    assert asked(server, endpoint="completions").text == "Tiv"
    assert "seed" not in server.asked[1][2] and server.asked[1][2]["temperature"] == 0.0


def test_a_prompt_that_a_server_finds_too_long_ends_its_chain_alone(server: Server) -> None:
    # As text-generation-inference words it.
    server.gives(
        fault(422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4090 `inputs`"),
        plain("Tiv"),
    )
    found = ServerModel("m", base_url=server.url, endpoint="completions").complete([PROMPT, PROMPT], [1, 2])
    assert sorted(each.problem or "" for each in found) == ["", "too_long"]
    # A setting at fault is that of all prompts, and what a server repeats of a prompt says nothing.
    for said in ("`max_new_tokens` must be <= 512. Given: 600", "bad field; you sent: 'the context of 1812'"):
        server.gives(fault(422, said))
        assert "422" in refusal(ServerModel("m", base_url=server.url, endpoint="completions"))


@pytest.mark.parametrize(("option", "calls"), [("temperature", 2), ("max_tokens", 2), ("n", 1), ("messages", 1)])
def test_a_refusal_that_leaving_an_option_out_does_not_end_is_an_error(server: Server, option: str, calls: int) -> None:
    server.gives(fault(400, "not today", param=option))
    assert "400: not today" in refusal(ServerModel("m", base_url=server.url))
    assert len(server.asked) == calls


def test_a_limit_on_the_newer_name_is_an_error_and_not_asked_again_for_ever(server: Server) -> None:
    other_name = fault(400, "Use 'max_completion_tokens' instead.", param="max_tokens")
    too_many = fault(400, "too large: at most 16384", param="max_completion_tokens")
    server.answer = lambda body: other_name if "max_tokens" in body else too_many
    assert "400: too large" in refusal(ServerModel("m", base_url=server.url))
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "answer",
    [
        fault(400, "The response was filtered.", "content_filter"),
        fault(400, "Invalid prompt: it was flagged.", "invalid_prompt"),
        fault(400, "Could not finish the message because max_tokens or model output limit was reached."),
    ],
)
def test_a_prompt_that_the_server_objects_to_costs_its_own_chain_alone(server: Server, answer: Answer) -> None:
    server.answer = lambda body: answer if "bad" in body["messages"][0]["content"] else chat("Fine.")
    found = ServerModel("m", base_url=server.url).complete([Prompt("a bad one"), Prompt("good")], [0, 0])
    assert [(each.text, each.problem) for each in found] == [("", "refused"), ("Fine.", None)]


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("**So the answer is: Paris**", "So the answer is: Paris"),
        ("**So the answer is:** Paris", "So the answer is: Paris"),
        ("**Ona** was born in **Tiv**.", "Ona was born in Tiv."),
        ("2 ** 3 ** 4", "2 ** 3 ** 4"),
    ],
)
def test_bold_type_is_no_part_of_a_line(server: Server, said: str, line: str) -> None:
    server.gives(chat(said))
    assert asked(server).text == line


@pytest.mark.parametrize(
    "answer",
    [
        fault(400, "Please reduce the length.", "context_length_exceeded"),
        fault(400, "This model's maximum context length is 4096 tokens."),
        fault(400, "max_tokens is too large for the model's context length.", param="max_tokens"),
    ],
)
def test_a_prompt_beyond_the_context_is_reported_for_itself_alone(server: Server, answer: Answer) -> None:
    server.answer = lambda body: answer if "long" in body["messages"][0]["content"] else chat("Fine.")
    model = ServerModel("m", base_url=server.url)
    found = model.complete([Prompt("a long one"), Prompt("short")], [0, 0])
    assert [(each.text, each.problem) for each in found] == [("", "too_long"), ("Fine.", None)]
    assert model.refused == set() and len(server.asked) == 2


def test_a_server_that_is_not_running_is_an_error() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    client = openai.OpenAI(base_url=url, api_key=KEY, max_retries=0)
    message = refusal(ServerModel("m", client=client))
    assert url in message and "is the server running?" in message and "repeat the command to go on" in message


def test_requests_run_at_once_and_their_answers_keep_the_order(server: Server) -> None:
    together = threading.Barrier(4)

    def answer(body: dict[str, Any]) -> Answer:
        together.wait(timeout=20)  # goes on only once four requests are here
        number = int(body["messages"][0]["content"].rpartition("#")[2])
        if number % 4 == 0:
            time.sleep(0.2)  # so the first of four is answered after the others
        return chat(f"line {number}")

    server.answer = answer
    model = ServerModel("m", base_url=server.url, concurrency=4)
    found = model.complete([Prompt(f"#{number}") for number in range(8)], [0] * 8)
    assert [each.text for each in found] == [f"line {number}" for number in range(8)]


def test_no_more_requests_run_at_once_than_asked_for(server: Server) -> None:
    lock, running, most = threading.Lock(), 0, 0

    def answer(body: dict[str, Any]) -> Answer:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1
        return chat("Fine.")

    server.answer = answer
    ServerModel("m", base_url=server.url, concurrency=2).complete([PROMPT] * 9, [0] * 9)
    assert most <= 2 and len(server.asked) == 9


def test_no_prompt_asks_nothing(server: Server) -> None:
    assert ServerModel("m", base_url=server.url).complete([], []) == []
    assert server.asked == []


def test_without_a_key_and_an_address_there_is_no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    with pytest.raises(UserError, match="set OPENAI_API_KEY, or give the base_url"):
        connect(None)


def test_a_server_of_ones_own_needs_no_key(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    assert asked(server).text == "Fine."
    assert server.asked[0][1] == "Bearer none"


def test_the_address_may_come_from_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    (found,) = ServerModel("m").complete([PROMPT], [0])
    assert found.text == "Fine."


@pytest.mark.parametrize("body", ["<html>", [1], {"choices": [{}]}, {"choices": [{"message": {"content": [1]}}]}])
def test_an_answer_of_another_shape_is_an_error_with_a_hint(server: Server, body: Any) -> None:
    server.gives((200, body))
    assert "/v1" in refusal(ServerModel("m", base_url=server.url))


def test_an_error_sent_as_an_answer_is_an_outage_and_no_refusal(server: Server) -> None:
    server.answer = lambda body: (200, {"error": {"message": f"Provider down {KEY}", "code": 502}})
    with pytest.raises(UserError, match=r"Provider down \*\*\*.*repeat the command"):
        ServerModel("m", base_url=server.url).complete([PROMPT], [0])


@pytest.mark.parametrize("said", [10**30, 1.5, -3, None])
def test_a_token_count_that_is_none_is_zero(server: Server, said: Any) -> None:
    server.answer = lambda body: chat("Fine.", usage=USAGE | {"prompt_tokens": said})
    (found,) = ServerModel("m", base_url=server.url).complete([PROMPT], [0])
    assert (found.prompt_tokens, found.output_tokens) == (0, 5)


def test_missing_token_counts_are_zero(server: Server) -> None:
    server.gives(chat("Fine.", usage={"prompt_tokens": None, "completion_tokens": 3, "total_tokens": 3}))
    found = asked(server)
    assert (found.prompt_tokens, found.output_tokens) == (0, 3)


def test_a_key_with_a_line_break_is_cleaned_and_one_that_is_no_key_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
    assert connect("http://127.0.0.1:1/v1").api_key == KEY
    monkeypatch.setenv("OPENAI_API_KEY", "schlüssel")
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        connect("http://127.0.0.1:1/v1")
