"""Reading TOML files that users write: a fault names file, key and the nearest right one."""

from __future__ import annotations

import difflib
import hashlib
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steper_core.builtin_files import BuiltinFiles
from steper_core.config import parse_toml
from steper_core.errors import UserError
from steper_core.jsonl import explain

Table = TypeVar("Table", bound=BaseModel)
Rubric = TypeVar("Rubric", bound="VersionedTable")


class VersionedTable(BaseModel):
    """A file that is known by its name and version wherever its results are kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Without the underscore that parts a rubric from a figure in the name of a score.
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    version: Annotated[str, Field(min_length=1)]

    @property
    def digest(self) -> str:
        """A short digest of all that the file says."""
        return hashlib.blake2b(self.model_dump_json().encode(), digest_size=8).hexdigest()


def load_versioned(files: BuiltinFiles, name: str, table: type[Rubric], part: type[BaseModel], results: str) -> Rubric:
    """A built-in file by its name or one of the user's by path; `results` is what its name and version keep apart.

    Raises:
        UserError: no such file, no TOML, an unknown key (with the nearest right one), a wrong value, or a file that
            says something else under a built-in one's name and version.
    """
    found = parse_table(*files.read(name), table, part)
    known = files.names()
    if name not in known and found.name in known:
        ours = parse_table(*files.read(found.name), table, part)
        if found.version == ours.version and found.digest != ours.digest:
            raise UserError(
                f"{name}: a built-in {files.kind} is named {found.name!r} and has version {found.version!r} too, but "
                f"says something else; give this one another name or version, so that their {results} stay apart"
            )
    return found


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
