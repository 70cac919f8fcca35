"""Chains and questions written by hand, whose scores can be worked out on paper."""

from __future__ import annotations

from collections.abc import Sequence

from evaluators.values import Measure
from steper_core.records import Chain, Hop, Passage, Question, Retrieved, Step, StopReason, ability_of

FILM = Passage(id="film", title="Grey Salt", text="Grey Salt is a 1990 drama film directed by Ona Brell.")
PERSON = Passage(id="person", title="Ona Brell", text="Ona Brell (born 9 June 1956) is a director from Morvane.")
OTHER = Passage(id="other", title="Red Moor", text="Red Moor is a film by Tor Vask. It has 12,000 extras.")
PASSAGES = {passage.id: passage for passage in (FILM, PERSON, OTHER)}

HOPS = (
    Hop(
        question="Who directed Grey Salt?",
        answer="Ona Brell",
        statement="The director of Grey Salt is Ona Brell.",
        passage_id="film",
    ),
    Hop(
        question="Where was Ona Brell born?",
        answer="Morvane",
        statement="Ona Brell was born in Morvane.",
        passage_id="person",
        depends_on=(0,),
    ),
)
DIRECTED = "The director of Grey Salt is Ona Brell."
BORN = "Ona Brell was born in Morvane."


def ask(
    *golds: str, hops: Sequence[Hop] = HOPS, text: str = "Where was the director born?", dataset: str = "worlds"
) -> Question:
    """A question with these gold answers ("Morvane" if none is given)."""
    answer, *aliases = golds or ("Morvane",)
    return Question(id="q", dataset=dataset, text=text, answer=answer, aliases=tuple(aliases), hops=tuple(hops))


def follow(
    *turns: tuple[str, str],
    answer: str | None = "Morvane",
    stop: StopReason = StopReason.ANSWERED,
    duplicates: Sequence[int | None] = (),
) -> Chain:
    """A chain of turns (ids of newly retrieved passages, line written); an answer line follows them."""
    lines = [*turns, ("", "" if answer is None else f"So the answer is: {answer}")]
    known = [*duplicates, *[None] * len(lines)]
    steps = tuple(
        Step(
            number=number,
            ability=ability_of(number, len(lines)),
            query="",
            retrieved=tuple(
                Retrieved(passage_id=key, rank=rank, score=1.0) for rank, key in enumerate(passages.split(), start=1)
            ),
            rationale=line,
            prompt_tokens=0,
            output_tokens=0,
            seconds=0.0,
            duplicates=known[number - 1],
        )
        for number, (passages, line) in enumerate(lines, start=1)
    )
    return Chain(question_id="q", steps=steps, answer=answer, stop_reason=stop)


def of_steps(measures: Sequence[Measure], name: str) -> list[float | str | None]:
    """The values of a score of the steps, with the reason in the place of a missing one."""
    return [_shown(measure) for measure in measures if measure.name == name and measure.step is not None]


def of_chain(measures: Sequence[Measure], name: str) -> float | str | None:
    """The value of a score of the chain, or the reason why there is none."""
    (measure,) = [measure for measure in measures if measure.name == name and measure.step is None]
    return _shown(measure)


def _shown(measure: Measure) -> float | str | None:
    assert (measure.value.value is None) == bool(measure.value.reason)
    return measure.value.value if measure.value.value is not None else measure.value.reason
