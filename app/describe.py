"""`steper data describe`: what files hold, before anything is run on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from app.console import Console
from steper_core.datasets import Dataset, find_splits, merge, read_answered, read_corpus

_PROBLEMS_SHOWN = 10


def describe_sources(sources: Sequence[str], console: Console) -> None:
    """Print a table of the datasets in these sources, and the rows at fault.

    Raises:
        UserError: a source that cannot be read at all.
    """
    splits = find_splits([source if source.startswith("hub:") else Path(source) for source in sources])
    read_parts: list[tuple[str, str, Dataset]] = []
    for role, part in (("training", splits.train), ("evaluation", splits.evaluation)):
        found, remarks = read_answered(part)
        read_parts += [(role, str(source), dataset) for source, dataset in found]
        for remark in remarks:
            console.warn(remark)
    rows = [[name, role, *_facts(dataset)] for role, name, dataset in read_parts]
    header = ["source", "split", "format", "questions", "kinds", "hops", "passages", "rows at fault"]
    console.table("datasets", header, rows)
    corpora = [read_corpus(path) for path in splits.corpus]
    console.say(f"corpus: {len(merge([part for _, _, part in read_parts], corpora)):,} distinct passages")
    for _, _, dataset in read_parts:
        for problem in dataset.problems[:_PROBLEMS_SHOWN]:
            console.warn(str(problem))
        if len(dataset.problems) > _PROBLEMS_SHOWN:
            console.warn(f"{len(dataset.problems) - _PROBLEMS_SHOWN} more rows at fault")


def _facts(dataset: Dataset) -> list[str]:
    kinds = Counter(question.kind or "?" for question in dataset.questions)
    hops = Counter(len(question.hops) for question in dataset.questions)
    return [
        dataset.name,
        f"{len(dataset.questions):,}",
        ", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common()),
        ", ".join(f"{count} hops {times:,}" for count, times in sorted(hops.items())),
        f"{len(dataset.passages):,}",
        f"{len(dataset.problems):,}",
    ]
