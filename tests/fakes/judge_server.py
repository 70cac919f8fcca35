"""A judge's server on a free port of this machine: real HTTP, and every answer, good or bad, decided by the test."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """What goes back over the wire, after `seconds`."""

    content: Any
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0


def chat(*texts: str | None, finish: str = "stop", refusal: str | None = None) -> Body:
    """A chat completion with these choices; it says that it cost 100 tokens of prompt and 10 of output."""
    choices = [
        {
            "index": place,
            "finish_reason": finish,
            "message": {"role": "assistant", "content": text, "refusal": refusal},
        }
        for place, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, "usage": usage}


def fault(status: int, message: str = "no", param: str | None = None, retry_after: str = "0.001") -> Reply:
    """An error as OpenAI words it."""
    error = {"error": {"message": message, "type": "error", "param": param, "code": None}}
    return Reply(error, status, (("Retry-After", retry_after),))


def verdict(body: Body, **chosen: Any) -> str:
    """The answer that the schema of a call asks for: the first label of each verdict unless another is chosen."""
    schema = body["response_format"]["json_schema"]["schema"]["properties"]
    usual = {"explanation": "It follows.", "tags": []}
    return json.dumps({key: chosen.get(key, usual.get(key, part.get("enum", [""])[0])) for key, part in schema.items()})


def is_probe(body: Body) -> bool:
    """Whether a call only tries what the server does with options."""
    return len(body["messages"]) == 1


def honest(body: Body) -> Reply:
    """The answer of a server that keeps to the schema, n, seed and temperature."""
    if "response_format" in body:
        return Reply(chat(*[verdict(body)] * body.get("n", 1)))
    draw = random.Random(body.get("seed") if body.get("temperature") else 0)
    return Reply(chat(f"{draw.getrandbits(64)}"))


@dataclass
class FakeServer:
    """What a server was asked, and the function that answers calls; probes are answered by `probed`."""

    url: str
    answer: Callable[[Body], Reply] = honest
    probed: Callable[[Body], Reply] = honest
    asked: list[Body] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    most_at_once: int = 0
    _running: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def judged(self) -> list[Body]:
        """The calls that were no probes."""
        return [body for body in self.asked if not is_probe(body)]

    @property
    def probes(self) -> list[Body]:
        """The probes."""
        return [body for body in self.asked if is_probe(body)]

    def gives(self, *replies: Reply) -> FakeServer:
        """Give calls these answers one after the other, the last for ever."""
        left = list(replies)

        def answer(body: Body) -> Reply:
            with self._lock:
                return left.pop(0) if len(left) > 1 else left[0]

        self.answer = answer
        return self

    def reply(self, body: Body, key: str | None) -> Reply:
        """Note a call and answer it."""
        with self._lock:
            self.asked.append(body)
            self.keys.append(key)
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
        try:
            reply = self.probed(body) if is_probe(body) else self.answer(body)
            time.sleep(reply.seconds)
            return reply
        finally:
            with self._lock:
                self._running -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no fault of the server's."""


@contextmanager
def serve() -> Iterator[FakeServer]:
    """A server for the length of a block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply = state.reply(body, self.headers["Authorization"])
            data = reply.content if isinstance(reply.content, bytes) else json.dumps(reply.content).encode()
            self.send_response(reply.status)
            for name, value in (("Content-Type", "application/json"), *reply.headers):
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    http = _Server(("127.0.0.1", 0), Handler)
    state = FakeServer(f"http://127.0.0.1:{http.server_port}/v1")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
