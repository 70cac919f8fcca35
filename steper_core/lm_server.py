"""Any OpenAI-compatible server (vLLM, SGLang, llama.cpp, OpenAI) as a language model, through the openai package."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import openai

from steper_core.errors import UserError
from steper_core.prompts import Prompt
from steper_core.texts import one_line
from steper_core.writers import Completion

_INSTRUCTION = (
    "You answer questions step by step over the passages given. Continue the reasoning by exactly one line: either one "
    'sentence that adds the next fact, or, once the answer is known, "So the answer is: " and the answer. '
    "Write that line only.\n\n"
)
_RETRIES = 5
_REASON_SHOWN = 200
_MOST_TOKENS = 2**40
_PASSING = (408, 409, 429)
"""Statuses beside 5xx that another try may not meet."""
_GO_ON = "finished chains are kept, repeat the command to go on"
_REFUSALS = (openai.BadRequestError, openai.UnprocessableEntityError)
_OF_A_PROMPT = frozenset({"content_filter", "invalid_prompt"})
_BOLD = re.compile(r"(?<!\*)\*\*(?![\s*])(.*?)(?<![\s*])\*\*(?!\*)")
_OPTIONS = ("max_completion_tokens", "max_tokens", "response_format", "temperature", "seed", "n")
_Said = tuple[str | None, openai.types.CompletionUsage | None, bool]
"""Text, usage, and whether the text ended before the limit of tokens."""
NO_KEY = "none"
"""What is sent to servers that need no key."""


class ServerModel:
    """Continues prompts through a server. Keys come from the environment only and are never stored.

    An option that the server refuses is added to `refused` and left out from then on.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        endpoint: Literal["chat", "completions"] = "chat",
        concurrency: int = 16,
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        client: openai.OpenAI | None = None,
    ) -> None:
        self.refused: set[str] = set()
        self._model = model
        self._endpoint = endpoint
        self._concurrency = concurrency
        self._max_new_tokens = max_new_tokens
        self._temperature = temperature
        self._client = client or connect(base_url)

    @property
    def _url(self) -> str:
        return public_url(str(self._client.base_url))

    def complete(self, prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[Completion]:
        """One line a prompt, several requests at once.

        Raises:
            UserError: the server cannot be reached, or refuses the key, the model or the request.
        """
        try:
            with ThreadPoolExecutor(self._concurrency) as pool:
                return list(pool.map(self._complete_one, prompts, seeds))
        except openai.APIConnectionError as error:
            raise UserError(f"no answer from {self._url} ({error}); {_GO_ON}; is the server running?") from error
        except openai.APIStatusError as error:
            reason = reason_of(error, self._client.api_key)
            passing = error.status_code in _PASSING or error.status_code >= 500
            raise UserError(
                f"{self._url} refused a request for model {self._model!r}: {reason}"
                + (f"; {_GO_ON}" if passing else "; finished chains are kept")
            ) from error
        except _NoCompletionError as error:
            said = without_key(one_line(str(error)), self._client.api_key)[:_REASON_SHOWN]
            raise UserError(f"{self._url} sent no completion for model {self._model!r}: {said}; {_GO_ON}") from error
        except (AttributeError, TypeError, ValueError, RecursionError) as error:
            raise UserError(
                f"{self._url} did not answer like an OpenAI-compatible server; does base_url end in /v1?"
            ) from error

    def _complete_one(self, prompt: Prompt, seed: int) -> Completion:
        started = time.perf_counter()
        try:
            text, usage, ended = self._ask(prompt, seed & 0x7FFFFFFF)
        except _REFUSALS as error:
            if _is_too_long(error):
                return Completion("", 0, 0, time.perf_counter() - started, problem="too_long")
            if _is_of_this_prompt(error):
                return Completion("", 0, 0, time.perf_counter() - started, problem="refused")
            raise
        seconds = time.perf_counter() - started
        tokens = (token_count(usage.prompt_tokens), token_count(usage.completion_tokens)) if usage else (0, 0)
        said = None if text is None else _without_thoughts(text)
        if said is None:
            return Completion("", *tokens, seconds, problem="refused")
        # What follows the first line may have been cut as it likes.
        cut = not ended and "\n" not in said.lstrip()
        return Completion(_first_line(without_key(said, self._client.api_key), prompt), *tokens, seconds, cut=cut)

    def _ask(self, prompt: Prompt, seed: int) -> _Said:
        ask = self._ask_chat if self._endpoint == "chat" else self._ask_plain
        options = {"max_tokens": self._max_new_tokens, "temperature": self._temperature, "seed": seed}
        while True:
            sent = taken_options(options, self.refused)
            try:
                return ask(prompt, sent)
            except _REFUSALS as error:
                option = option_named(error)
                if option not in sent or _is_too_long(error):
                    raise
                self.refused.add(option)

    def _ask_chat(self, prompt: Prompt, options: Mapping[str, Any]) -> _Said:
        answer = self._client.chat.completions.create(
            model=self._model,
            messages=[{"role": "user", "content": _INSTRUCTION + prompt.text}],
            extra_body=options,
        )
        choice = _first_choice(answer)
        text = choice.message.content if choice else None
        ended = choice is None or choice.finish_reason != "length"
        # Hidden thoughts may use up all tokens: that is no line, unlike one that a model leaves empty.
        return (text if text or ended else None), answer.usage, ended

    def _ask_plain(self, prompt: Prompt, options: Mapping[str, Any]) -> _Said:
        answer = self._client.completions.create(model=self._model, prompt=prompt.text, stop=["\n"], extra_body=options)
        choice = _first_choice(answer)
        ended = choice is None or choice.finish_reason != "length"
        return (choice.text if choice else None), answer.usage, ended


class _NoCompletionError(Exception):
    """An error as an answer: some gateways send those of the server behind them as if all were well."""


def _first_choice(answer: Any) -> Any:
    """The first choice, None where the list is empty: the server refuses to say anything."""
    if not isinstance(answer.choices, list):
        raise _NoCompletionError(answer.error) if getattr(answer, "error", None) else ValueError("no list of choices")
    return answer.choices[0] if answer.choices else None


def token_count(said: Any) -> int:
    """A number of tokens as far as what a server says is one."""
    return said if isinstance(said, int) and 0 <= said <= _MOST_TOKENS else 0


def connect(base_url: str | None) -> openai.OpenAI:
    """A client for a server; OPENAI_BASE_URL and OPENAI_API_KEY stand in for what is not given.

    Raises:
        UserError: no key for OpenAI's own service (a server of one's own needs none), or an address that is none.
    """
    url = base_url or os.environ.get("OPENAI_BASE_URL")
    key = os.environ.get("OPENAI_API_KEY", "").strip()
    if not key.isascii():
        raise UserError("OPENAI_API_KEY holds a character that no key has; set it again")
    if not key and not url:
        raise UserError("set OPENAI_API_KEY, or give the base_url of a server that needs no key")
    if url:
        _check_address(url)
    return openai.OpenAI(base_url=url, api_key=key or NO_KEY, max_retries=_RETRIES)


def public_url(url: str) -> str:
    """An address without user, password, query and fragment: fit to be stored and shown."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def without_key(text: str, key: str) -> str:
    """What a server wrote, without the key: it may repeat what it was sent."""
    return text if key == NO_KEY else text.replace(key, "***")


def reason_of(error: openai.APIStatusError, key: str) -> str:
    """The status of a refusal and one line of what the server says of it, without the key."""
    said = without_key(one_line(error.message), key).removeprefix(f"Error code: {error.status_code}")
    return f"{error.status_code}: {said.removeprefix(' - ')[:_REASON_SHOWN]}".removesuffix(": ")


def option_named(error: openai.APIStatusError) -> str | None:
    """The option that a server's refusal is about, as far as it says so."""
    said = (option for option in _OPTIONS[:-1] if re.search(rf"\b{option}\b", error.message))
    named = error.param if error.param in _OPTIONS else next(said, None)
    return "max_tokens" if named == "max_completion_tokens" else named


def taken_options(options: Mapping[str, Any], refused: Collection[str]) -> dict[str, Any]:
    """What a server takes of the options for a call; who refuses max_tokens takes it by its newer name."""
    taken = {name: value for name, value in options.items() if name not in refused}
    return {**taken, "max_completion_tokens": options["max_tokens"]} if "max_tokens" in refused else taken


def _is_too_long(error: openai.APIStatusError) -> bool:
    said = str(error).lower()
    if isinstance(error, openai.UnprocessableEntityError):
        # As text-generation-inference words it; other servers repeat what they were sent.
        return "`inputs` tokens + `max_new_tokens` must be <=" in said or "`inputs` must have less than" in said
    return error.code == "context_length_exceeded" or "context" in said


def _is_of_this_prompt(error: openai.APIStatusError) -> bool:
    """Whether a server takes nothing amiss but this prompt: a filter's verdict, or thoughts that found no end."""
    return error.code in _OF_A_PROMPT or "could not finish the message" in str(error).lower()


def _check_address(url: str) -> None:
    # The address is not repeated: it may hold a password.
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) and url.isprintable()
    except ValueError:
        whole = False
    if not whole:
        raise UserError("the base URL is no address of a server; it looks like http://127.0.0.1:8000/v1")


def _without_thoughts(text: str) -> str | None:
    """What follows the thoughts that a text opens with, None where they do not end."""
    # Some chat templates open them in the prompt: only their end is in the text.
    said = text.rpartition("</think>")[2]
    return None if said.lstrip().startswith("<think>") else said


def _first_line(text: str, prompt: Prompt) -> str:
    """The first line with text, without bold type.

    Chat models open with blank lines, set off what they think matters, and repeat what the line already begins with.
    """
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    line = _BOLD.sub(r"\1", line)
    begun = prompt.lines.rpartition("\n")[2]
    return line[len(begun) :].lstrip() if begun and line.casefold().startswith(begun.casefold()) else line
