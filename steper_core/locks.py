"""Files that one process at a time holds."""

from __future__ import annotations

import fcntl
import time


def lock_within(descriptor: int, wait: float) -> bool:
    """Lock an open file, waiting for another process that holds it `wait` seconds at most; whether that was enough."""
    # Whoever looks whether a file is held takes the lock for an instant: that is no reason to give up at once.
    until = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        else:
            return True
