"""JSON lines that survive a kill: whole lines appended and fsynced, a torn last line found and cut off."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from steper_core.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


def append(path: Path, records: Iterable[BaseModel]) -> None:
    """Append records, one a line, and return only when they are on the disk."""
    lines = "".join(record.model_dump_json() + "\n" for record in records)
    if not lines:
        return
    with path.open("a", encoding="utf-8") as file:
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())


def read(path: Path, model: type[Model]) -> Iterator[Model]:
    """Read the records of a file; a missing file has none and a torn last line is left out.

    Raises:
        UserError: a whole line is no valid record; the message names file, line and field.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield model.model_validate_json(line)
            except ValidationError as error:
                raise UserError(f"{path}, line {number}: {explain(error)}") from error


def repair(path: Path) -> int:
    """Cut a torn last line off; return the number of bytes cut."""
    if not path.exists():
        return 0
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        with path.open("r+b") as file:
            file.truncate(whole)
            os.fsync(file.fileno())
    return len(data) - whole


def explain(error: ValidationError) -> str:
    """The first fault of a validation error in one line: which field, and what is wrong with it."""
    fault = error.errors()[0]
    field = ".".join(str(part) for part in fault["loc"])
    words = fault["msg"].removeprefix("Value error, ")
    return f"field {field!r}: {words}" if field else words
