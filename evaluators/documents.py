"""JSON files of either layout, a document or one value a line, as numbered rows; a bad line costs only itself."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from steper_core.errors import UserError
from steper_core.json_text import parse_document, parse_line
from steper_core.readers import Row, RowError

NumberedRow = tuple[int, Row | RowError]
"""The line of a row, or its position in an array, from 1, and its object, or why it is none."""


def read_rows(path: Path) -> Iterable[NumberedRow]:
    """The rows of a JSON array or of JSON lines; an object that takes a whole file is one row.

    Raises:
        UserError: the file cannot be read, is no UTF-8, is empty, or is neither JSON nor JSON lines.
    """
    text = _read_text(path)
    if text.lstrip().startswith("["):
        return enumerate(map(_as_object, parse_document(path, text)), start=1)
    lines = ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())
    rows = [(number, _as_object(parse_line(line))) for number, line in lines]
    if all(isinstance(row, RowError) for _, row in rows):
        return [(1, _as_object(parse_document(path, text)))]
    return rows


def _read_text(path: Path) -> str:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text (byte {error.start}); if it is an archive, unpack it first, else convert it"
        ) from error
    if not text.strip():
        raise UserError(f"{path} is empty")
    return text


def _as_object(value: object) -> Row | RowError:
    if isinstance(value, dict | RowError):
        return value
    return RowError("a row must be a JSON object")
