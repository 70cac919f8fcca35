"""Stopping long work where nothing of it is lost: the first signal asks for it, a second one does it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from app.console import Console

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def asked_to_stop(console: Console) -> Iterator[Callable[[], bool]]:
    """A function that says whether Ctrl-C or a polite kill came; what is in hand is then brought to a good end."""
    asked = False
    before = {each: signal.getsignal(each) for each in _SIGNALS}

    def restore() -> None:
        for each, handler in before.items():
            signal.signal(each, handler)

    def ask(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        restore()
        console.warn("saving after this step, then stopping; once more stops at once")

    # Only the main thread may set handlers, and what runs in the background ignores Ctrl-C on purpose.
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    for each, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(each, ask)
    try:
        yield lambda: asked
    finally:
        restore()
