"""Reading TOML files that users write: a fault names file, key and the nearest right one."""

from __future__ import annotations

import difflib
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from steper_core.config import parse_toml
from steper_core.errors import UserError
from steper_core.jsonl import explain

Table = TypeVar("Table", bound=BaseModel)


def parse_table(source: str, text: str, table: type[Table], part: type[BaseModel]) -> Table:
    """The text of a TOML file as a `table`, whose inner tables are of the kind `part`.

    Raises:
        UserError: no TOML, an unknown key or a wrong value.
    """
    values = parse_toml(source, text)
    try:
        return table.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{source}: {_explain(error, table, part)}") from error


def _explain(error: ValidationError, table: type[BaseModel], part: type[BaseModel]) -> str:
    # A misspelt key is missing under its right name too: the misspelling is what helps.
    fault = next((each for each in error.errors() if each["type"] == "extra_forbidden"), None)
    if fault is None:
        return explain(error)
    *place, key = [str(each) for each in fault["loc"]]
    known = list((part if place else table).model_fields)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else f"; keys are {', '.join(known)}"
    return f"unknown key {'.'.join([*place, key])!r}{hint}"
