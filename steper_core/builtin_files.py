"""Recipes, studies and rubrics: TOML files that come with a package, and a user's own beside them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from steper_core.errors import UserError


@dataclass(frozen=True)
class BuiltinFiles:
    """Files of one kind ("recipe", "label rubric") in a folder of a package."""

    kind: str
    package: str
    folder: str

    def names(self) -> tuple[str, ...]:
        """Names of the files that come with the package."""
        files = (resources.files(self.package) / self.folder).iterdir()
        return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))

    def text(self, name: str) -> str:
        """A built-in file as it stands: a start for one's own."""
        return (resources.files(self.package) / self.folder / f"{name}.toml").read_text("utf-8")

    def read(self, name: str) -> tuple[str, str]:
        """What to call a file in messages, and its text; a name that is not built in is a path.

        Raises:
            UserError: neither the one nor the other.
        """
        known = self.names()
        if name in known:
            return f"{self.kind} {name}", self.text(name)
        try:
            return name, Path(name).read_text("utf-8-sig")
        except (OSError, ValueError) as error:
            raise UserError(
                f"{name} is neither a readable TOML file nor a built-in {self.kind} ({', '.join(known)})"
            ) from error
