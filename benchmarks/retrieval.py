"""BM25: our two-field search against bm25s itself on one field, on a generated corpus, in one process.

    python benchmarks/retrieval.py [--passages 20000] [--queries 2000]

Prints queries a second of each and their ratio; nothing is asserted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import bm25s
import Stemmer

from steper_core.environment import describe_environment
from steper_core.retrieval import Retriever
from steper_core.worlds import WorldConfig, generate

TOP_K = 4
ROUNDS = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=2_000)
    options = parser.parse_args()
    config = WorldConfig(
        passages=options.passages, train_questions=options.queries, held_out_questions=0, test_questions=0
    )
    world = generate(config)
    queries = [question.text for question in world.train]
    started = time.perf_counter()
    retriever = Retriever.build(world.passages)
    built = time.perf_counter() - started
    stemmer = Stemmer.Stemmer("english")
    plain = bm25s.BM25(method="lucene", backend="numba")
    texts = [f"{passage.title} {passage.text}" for passage in world.passages]
    plain.index(bm25s.tokenize(texts, stopwords="english", stemmer=stemmer, show_progress=False), show_progress=False)

    def ours() -> None:
        retriever.search(queries, TOP_K, [()] * len(queries))

    def theirs() -> None:
        tokens = bm25s.tokenize(queries, stopwords="english", stemmer=stemmer, show_progress=False, return_ids=False)
        plain.retrieve(tokens, k=TOP_K, show_progress=False)

    ours()
    theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(ROUNDS)]
    _, hardware, _ = describe_environment()
    print(
        f"{hardware['processor']}, {os.cpu_count()} cores; {len(texts):,} passages, {len(queries):,} queries, k={TOP_K}"
    )
    print(f"index of two fields built in {built:.1f} s")
    for name, place in (("title + text summed (ours)", 0), ("bm25s, one concatenated field", 1)):
        print(f"{name:32} {len(queries) / statistics.median(pair[place] for pair in pairs):10,.0f} queries/s")
    print(f"{'ours over theirs, seconds':32} {statistics.median(a / b for a, b in pairs):10.2f}")


def seconds(work: Callable[[], None]) -> float:
    """How long a piece of work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
