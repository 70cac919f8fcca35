"""A judge's server: one call at a time through the openai package, and what the server makes of our options.

Servers differ. Some refuse an option, and then do without it; some take it and ignore it in silence. A few small calls
at the start find out which, so that a run can name what its server does not do.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import openai
from openai.types.chat import ChatCompletion

from evaluators.judge_cache import Answer
from steper_core.errors import UserError
from steper_core.lm_server import (
    connect,
    option_named,
    public_url,
    reason_of,
    taken_options,
    token_count,
    without_key,
)

_RETRIES = 6
_TIMEOUT_SECONDS = 300.0

_OPTIONAL = ("n", "response_format", "seed", "temperature", "max_tokens")
_PROBE_SCHEMA = {
    "type": "object",
    "properties": {"shape": {"type": "string", "enum": ["kept"]}},
    "required": ["shape"],
    "additionalProperties": False,
}
_GREETING = [{"role": "user", "content": "Reply with the single word: hello"}]
_DRAW = [{"role": "user", "content": "Write a line of thirty random digits."}]
_DRAWN_TOKENS = 32


@dataclass(frozen=True)
class JudgeSettings:
    """How a judge writes: 0 is greedy; `max_tokens` bounds an answer (thoughts of a reasoning model included)."""

    temperature: float = 0.0
    max_tokens: int = 1024


@dataclass(frozen=True)
class Traits:
    """What a server does with options. True: it keeps to them; False: it ignores them; None: that could not be told.

    `refused` are options that it answers with an error; they are left out of every call.
    """

    schema: bool | None = None
    n: bool | None = None
    seed: bool | None = None
    refused: frozenset[str] = frozenset()

    def facts(self) -> dict[str, float]:
        """The traits as facts of a run."""
        kept = {"schema": self.schema, "n": self.n, "seed": self.seed}
        return {f"server_keeps_{name}": float(value) for name, value in kept.items() if value is not None} | {
            f"server_refuses_{option}": 1.0 for option in sorted(self.refused)
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, float]) -> Traits | None:
        """The traits among the facts of a run, None if its server was not asked yet."""
        kept = {name: bool(facts[f"server_keeps_{name}"]) for name in ("schema", "n", "seed") if _kept(name) in facts}
        refused = frozenset(option for option in _OPTIONAL if f"server_refuses_{option}" in facts)
        return cls(**kept, refused=refused) if kept or refused else None

    def remarks(self, url: str) -> list[str]:
        """A line for each option that the server does not keep to."""
        found = [f"{url} refuses the option {option}: it is left out" for option in sorted(self.refused)]
        if self.schema is False:
            found.append(f"{url} ignores the JSON schema it is sent; answers of another shape are unscored")
        if self.n is False:
            found.append(f"{url} ignores n; every vote is a call of its own, so nothing is lost")
        if self.seed is False:
            found.append(f"{url} ignores the seed or the temperature; its votes may be copies or not repeatable")
        return found


class CallFailedError(Exception):
    """A call that brought no answer after all retries. `unreachable`: there was no connection at all."""

    def __init__(self, reason: str, *, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.unreachable = unreachable


class RefusedCallError(CallFailedError):
    """A call that the server takes from nobody, such as one longer than its context; `option` is what it names."""

    def __init__(self, reason: str, option: str | None) -> None:
        super().__init__(reason)
        self.option = option


class JudgeServer:
    """Asks one model of one server. The key comes from the environment; neither it nor a password in `url` is shown.

    A call is repeated, with growing pauses or those the server asks for (Retry-After), on 429, 5xx and timeouts.
    All calls of a server must be made in one event loop, which `close` ends the connections of.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        settings: JudgeSettings | None = None,
        retries: int = _RETRIES,
        timeout: float = _TIMEOUT_SECONDS,
    ) -> None:
        self.model = model
        self.settings = settings or JudgeSettings()
        self.timeout = timeout
        self.traits = Traits()
        with connect(base_url) as known:
            self._address, self._key = known.base_url, known.api_key
        self._client = openai.AsyncOpenAI(
            base_url=self._address, api_key=self._key, max_retries=retries, timeout=timeout
        )

    @property
    def url(self) -> str:
        """The server's address without user, password and query: fit to be stored and shown."""
        return public_url(str(self._address))

    async def close(self) -> None:
        """End the connections."""
        await self._client.close()

    async def probe(self) -> Traits:
        """Find out what the server does with a JSON schema, n and seed, in four small calls; sets `traits`.

        Raises:
            UserError: the server cannot be reached, refuses the key or the model, or does not answer as one.
        """
        try:
            answer = await self._settle()
            schema, n = _keeps_schema(answer, self.traits), _keeps_n(answer, self.traits)
            seed = await self._keeps_seed()
        except CallFailedError as error:
            hint = "; is the server running, and does the base URL end in /v1?" if error.unreachable else ""
            raise UserError(f"{self.url} does not answer: {error}{hint}") from error
        self.traits = Traits(schema, n, seed, self.traits.refused)
        return self.traits

    async def ask(self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any], seed: int) -> Answer:
        """One answer.

        Raises:
            CallFailedError: there is none after all retries, or the server cannot take this call.
            UserError: the server refuses the key or the model.
        """
        started = time.perf_counter()
        found = await self._create(
            messages,
            max_tokens=self.settings.max_tokens,
            temperature=self.settings.temperature,
            seed=seed,
            response_format=_response_format(schema),
        )
        return self._answer_of(found, time.perf_counter() - started)

    async def _settle(self) -> ChatCompletion:
        """Call with all options, and drop those that the server refuses until it takes the call."""
        while True:
            try:
                return await self._create(
                    _GREETING,
                    max_tokens=self.settings.max_tokens,
                    temperature=self.settings.temperature,
                    seed=1,
                    response_format=_response_format(_PROBE_SCHEMA),
                    n=2,
                )
            except RefusedCallError as error:
                left = [option for option in _OPTIONAL if option not in self.traits.refused]
                if not left:
                    raise
                option = error.option if error.option in left else left[0]
                self.traits = Traits(refused=self.traits.refused | {option})

    async def _keeps_seed(self) -> bool | None:
        if self.traits.refused & {"seed", "temperature"}:
            return None
        # One after the other: answers computed in one batch may differ in rounding, whatever their seed.
        first, again, other = [await self._draw(seed) for seed in (1, 1, 2)]
        return (first == again and first != other) if first and again and other else None

    async def _draw(self, seed: int) -> str:
        found = await self._create(_DRAW, max_tokens=_DRAWN_TOKENS, temperature=1.0, seed=seed)
        return self._answer_of(found, 0.0).text

    def _answer_of(self, found: ChatCompletion, seconds: float) -> Answer:
        answer = _answer_of(found, seconds)
        refusal = answer.refusal and without_key(answer.refusal, self._key)
        return dataclasses.replace(answer, text=without_key(answer.text, self._key), refusal=refusal)

    async def _create(self, messages: Sequence[Mapping[str, str]], **options: Any) -> ChatCompletion:
        # Handed over as they are: the package would walk through messages and schema value by value, which costs more
        # than the rest of a call and holds up the others in flight.
        body = {"messages": list(messages), **taken_options(options, self.traits.refused)}
        try:
            found = await self._client.chat.completions.create(model=self.model, messages=[], extra_body=body)
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise UserError(f"{self.url} refuses the key ({error.status_code}); check OPENAI_API_KEY") from error
        except openai.NotFoundError as error:
            raise UserError(
                f"{self.url} knows no model {self.model!r}, or is no OpenAI-compatible server (404); "
                "check --model, and whether the base URL ends in /v1"
            ) from error
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            raise RefusedCallError(reason_of(error, self._key), option_named(error)) from error
        except openai.APIStatusError as error:
            raise CallFailedError(reason_of(error, self._key)) from error
        except openai.APITimeoutError as error:
            raise CallFailedError("no answer in time") from error
        except openai.APIConnectionError as error:
            raise CallFailedError("no connection", unreachable=True) from error
        except (openai.OpenAIError, ValueError, RecursionError) as error:
            raise CallFailedError(f"an answer that cannot be read ({type(error).__name__})") from error
        if not isinstance(found, ChatCompletion) or not isinstance(found.choices, list):
            raise CallFailedError("an answer that is no chat completion; does the base URL end in /v1?")
        return found


def _kept(name: str) -> str:
    return f"server_keeps_{name}"


def _response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": dict(schema)}}


def _answer_of(found: ChatCompletion, seconds: float) -> Answer:
    # The openai package does not hold what it reads against its types.
    try:
        if not found.choices:
            return Answer("", refusal="the server gave no message")
        choice, usage = found.choices[0], found.usage
        text, refusal = choice.message.content, choice.message.refusal
        tokens = (token_count(usage.prompt_tokens), token_count(usage.completion_tokens)) if usage else (0, 0)
    except (AttributeError, TypeError, ValueError) as error:
        raise CallFailedError("an answer that is no chat completion") from error
    if not isinstance(text, str | None) or not isinstance(refusal, str | None):
        raise CallFailedError("an answer whose content is no text")
    return Answer(text or "", refusal, str(choice.finish_reason or ""), *tokens, round(seconds, 4))


def _keeps_schema(answer: ChatCompletion, traits: Traits) -> bool | None:
    if "response_format" in traits.refused:
        return None
    found = _answer_of(answer, 0.0)
    if not found.text and found.finish == "length":
        return None
    try:
        return bool(json.loads(found.text) == {"shape": "kept"})
    except (ValueError, RecursionError):
        return False


def _keeps_n(answer: ChatCompletion, traits: Traits) -> bool | None:
    return None if "n" in traits.refused else len(answer.choices) == 2
