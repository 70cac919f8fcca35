"""Teaching: the gold teacher, demonstrations, and which chains are kept as training data."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

from steper_core.frameworks import Framework
from steper_core.prompts import Demonstration, answer_line
from steper_core.records import Chain, Hop, Passage, Question
from steper_core.texts import one_line
from steper_core.writers import Completion, StepRequest

KeepRule = Callable[[Question, Chain], str | None]
"""Why a chain is not kept, in a few words; None to keep it. The rules that need metrics are composed in `app`."""


@dataclass(frozen=True)
class GoldWriter:
    """The gold teacher: states the question's gold hops one a line, with real retrieval, then answers.

    Of the hops not stated yet whose dependencies are stated, it takes the first whose passage has been retrieved, else
    the first. It costs no model, and marks the ceiling that retrieval allows.
    """

    def write(self, requests: Sequence[StepRequest]) -> list[Completion]:
        """The next hop's statement, or the answer line once all hops are stated."""
        return [self._write(request) for request in requests]

    def _write(self, request: StepRequest) -> Completion:
        if request.force_answer:
            return Completion(one_line(request.question.answer), 0, 0, 0.0)
        hop = next_hop(request.question.hops, request.rationales, {passage.id for passage in request.passages})
        line = answer_line(request.question.answer) if hop is None else hop.statement
        return Completion(one_line(line), 0, 0, 0.0)


def next_hop(hops: Sequence[Hop], lines: Sequence[str], retrieved: Set[str]) -> Hop | None:
    """The hop the gold teacher states next; None when all are stated."""
    stated = {place for place, hop in enumerate(hops) if one_line(hop.statement) in lines}
    ready = [
        hop
        for place, hop in enumerate(hops)
        if place not in stated and all(needed in stated for needed in hop.depends_on if needed != place)
    ]
    # Cyclic dependencies in a hostile file leave nothing ready: state the rest in their order then.
    ready = ready or [hop for place, hop in enumerate(hops) if place not in stated]
    return next((hop for hop in ready if hop.passage_id in retrieved), ready[0] if ready else None)


def demonstrations_for(
    questions: Sequence[Question], passages: dict[str, Passage], framework: Framework, count: int, seed: int
) -> tuple[Demonstration, ...]:
    """Worked examples from training questions for prompts of a framework, chosen by `seed`, of different kinds first.

    Each shows its gold passages (none closed-book) and the lines the framework would write.
    """
    pool = [question for question in questions if question.hops]
    random.Random(seed).shuffle(pool)  # noqa: S311 - sampling, no secrets
    kinds_seen: dict[str, int] = {}
    rank = []
    for question in pool:
        kinds_seen[question.kind] = kinds_seen.get(question.kind, 0) + 1
        rank.append(kinds_seen[question.kind])
    chosen = [question for _, question in sorted(zip(rank, pool, strict=True), key=lambda pair: pair[0])][:count]
    return tuple(
        Demonstration(
            question=question.text,
            passages=tuple(passages[key] for key in question.gold_passage_ids if key in passages)
            if framework.retrieves
            else (),
            lines=(*_statements(question, framework), answer_line(one_line(question.answer))),
        )
        for question in chosen
    )


def _statements(question: Question, framework: Framework) -> tuple[str, ...]:
    return tuple(one_line(hop.statement) for hop in question.hops) if framework.iterates else ()
