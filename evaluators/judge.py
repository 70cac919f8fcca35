"""Judging: planned calls in, votes out, many at a time, none asked twice.

A vote that a server gave is kept before the next is looked at. An interrupt lets the calls in flight come home first.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

from evaluators.answers import score_answer
from evaluators.judge_answers import UnusableAnswerError, Verdicts, read_answer, schema_of
from evaluators.judge_cache import Answer, AnswerCache, cache_key
from evaluators.judge_prompts import Asked, Item, Prompter, asked_of
from evaluators.judge_server import CallFailedError, JudgeServer, Traits
from evaluators.judge_session import Outcome, Session
from evaluators.rubric import RI, SQA, Rubric
from steper_core.records import Judgement
from steper_core.texts import one_line

CALL_FAILED = "the call failed: "
"""How the reason of a vote begins that no answer came for: repeating the command asks for it again."""

_KEPT_AT_ONCE = 200
_BYTES_A_TOKEN = 3.5
"""Measured with SmolLM2's vocabulary on judge prompts of generated questions (3.3 to 3.5); larger ones take fewer."""
_TOKENS_AN_ANSWER = 120
"""About what reasons in three sentences and a verdict take."""
_REFUSAL_SHOWN = 200


@dataclass(frozen=True)
class Call:
    """One vote on one item, the key of its answer in the cache, and about how many tokens it asks with."""

    item: Item
    vote: int
    key: str
    prompt_tokens: int

    @property
    def place(self) -> tuple[str, int | None, str, int, str]:
        """What tells the vote from all others of its run."""
        return self.item.question.id, self.item.step, self.item.order, self.vote, self.key


def place_of(judgement: Judgement) -> tuple[str, int | None, str, int, str]:
    """The place of the call that a judgement came from."""
    return judgement.question_id, judgement.step, judgement.order, judgement.vote, judgement.key


def is_final(judgement: Judgement) -> bool:
    """Whether an answer came, be it a usable one or not."""
    return not (judgement.unscored or "").startswith(CALL_FAILED)


class Judge:
    """Puts one rubric's calls to one server."""

    def __init__(
        self, rubric: Rubric, server: JudgeServer, cache: AnswerCache, prompter: Prompter, *, concurrency: int = 16
    ) -> None:
        self._rubric = rubric
        self._server = server
        self._cache = cache
        self._prompter = prompter
        self._concurrency = concurrency

    def plan(self, items: Iterable[Item], votes: int) -> list[Call]:
        """The calls that judge these items so many times each; a vote's seed is its number."""
        return [call for item in items for call in self._calls(item, votes)]

    def run(
        self,
        calls: Sequence[Call],
        keep: Callable[[list[Judgement]], None],
        *,
        traits: Traits | None = None,
        on_traits: Callable[[Traits], None] = lambda traits: None,
        on_stop: Callable[[int], None] = lambda waiting: None,
    ) -> int:
        """Judge, handing votes to `keep` as they come, and return how many calls were made (probes not counted).

        What the cache holds is not asked for. The server is probed first unless its `traits` are known; `on_traits` is
        told. On an interrupt no new call is made, `on_stop` is told how many are in flight, and those are awaited.

        Raises:
            UserError: the server cannot be reached, refuses the key or the model, or fails many times in a row.
        """
        known = self._cache.known([call.key for call in calls])
        ready = [call for call in calls if call.key in known]
        missing = [call for call in calls if call.key not in known]
        for start in range(0, len(ready), _KEPT_AT_ONCE):
            part = [(call, self._cache.get(call.key)) for call in ready[start : start + _KEPT_AT_ONCE]]
            missing += [call for call, answer in part if answer is None]
            keep([judgement_of(self._rubric, call, self._server.model, answer) for call, answer in part if answer])
        if not missing:
            return 0
        session = Session(self._ask, lambda outcomes: self._keep(outcomes, keep), self._concurrency)
        asyncio.run(self._serve(session, missing, traits, on_traits, on_stop))
        return session.asked

    async def _serve(
        self,
        session: Session[Call],
        calls: Sequence[Call],
        traits: Traits | None,
        on_traits: Callable[[Traits], None],
        on_stop: Callable[[int], None],
    ) -> None:
        try:
            if traits is None:
                on_traits(await self._server.probe())
            else:
                self._server.traits = traits
            await session.run(calls, on_stop)
        finally:
            await self._server.close()

    def _calls(self, item: Item, votes: int) -> list[Call]:
        messages = self._prompter.messages(item)
        tokens = math.ceil(sum(len(message["content"].encode()) for message in messages) / _BYTES_A_TOKEN)
        rubric, server = self._rubric, self._server
        keys = [
            cache_key(
                model=server.model,
                url=server.url,
                messages=messages,
                settings=asdict(server.settings),
                rubric=rubric.name,
                version=rubric.version,
                vote=vote,
            )
            for vote in range(1, votes + 1)
        ]
        return [Call(item, vote, key, tokens) for vote, key in enumerate(keys, start=1)]

    async def _ask(self, call: Call) -> Answer:
        schema = schema_of(asked_of(self._rubric, call.item), self._rubric.tags)
        return await self._server.ask(self._prompter.messages(call.item), schema, call.vote)

    def _keep(self, outcomes: Sequence[tuple[Call, Outcome]], keep: Callable[[list[Judgement]], None]) -> None:
        self._cache.put((call.key, answer) for call, answer in outcomes if isinstance(answer, Answer))
        keep([judgement_of(self._rubric, call, self._server.model, answer) for call, answer in outcomes])


def tokens_of(calls: Iterable[Call]) -> tuple[int, int]:
    """About how many prompt and output tokens calls take: from bytes, answers of a usual length."""
    counts = [call.prompt_tokens for call in calls]
    return sum(counts), len(counts) * _TOKENS_AN_ANSWER


def judgement_of(rubric: Rubric, call: Call, model: str, answer: Outcome) -> Judgement:
    """The vote in an answer; unscored with the reason where it holds none that counts."""
    item = call.item
    bare = Judgement(
        question_id=item.question.id,
        step=item.step,
        rubric=rubric.name,
        version=rubric.version,
        judge=model,
        vote=call.vote,
        order=item.order,
        verdicts={},
        key=call.key,
    )
    if isinstance(answer, CallFailedError):
        return bare.model_copy(update={"unscored": f"{CALL_FAILED}{answer}"})
    cost = {key: getattr(answer, key) for key in ("prompt_tokens", "output_tokens", "seconds")}
    try:
        found = _read(answer, asked_of(rubric, item), rubric)
    except UnusableAnswerError as error:
        return bare.model_copy(update={"unscored": str(error), **cost})
    verdicts = _figures(rubric, item, found.values)
    return bare.model_copy(update={"verdicts": verdicts, "tags": found.tags, "explanation": found.explanation, **cost})


def _read(answer: Answer, asked: Sequence[Asked], rubric: Rubric) -> Verdicts:
    if answer.refusal is not None:
        raise UnusableAnswerError(f"refused: {one_line(answer.refusal)[:_REFUSAL_SHOWN]}")
    if answer.finish == "content_filter":
        raise UnusableAnswerError("refused: the server's content filter stopped it")
    try:
        return read_answer(answer.text, asked, rubric.tags)
    except UnusableAnswerError as error:
        if answer.finish == "length":
            raise UnusableAnswerError("cut off at the token limit; a higher --max-tokens may help") from error
        raise


def _figures(rubric: Rubric, item: Item, values: dict[str, float]) -> dict[str, float]:
    """What the labels of an answer come to. A preference is turned so that 1 is the judged run's chain.

    SQA is the mean over the sub-questions; RI asks for all of them and exists only for right answers (StepER, SubQA).
    """
    if item.order == "ba":
        # 0.0 - x and not -x: a tie stays 0.0.
        return {name: 0.0 - value for name, value in values.items()}
    if rubric.scope != "hops":
        return values
    figures = {**values, SQA: math.fsum(values.values()) / len(values)}
    question = item.question
    if score_answer(item.chain.answer, question.golds, question.dataset).acc == 1:
        figures[RI] = float(all(value == 1 for value in values.values()))
    return figures
