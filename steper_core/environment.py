"""What a run ran on: versions, hardware, source revision. Recorded with every run."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("steper", "torch", "transformers", "accelerate", "bm25s", "openai", "datasets", "numpy")


def describe_environment() -> tuple[dict[str, str], dict[str, Any], str | None]:
    """Versions of Python and the packages that matter, the hardware, and the git revision of the source."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions, _hardware(), _revision()


def expand_home(name: str) -> Path:
    """The path that a person wrote; `~` or `~user` at its start is that home, or stays where there is none."""
    return Path(os.path.expanduser(name))  # noqa: PTH111 - Path.expanduser raises where nobody has that name


def _hardware() -> dict[str, Any]:
    facts: dict[str, Any] = {"processor": _processor(), "cores": os.cpu_count(), "gpus": _gpus()}
    try:
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        facts["memory_gib"] = round(pages / 2**30, 1)
    except (ValueError, OSError):
        pass
    return facts


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _gpus(drivers: Path = Path("/proc/driver/nvidia/gpus")) -> list[str]:
    """The NVIDIA GPUs of this machine, as their driver tells without being loaded."""
    found = []
    try:
        for file in sorted(drivers.glob("*/information")):
            lines = file.read_text("utf-8", "replace").splitlines()
            found += [line.split(":", 1)[1].strip() for line in lines if line.startswith("Model:")]
    except OSError:
        pass
    return found


def _revision() -> str | None:
    try:
        result = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None
