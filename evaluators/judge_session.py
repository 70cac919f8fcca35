"""Calls in flight: many at a time, each answer kept before its place is free again."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from evaluators.judge_cache import Answer
from evaluators.judge_server import CallFailedError, RefusedCallError
from steper_core.errors import UserError

Job = TypeVar("Job")
Outcome = Answer | CallFailedError

_FAILURES_IN_A_ROW = 20
_GRACE_SECONDS = 60.0
_RAMP_SECONDS = 0.005
"""Between the first calls. Sent at one instant they would come home at one instant, again and again, and queue here."""


@dataclass(frozen=True)
class _Arrival(Generic[Job]):
    """What came home for a job (an exception that is no outcome ends everything), and the signal that it is kept."""

    job: Job
    answer: Answer | Exception
    kept: asyncio.Event


class Session(Generic[Job]):
    """Puts jobs through `ask`, at most `concurrency` at a time; what comes home together is handed to `keep` together.

    A place is free again when its answer is kept: so no more than `concurrency` answers can be lost to a kill.
    """

    def __init__(
        self,
        ask: Callable[[Job], Awaitable[Answer]],
        keep: Callable[[Sequence[tuple[Job, Outcome]]], None],
        concurrency: int,
    ) -> None:
        self.asked = 0
        self._ask = ask
        self._keep = keep
        self._concurrency = concurrency
        self._home: asyncio.Queue[_Arrival[Job]] = asyncio.Queue()
        self._settled = 0
        self._reached = False
        self._failures = 0

    async def run(self, jobs: Sequence[Job], on_stop: Callable[[int], None]) -> None:
        """Do all jobs. A cancellation begins no new one, tells `on_stop` how many are in flight, and awaits those.

        Raises:
            UserError: the server cannot be reached, or many calls in a row failed.
            Exception: whatever else `ask` or `keep` raised.
        """
        waiting = deque(jobs)
        places = range(min(self._concurrency, len(jobs)))
        workers = [asyncio.create_task(self._work(waiting, place * _RAMP_SECONDS)) for place in places]
        try:
            while self._settled < len(jobs):
                self._watch(self._store(await self._next()))
        except asyncio.CancelledError:
            waiting.clear()
            on_stop(self.asked - self._settled)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GRACE_SECONDS):
                    while self._settled < self.asked:
                        self._store(await self._next())
            raise
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            self._store(self._arrived())

    async def _work(self, waiting: deque[Job], delay: float) -> None:
        await asyncio.sleep(delay)
        while waiting:
            job, kept = waiting.popleft(), asyncio.Event()
            self.asked += 1
            answer: Answer | Exception
            try:
                answer = await self._ask(job)
            except Exception as error:
                answer = error
            self._home.put_nowait(_Arrival(job, answer, kept))
            await kept.wait()

    async def _next(self) -> list[_Arrival[Job]]:
        return [await self._home.get(), *self._arrived()]

    def _arrived(self) -> list[_Arrival[Job]]:
        return [self._home.get_nowait() for _ in range(self._home.qsize())]

    def _store(self, arrivals: Sequence[_Arrival[Job]]) -> Sequence[_Arrival[Job]]:
        outcomes = [(each.job, each.answer) for each in arrivals if isinstance(each.answer, Answer | CallFailedError)]
        if outcomes:
            self._keep(outcomes)
        self._settled += len(arrivals)
        for each in arrivals:
            each.kept.set()
        return arrivals

    def _watch(self, arrivals: Sequence[_Arrival[Job]]) -> None:
        for each in arrivals:
            if isinstance(each.answer, Answer):
                self._reached = True
                self._failures = 0
            elif isinstance(each.answer, RefusedCallError):
                # It says something of this call and nothing of the server: that is there.
                self._reached = True
                self._failures = 0
            elif isinstance(each.answer, CallFailedError):
                self._failures += 1
                self._give_up(each.answer)
            else:
                raise each.answer

    def _give_up(self, error: CallFailedError) -> None:
        if error.unreachable and not self._reached:
            raise UserError(f"the server cannot be reached ({error}); is it running? Repeat the command to go on")
        if self._failures == _FAILURES_IN_A_ROW:
            raise UserError(
                f"{_FAILURES_IN_A_ROW} calls in a row failed, the last because of {error}; "
                "what is finished is kept, repeat the command to go on"
            )
