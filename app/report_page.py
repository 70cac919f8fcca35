"""A report as one file of HTML: no script, no request, everything escaped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from app.files import write_whole
from steper_core.errors import UserError

MARK = "<!-- StepER report -->"
"""How a report is told from any other file before it is written over."""


def render_report(data: Mapping[str, Any]) -> str:
    """The page of what `report_data` gives."""
    environment = Environment(
        loader=PackageLoader("app"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(data, mark=MARK)


def write_report(page: str, file: Path, *, force: bool = False) -> None:
    """Write a page, whole or not at all.

    Raises:
        UserError: something else than a report lies there (unless `force`), or it cannot be written.
    """
    try:
        other = file.exists() and not force and not _is_report(file)
    except OSError as error:
        raise UserError(f"{file}: cannot be written ({error.strerror or error})") from error
    if other:
        raise UserError(f"{file} is no report of StepER; give another name, or --force to write over it")
    write_whole(file, page)


def _is_report(file: Path) -> bool:
    with file.open("rb") as opened:
        return MARK.encode() in opened.read(200)
