"""A recipe as a TOML file to copy: what it sets, and behind `#` what it leaves at its default."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from steper_core.config import Recipe, TrainSection

_MEANING_AT = 44
_DECIDING = ("method", "backend", "model")
"""What other defaults depend on: it is said even where it is the default."""


def recipe_text(recipe: Recipe) -> str:
    """All settings of a recipe with what they mean; read again, the text is the same recipe."""
    return "\n".join(_settings("", recipe)) + "\n"


def _settings(name: str, section: BaseModel) -> Iterator[str]:
    usual = _usual(section)
    parts: list[str] = []
    if name:
        yield f"\n[{name}]"
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        if isinstance(value, BaseModel):
            parts += _settings(f"{name}.{key}" if name else key, value)
            continue
        own = value != getattr(usual, key) or key in _DECIDING
        line = f"{'' if own else '# '}{key} = {_toml(value)}".rstrip()
        yield f"{line:<{_MEANING_AT}} # {field.description}" if field.description else line
    yield from parts


def _usual(section: BaseModel) -> BaseModel:
    # What a method brings along is left to it, so that another one can be put in its place.
    return TrainSection(method=section.method) if isinstance(section, TrainSection) else type(section)()


def _toml(value: Any) -> str:
    # Of numbers, texts and lists, which settings are, JSON and TOML say the same but for DEL.
    return "" if value is None else json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
