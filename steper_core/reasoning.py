"""Drives chains: retrieve, let the writer write one line, decide whether the chain ends; many chains in lockstep."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from steper_core.frameworks import Framework
from steper_core.prompts import answer_line, parse_line
from steper_core.records import Chain, Question, Step, StopReason, ability_of
from steper_core.retrieval import Hits, Retriever
from steper_core.writers import Completion, StepRequest, StepWriter


@dataclass(frozen=True)
class ReasoningSettings:
    """K and what becomes of passages retrieved before, S, and the number of chains that advance together."""

    top_k: int
    max_steps: int
    window: int
    seed: int = 0
    refill: bool = True


def reason(
    questions: Sequence[Question],
    *,
    framework: Framework,
    writer: StepWriter,
    retriever: Retriever,
    settings: ReasoningSettings,
    done: Collection[str] = frozenset(),
) -> Iterator[Chain]:
    """Answer questions step by step, yielding each chain as it ends.

    Windows of the question list advance in lockstep. A window that holds any question not in `done` is computed whole
    and only the missing chains are yielded: every batch is then the same as in an uninterrupted run, and so is every
    chain, to the last rounding.
    """
    for window in windows_left(questions, done, settings.window):
        for chain in _advance(window, framework, writer, retriever, settings):
            if chain.question_id not in done:
                yield chain


def windows_left(questions: Sequence[Question], done: Collection[str], size: int) -> list[Sequence[Question]]:
    """The windows of `size` questions that are still to be computed: those with any question not in `done`."""
    windows = (questions[start : start + size] for start in range(0, len(questions), size))
    return [window for window in windows if any(question.id not in done for question in window)]


@dataclass
class _Draft:
    """A chain under construction: its turns so far, whose abilities are known only when it ends."""

    question: Question
    turns: list[tuple[str, Hits, str, Completion]]

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(line for _, _, line, _ in self.turns)

    @property
    def passage_ids(self) -> list[str]:
        return [hit.passage_id for _, hits, _, _ in self.turns for hit in hits.fresh]


def _advance(
    questions: Sequence[Question],
    framework: Framework,
    writer: StepWriter,
    retriever: Retriever,
    settings: ReasoningSettings,
) -> Iterator[Chain]:
    active = [_Draft(question, []) for question in questions]
    last_step = framework.last_step(settings.max_steps)
    for number in range(1, last_step + 1):
        queries = [framework.query(draft.question, draft.lines) for draft in active]
        top_k = framework.passages_at(number, settings.top_k)
        seen = [set(draft.passage_ids) for draft in active]
        found = retriever.search(queries, top_k, seen, refill=settings.refill) if top_k else [Hits() for _ in active]
        forced = number == last_step
        requests = [
            StepRequest(
                question=draft.question,
                passages=tuple(
                    retriever.passages[key] for key in draft.passage_ids + [hit.passage_id for hit in hits.fresh]
                ),
                rationales=draft.lines,
                force_answer=forced,
                seed=step_seed(settings.seed, draft.question.id, number),
            )
            for draft, hits in zip(active, found, strict=True)
        ]
        still_active = []
        for draft, query, hits, done in zip(active, queries, found, writer.write(requests), strict=True):
            line, answer = parse_line(done.text)
            if forced and answer is None:
                line, answer = parse_line(answer_line(done.text.lstrip()))
            draft.turns.append((query, hits, "" if done.problem else line, done))
            if done.problem:
                yield _finish(draft, None, StopReason(done.problem))
            elif answer is not None:
                yield _finish(draft, answer, StopReason.FORCED if forced else StopReason.ANSWERED)
            else:
                still_active.append(draft)
        active = still_active
        if not active:
            return


def step_seed(seed: int, question_id: str, number: int) -> int:
    """The sampling seed of one step: the same whenever and in whatever batch it is computed."""
    digest = hashlib.blake2b(f"{seed}:{question_id}:{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def _finish(draft: _Draft, answer: str | None, reason: StopReason) -> Chain:
    steps = tuple(
        Step(
            number=number,
            ability=ability_of(number, len(draft.turns)),
            query=query,
            retrieved=hits.fresh,
            rationale=line,
            prompt_tokens=done.prompt_tokens,
            output_tokens=done.output_tokens,
            seconds=round(done.seconds, 4),
            duplicates=hits.duplicates,
            cut=done.cut,
        )
        for number, (query, hits, line, done) in enumerate(draft.turns, start=1)
    )
    return Chain(question_id=draft.question.id, steps=steps, answer=answer, stop_reason=reason)
