"""Labels as a table, CSV or Parquet: one row a change of the history, so that nothing is lost in either.

The value is JSON text: a number, a text in quotes, a list of tags, null. CSV is opened in spreadsheets, which evaluate
cells that begin with = + - @ and some others, and comments and names are texts of strangers. Such a cell, and one that
begins with an apostrophe, is written with one apostrophe before it, and reading takes one leading apostrophe off again.
Plain numbers stay as they are.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime, Field, ValidationError, field_validator

from app.label_records import (
    VOID,
    FilePart,
    ItemName,
    LabelChange,
    LabelFile,
    Number,
    Problem,
    ProjectName,
    ReadLabels,
    ReadShare,
    Share,
    State,
    in_order,
)
from db.annotation_views import Role
from steper_core.errors import UserError
from steper_core.jsonl import explain

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = (
    "project",
    "rubric",
    "rubric_version",
    "run_uid",
    "run",
    "dataset",
    "question",
    "number",
    "ability",
    "field",
    "value",
    "annotator",
    "role",
    "at",
    "seconds",
    "uid",
    "state",
    "current",
)
_EVALUATED = tuple("=+-@\t\r\n'＝＋－＠")
_LONGEST_CELL = 2**31 - 1
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


def table_rows(labels: LabelFile) -> Iterator[dict[str, Any]]:
    """One row a change, by item and person; `current` marks the changes that hold, `state` is the person's with it."""
    rubric = labels.project.rubric
    for share in labels.shares:
        holding = {id(change) for change in share.current.values()}
        for change in share.changes:
            yield {
                "project": labels.project.name,
                "rubric": str(rubric.get("name", "")),
                "rubric_version": str(rubric.get("version", "")),
                "run_uid": share.item.run_uid,
                "run": share.item.run,
                "dataset": share.item.dataset,
                "question": share.item.question,
                "number": change.number,
                "ability": labels.ability_of(share.item, change.number, change.field),
                "field": change.field,
                "value": json.dumps(change.value, ensure_ascii=False),
                "annotator": share.annotator,
                "role": share.role,
                "at": change.at,
                "seconds": change.seconds,
                "uid": change.uid,
                "state": share.state,
                "current": id(change) in holding,
            }


def write_csv(labels: LabelFile) -> str:
    """The table as CSV with a header."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in table_rows(labels):
        written = {**row, "at": row["at"].isoformat(), "current": str(row["current"]).lower()}
        writer.writerow(_harmless("" if written[name] is None else str(written[name])) for name in COLUMNS)
    return out.getvalue()


def write_parquet(labels: LabelFile) -> bytes:
    """The table as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {
        "number": pa.int32(),
        "at": pa.timestamp("us", tz="UTC"),
        "seconds": pa.float64(),
        "current": pa.bool_(),
    }
    schema = pa.schema([(name, types.get(name, pa.string())) for name in COLUMNS])
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(table_rows(labels)), schema=schema), sink)
    return sink.getvalue()


def read_csv(text: str) -> ReadLabels:
    """Read such a table from CSV; a row at fault is a problem and costs only itself.

    Raises:
        UserError: it is no CSV, or columns are missing.
    """
    # The module's own limit would refuse the whole file for one long comment, which is told where values are checked.
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        _check_columns(header)
        rows = [(reader.line_num, dict(zip(header, map(_as_given, cells), strict=False))) for cells in reader if cells]
    except csv.Error as error:
        raise UserError(f"line {reader.line_num}: this is no CSV ({error})") from error
    return _gather(rows)


def read_parquet(data: bytes) -> ReadLabels:
    """Read such a table from Parquet; the line of a problem is the number of its row.

    Raises:
        UserError: it is no Parquet, or columns are missing.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(data))
        _check_columns(table.column_names)
        columns = {name: _cells(table[name]) for name in COLUMNS if name in table.column_names}
    except (pa.ArrowException, ValueError, OSError) as error:
        raise UserError(f"this is no Parquet file that can be read ({str(error).splitlines()[0]})") from error
    rows = (dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True))
    return _gather(enumerate(rows, start=1))


def _cells(column: pa.ChunkedArray) -> list[Any]:
    """The values of a column of Parquet; None for a moment that Python cannot tell, so that it costs only its row."""

    def cell(scalar: pa.Scalar) -> Any:
        try:
            return scalar.as_py()
        except OverflowError:
            return None

    try:
        return list(column.to_pylist())
    except OverflowError:
        return [cell(scalar) for scalar in column]


class _Row(FilePart):
    project: ProjectName
    run_uid: str
    run: str = ""
    dataset: str = ""
    question: str
    number: int = Field(ge=0)
    field: str
    value: Any
    annotator: str
    role: Role
    at: AwareDatetime
    seconds: Number | None = None
    uid: str
    state: State

    @field_validator("value", mode="before")
    @classmethod
    def _from_json(cls, value: Any) -> Any:
        try:
            return json.loads(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError("the value is no JSON (a text stands in quotes)") from error

    @field_validator("seconds", mode="before")
    @classmethod
    def _or_none(cls, value: Any) -> Any:
        return None if value == "" else value


_SHARE = ("project", "run_uid", "question", "annotator", "role")
"""The columns that tell whose work a row is of."""

_REQUIRED = tuple(name for name, field in _Row.model_fields.items() if field.is_required())


def _check_columns(header: Iterable[str]) -> None:
    missing = sorted(set(_REQUIRED) - set(header))
    if missing:
        raise UserError(f"columns are missing: {', '.join(missing)}; an export of labels has them")


def _gather(rows: Iterable[tuple[int, Mapping[str, Any]]]) -> ReadLabels:
    """Rows as shares: what one person did in one role on one item of one project."""
    parts: dict[tuple[Any, ...], list[tuple[int, _Row, LabelChange]]] = {}
    problems = []
    spoilt = set()
    for line, cells in rows:
        try:
            row = _Row.model_validate(cells)
            change = LabelChange.model_validate(row.model_dump(include=set(LabelChange.model_fields)))
        except ValidationError as error:
            problems.append(Problem(line, explain(error)))
            spoilt.add(_whose(cells.get(name) for name in _SHARE))
            continue
        parts.setdefault(tuple(getattr(row, name) for name in _SHARE), []).append((line, row, change))
    shares = []
    for whose, part in parts.items():
        read = _share(part)
        if read.share.labelling or _whose(whose) not in spoilt:
            shares.append(read)
        else:
            problems.append(Problem(read.line, VOID))
    return ReadLabels(tuple(shares), {}, {}, tuple(problems))


def _whose(cells: Iterable[Any]) -> tuple[str, ...]:
    """Whose work a row is of, be a cell a list or of other blanks: fields are cleaned when they are read."""
    return tuple(" ".join(str(cell).split()) for cell in cells)


def _share(part: list[tuple[int, _Row, LabelChange]]) -> ReadShare:
    # A spreadsheet may have sorted the rows anew.
    line_of = {id(change): line for line, _, change in part}
    changes = in_order(change for _, _, change in part)
    _, row, _ = part[-1]
    item = ItemName(run_uid=row.run_uid, run=row.run, dataset=row.dataset, question=row.question)
    share = Share(item, row.annotator, row.role, row.state, changes)
    return ReadShare(row.project, share, part[0][0], tuple(line_of[id(change)] for change in changes))


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_EVALUATED) and not _NUMBER.fullmatch(cell) else cell


def _as_given(cell: str) -> str:
    return cell[1:] if cell.startswith("'") else cell
