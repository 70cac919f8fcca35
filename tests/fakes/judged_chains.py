"""Questions, chains and runs to be judged: invented, small, and of every shape that matters."""

from __future__ import annotations

from pathlib import Path

from steper_core.records import Chain, Hop, Passage, Question, Retrieved, Step, StopReason, ability_of
from steper_core.run_records import RunKind
from steper_core.rundir import RunDir, open_run

LAKE = Passage.of("Lake Tiv", "Lake Tiv lies in Orvale.")
TOWN = Passage.of("Orvale", "Orvale is a town in Morland.")
PASSAGES = {passage.id: passage for passage in (LAKE, TOWN)}


def question(key: str = "q", *, hops: int = 2, sub_answers: bool = True, text: str = "Where is Lake Tiv?") -> Question:
    made = tuple(
        Hop(
            question=f"Sub-question {number}?",
            answer=f"part {number}" if sub_answers else None,
            statement=f"Part {number}.",
            passage_id=LAKE.id,
        )
        for number in range(1, hops + 1)
    )
    return Question(id=key, dataset="worlds", text=text, answer="Morland", aliases=("The Morland",), hops=made)


def chain(*lines: str, key: str = "q", answer: str | None = "Morland") -> Chain:
    """A chain that finds a passage at each of its first two steps."""
    found = ((LAKE,), (TOWN,))
    steps = tuple(
        Step(
            number=number,
            ability=ability_of(number, len(lines)),
            query=f"query {number}",
            retrieved=tuple(
                Retrieved(passage_id=passage.id, rank=1, score=1.0)
                for passage in (found[number - 1] if number <= len(found) else ())
            ),
            rationale=line,
            prompt_tokens=0,
            output_tokens=0,
            seconds=0.0,
        )
        for number, line in enumerate(lines, start=1)
    )
    return Chain(question_id=key, steps=steps, answer=answer, stop_reason=StopReason.ANSWERED)


THREE_LINES = ("Lake Tiv lies in Orvale.", "Orvale is in Morland.", "So the answer is: Morland")


def write_run(folder: Path, chains: list[Chain], questions: list[Question] | None = None) -> RunDir:
    """A finished evaluate run with these chains."""
    with open_run(
        folder, kind=RunKind.EVALUATE, config={"name": folder.name}, dataset="worlds", model="student"
    ) as run:
        run.write_questions(questions or [question(each.question_id) for each in chains])
        run.append_passages(PASSAGES.values())
        run.append_chains(chains)
    return RunDir(folder)
