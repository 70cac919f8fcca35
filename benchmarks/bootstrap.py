"""Bootstrap: a paired comparison as the pages make it against one resample at a time, in one process.

    python benchmarks/bootstrap.py [--questions 10000] [--resamples 10000] [--loop 200]

For 0/1 scores (EM), fractions with few values (F1 of short answers) and fractions that all differ, it prints the
seconds of a comparison, both ways' resamples a second and their ratio; nothing is asserted. The loop draws and averages
one resample after the other with numpy, the other way does all that a comparison reports.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import numpy as np

from evaluators.resampling import Values
from evaluators.significance import paired
from steper_core.environment import describe_environment

ROUNDS = 3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=10_000)
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--loop", type=int, default=200, help="resamples that the plain loop is timed with")
    options = parser.parse_args()
    _, hardware, _ = describe_environment()
    print(
        f"{hardware['processor']}, {os.cpu_count()} cores; "
        f"{options.resamples:,} resamples over {options.questions:,} questions, median of {ROUNDS} rounds"
    )
    print(f"{'scores':24} {'seconds':>8} {'resamples/s':>12} {'plain loop/s':>13} {'ratio':>6}")
    for name, (a, b) in scores(options.questions).items():
        compare, loop = comparison(a, b, options.resamples), plain_loop(a, b, options.loop)
        rounds = [(seconds(compare), seconds(loop)) for _ in range(ROUNDS)]
        taken = statistics.median(ours for ours, _ in rounds)
        rate = options.resamples / taken
        plain = options.loop / statistics.median(theirs for _, theirs in rounds)
        print(f"{name:24} {taken:8.2f} {rate:12,.0f} {plain:13,.0f} {rate / plain:6.1f}")


def scores(questions: int) -> dict[str, tuple[Values, Values]]:
    """Made-up scores of two systems on the same questions."""
    rng = np.random.default_rng(0)
    right = rng.random((2, questions)) < [[0.30], [0.35]]
    return {
        "0/1": (right[0].astype(np.float64), right[1].astype(np.float64)),
        "fractions of 12": (rng.integers(13, size=questions) / 12, rng.integers(13, size=questions) / 12),
        "all different": (rng.random(questions), rng.random(questions)),
    }


def comparison(a: Values, b: Values, resamples: int) -> Callable[[], None]:
    """A whole paired comparison."""

    def run() -> None:
        paired(a, b, resamples=resamples)

    return run


def plain_loop(a: Values, b: Values, resamples: int) -> Callable[[], None]:
    """The bootstrap as it is written down: draw questions, average, again."""

    def run() -> None:
        rng = np.random.default_rng(0)
        differences = b - a
        means = [differences[rng.integers(len(a), size=len(a))].mean() for _ in range(resamples)]
        np.percentile(means, [2.5, 97.5])

    return run


def seconds(work: Callable[[], None]) -> float:
    """How long a piece of work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
