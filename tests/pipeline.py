"""Running the real pipeline small: the command in a process of its own, on a tiny world with a tiny model."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

OVERRIDES = (
    "worlds.passages=60",
    "worlds.train_questions=10",
    "worlds.held_out_questions=3",
    "worlds.test_questions=9",
    "reasoning.max_new_tokens=8",
    "reasoning.window=4",
    "student.demonstrations=1",
    "student.batch_size=4",
    "student.dtype=float32",
    "student.device=cpu",
    "train.dtype=float32",
    "train.max_length=2048",
    "train.checkpoints_per_epoch=2",
)


def demo_command(runs: Path, model: Path, *more: str) -> list[str]:
    """`steper demo` without the dashboard, on a model folder."""
    settings = [f"student.model={model}", *OVERRIDES, *more]
    options = [part for setting in settings for part in ("-s", setting)]
    return [sys.executable, "-m", "app", "demo", "--no-app", "--runs", str(runs), *options]


def environment(runs: Path) -> dict[str, str]:
    """The environment of a command: its own database, no network."""
    return {**os.environ, "STEPER_DATABASE_URL": f"sqlite:///{runs / 'steper.db'}", "HF_HUB_OFFLINE": "1"}


def run_demo(runs: Path, model: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run the demo to its end."""
    return subprocess.run(
        demo_command(runs, model, *more),
        env=environment(runs),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
