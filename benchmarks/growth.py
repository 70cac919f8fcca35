"""How seconds and memory of training a chain grow with its steps and with the passages of a step.

    python benchmarks/growth.py [--model FOLDER] [--chains 1] [--steps 1-8] [--top-k 1,4,7,10]

S = 1..8 at K = 4 and K = 1..10 at S = 5, passages of 100 tokens, each point in a process of its own as
`benchmarks/training.py` measures it: step-tree packing beside a row an example. Prints tables and charts in markdown.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from steper_core.environment import describe_environment

CONTENDERS = {"packed": "steper", "a row an example": "steper, a row an example"}
STEPS, TOP_K = 5, 4
GIB = 2**30

Point = dict[str, float]


def main() -> None:
    """Measure both series and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="SmolLM2-135M-Instruct")
    parser.add_argument("--chains", type=int, default=1, help="chains timed a point, after one that warms up")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--steps", type=_places, default=_places("1-8"), help="like 1-8 or 1,4,8")
    parser.add_argument("--top-k", type=_places, default=_places("1-10"))
    options = parser.parse_args()
    versions, hardware, _ = describe_environment()
    print(f"{hardware}; torch {versions['torch']}, transformers {versions['transformers']}; {options.dtype}\n")
    report("S", f"K = {TOP_K}", options.steps, [measure(options, steps, TOP_K) for steps in options.steps])
    report("K", f"S = {STEPS}", options.top_k, [measure(options, STEPS, top_k) for top_k in options.top_k])


def measure(options: argparse.Namespace, steps: int, top_k: int) -> dict[str, Point]:
    """Seconds, tokens and bytes of each contender at one point."""
    script = Path(__file__).with_name("training.py")
    size = ["--model", options.model, "--chains", str(options.chains), "--dtype", options.dtype]
    found = {}
    for name, contender in CONTENDERS.items():
        own = [sys.executable, str(script), "--contender", contender, *size, "--steps", str(steps)]
        done = subprocess.run([*own, "--top-k", str(top_k)], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{name}, S = {steps}, K = {top_k}: {done.stderr[-2000:]}")
        found[name] = json.loads(done.stdout.splitlines()[-1])
        print(f"S = {steps}, K = {top_k}, {name}: {found[name]['seconds']:.2f} s", file=sys.stderr)
    return found


def report(axis: str, fixed: str, places: Sequence[int], points: Sequence[dict[str, Point]]) -> None:
    """A table and two charts over one axis."""
    heads = [f"{what}, {name}" for what in ("tokens", "seconds", "GiB") for name in CONTENDERS]
    print(f"## {axis} at {fixed}\n\n| {axis} | {' | '.join(heads)} | times as long |")
    print("| ---: " * (len(heads) + 2) + "|")
    for place, point in zip(places, points, strict=True):
        cells = [
            *(f"{point[name]['tokens']:,.0f}" for name in CONTENDERS),
            *(f"{point[name]['seconds']:.2f}" for name in CONTENDERS),
            *(f"{point[name]['memory'] / GIB:.2f}" for name in CONTENDERS),
            f"{point['a row an example']['seconds'] / point['packed']['seconds']:.1f}",
        ]
        print(f"| {place} | {' | '.join(cells)} |")
    for what, key, unit in (("seconds a chain", "seconds", 1), ("peak memory, GiB", "memory", GIB)):
        print(f"\n{what}: the lower line is packed\n\n```mermaid\nxychart-beta")
        print(f'    x-axis "{axis}" {places}\n    y-axis "{what}"')
        for name in CONTENDERS:
            print(f"    line {[round(point[name][key] / unit, 2) for point in points]}")
        print("```")
    print()


def _places(text: str) -> list[int]:
    spans = [part.partition("-") for part in text.split(",")]
    return [place for first, _, last in spans for place in range(int(first), int(last or first) + 1)]


if __name__ == "__main__":
    main()
