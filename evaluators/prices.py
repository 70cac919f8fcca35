"""What a model's tokens cost, from a table that users edit. An unknown price is None, never a guess."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from evaluators.tables import parse_table
from steper_core.errors import UserError

_MILLION = 1_000_000


class Price(BaseModel):
    """US dollars a million tokens of prompt and of output, and when that was so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False)
    as_of: str = ""

    def cost(self, prompt_tokens: int, output_tokens: int) -> float:
        """US dollars for so many tokens."""
        return (prompt_tokens * self.prompt + output_tokens * self.output) / _MILLION


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    models: dict[str, Price] = Field(default_factory=dict)


def price_of(model: str, file: Path | None = None) -> Price | None:
    """The price of a model by its exact name, from a file or from the table that comes with the package.

    Raises:
        UserError: the file cannot be read, is no TOML, or has an unknown key or a wrong value.
    """
    if file is None:
        source, text = "prices.toml", (resources.files("evaluators") / "prices.toml").read_text("utf-8")
    else:
        source = str(file)
        try:
            text = file.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{file} is no readable table of prices") from error
    return parse_table(source, text, _Table, Price).models.get(model)
