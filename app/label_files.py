"""A project's labels as a file, in each format.

    .jsonl     shaped like PRM800K, holds everything, brings the whole project back   label_jsonl
    .csv       one row a change of the history                                        label_tables
    .parquet   the same                                                               label_tables

Step-level training data is another thing and goes one way only: label_steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from app.label_jsonl import read_jsonl, write_jsonl
from app.label_records import LabelFile, ReadLabels, nothing_to_import
from app.label_tables import read_csv, read_parquet, write_csv, write_parquet
from steper_core.errors import UserError

_WRITERS: Mapping[str, Callable[[LabelFile], bytes]] = {
    ".jsonl": lambda labels: "".join(write_jsonl(labels)).encode(),
    ".csv": lambda labels: write_csv(labels).encode(),
    ".parquet": write_parquet,
}
FORMATS = tuple(_WRITERS)


def write_labels(labels: LabelFile, suffix: str) -> bytes:
    """The file of a format, by its suffix.

    Raises:
        UserError: there is no such format, or nobody has begun an item.
    """
    _check_format(suffix)
    if not labels.shares:
        raise UserError(f"nobody has labelled anything in {labels.project.name!r} yet")
    return _WRITERS[suffix](labels)


def read_labels(data: bytes, suffix: str) -> ReadLabels:
    """What a file of a format holds, by its suffix; nothing is held against a database yet.

    Raises:
        UserError: there is no such format, the file is not of it, or it holds no labels.
    """
    _check_format(suffix)
    read = _read(data, suffix)
    if not read.shares and not read.foreign:
        raise nothing_to_import(read.problems)
    return read


def _read(data: bytes, suffix: str) -> ReadLabels:
    if suffix == ".parquet":
        return read_parquet(data)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"the file is no UTF-8 text (byte {error.start}); export it anew, or save it as UTF-8"
        ) from error
    return read_csv(text) if suffix == ".csv" else read_jsonl(text)


def read_label_file(path: Path) -> ReadLabels:
    """The same of a file on the disk.

    Raises:
        UserError: as `read_labels`, or the file cannot be read; the message names it.
    """
    try:
        return read_labels(path.read_bytes(), path.suffix.lower())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _check_format(suffix: str) -> None:
    if suffix not in _WRITERS:
        raise UserError(f"there is no label format {suffix or 'without a suffix'}; name a file {', '.join(FORMATS)}")
