"""Two chains laid side by side by what their steps do, so that steps that correspond share a line."""

from __future__ import annotations

import dataclasses

from db.queries import ChainView, QuestionView
from evaluators.alignment import Alignment, align, steps_of
from steper_core.records import Ability, Chain, Hop, Question, Retrieved, Step, StopReason

_MARKS = {"equal": "equal", "changed": "changed", "missing in a": "only here", "missing in b": "only here"}


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a step stands: its line (from 0), how it compares with the step beside it, whether evidence parts here."""

    row: int
    mark: str
    parted: bool


@dataclasses.dataclass(frozen=True)
class Layout:
    """The places of a chain's steps by their number, and the lines on which it has none."""

    places: dict[int, Place]
    gaps: tuple[int, ...]


def lay_out(view: QuestionView) -> tuple[Layout, ...]:
    """A layout for each chain: aligned where there are two, one step below the other in any other case."""
    chains = [chain for chain in view.chains if chain is not None]
    if len(view.chains) == 2 and len(chains) == 2:
        question = _question(view)
        found = align(*(steps_of(_chain(chain, question.id), question) for chain in chains))
        return _aligned(found, first=True), _aligned(found, first=False)
    return tuple(_plain(chain) for chain in view.chains)


def _aligned(found: Alignment, *, first: bool) -> Layout:
    places, gaps = {}, []
    for row, pair in enumerate(found.pairs):
        step = pair.a if first else pair.b
        if step is None:
            gaps.append(row)
        else:
            places[step.number] = Place(row, _MARKS[pair.change], row == found.parted)
    return Layout(places, tuple(gaps))


def _plain(chain: ChainView | None) -> Layout:
    steps = chain.steps if chain else ()
    return Layout({step.number: Place(row, "", False) for row, step in enumerate(steps)}, ())


def _question(view: QuestionView) -> Question:
    hops = (
        Hop(
            question=hop.question,
            answer=hop.answer,
            statement=hop.statement,
            passage_id=hop.passage_id,
            depends_on=hop.depends_on,
        )
        for hop in view.hops
    )
    return Question(id=view.key, dataset=view.dataset, text=view.text, answer=view.answer, hops=tuple(hops))


def _chain(view: ChainView, question_id: str) -> Chain:
    steps = (
        Step(
            number=step.number,
            ability=Ability(step.ability),
            query=step.query,
            retrieved=tuple(Retrieved(passage_id=p.id, rank=p.rank, score=p.score) for p in step.passages),
            rationale=step.rationale,
            prompt_tokens=step.prompt_tokens,
            output_tokens=step.output_tokens,
            seconds=step.seconds,
        )
        for step in view.steps
    )
    stop = StopReason(view.stop_reason)
    return Chain(question_id=question_id, steps=tuple(steps), answer=view.answer, stop_reason=stop)
