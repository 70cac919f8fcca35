"""Several processes that train one model, as `accelerate launch` starts them: one of them writes, all compute."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from steper_core.errors import UserError
from steper_core.run_records import RunInfo
from steper_core.rundir import RunDir


def rank() -> int:
    """This process' number, 0 for the one that writes (and where there is only one)."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


class FollowedRun(RunDir):
    """A run that another process holds and writes: what is written here goes nowhere."""

    def update(self, **changes: Any) -> RunInfo:
        """Nothing."""
        return self.info

    def append_train_point(self, point: Any) -> None:
        """Nothing."""

    def cut_train_points(self, step: int) -> None:
        """Nothing."""


@contextmanager
def shared_run(opener: AbstractContextManager[RunDir], path: Path, *, cpu: bool) -> Iterator[RunDir]:
    """The run of `opener` in the process that writes; in all others the same run followed, once it is open.

    Raises:
        UserError: what opening it raised, in all processes.
    """
    if world_size() == 1:
        with opener as run:
            yield run
        return
    if rank() == 0:
        try:
            run = opener.__enter__()
        except BaseException as error:
            _tell(str(error), cpu=cpu)
            raise
        try:
            _tell(None, cpu=cpu)
            yield run
        except BaseException as error:
            if not opener.__exit__(type(error), error, error.__traceback__):
                raise
        else:
            opener.__exit__(None, None, None)
        return
    problem = _tell(None, cpu=cpu)
    if problem is not None:
        raise UserError(problem)
    yield FollowedRun(path)


def leave() -> None:
    """End the talk of the processes. Its threads, if they outlive it, now and then abort a process at its exit."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def _tell(problem: str | None, *, cpu: bool) -> str | None:
    """What the writing process says reaches all. Without `cpu` they talk by way of their GPUs."""
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    PartialState(cpu=cpu)
    words: list[Any] = [problem]
    broadcast_object_list(words, from_process=0)
    told: str | None = words[0]
    return told
