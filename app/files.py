"""Writing what a command was asked for to the place it was told."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from steper_core.errors import UserError


def write_whole(file: Path, content: str | bytes) -> None:
    """Write a file whole or not at all: what stood there before stays until the new one is.

    Raises:
        UserError: it cannot be written, or it would be a part of a run directory.
    """
    data = content.encode() if isinstance(content, str) else content
    if (file.parent / "run.json").exists():
        raise UserError(f"{file} would lie in a run directory, whose files are StepER's own: give another name")
    target, part = file.resolve(), None
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(data)  # a pipe or a terminal
            return
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".steper-", delete=False) as opened:
            part = Path(opened.name)
            opened.write(data)
        part.chmod(0o666 & ~_umask())
        part.replace(target)
    except OSError as error:
        if part is not None:
            part.unlink(missing_ok=True)
        raise UserError(f"{file}: cannot be written ({error.strerror or error})") from error


def _umask() -> int:
    # The only way to learn it is to set it.
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
