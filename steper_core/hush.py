"""Keeps transformers from drawing its own progress bars between ours."""

from __future__ import annotations

from typing import Any


def hush_transformers() -> None:
    """Show no progress bars and no advice of transformers; errors still come through."""
    from transformers.utils import logging as untyped

    logging: Any = untyped
    logging.disable_progress_bar()
    logging.set_verbosity_error()
