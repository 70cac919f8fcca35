"""JSON of files that others wrote: a broken file ends in one message, a broken line costs only itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from steper_core.errors import UserError
from steper_core.readers import RowError


def parse_document(path: Path, text: str) -> Any:
    """The value of a whole file.

    Raises:
        UserError: it is no JSON; the message names line and column.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}, line {error.lineno}, column {error.colno}: {error.msg}; the file may be cut off, get it again"
        ) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: {error}") from error


def parse_line(text: str) -> object:
    """The value of one line, or as a RowError what is wrong with it."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        return RowError(f"column {error.colno}: {error.msg}")
    except (ValueError, RecursionError) as error:
        return RowError(str(error))
