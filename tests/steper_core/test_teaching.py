"""The gold teacher's order of hops, and which demonstrations are drawn."""

from __future__ import annotations

import pytest

from steper_core.frameworks import CLOSED_BOOK, IRCOT, RAG
from steper_core.records import Hop, Passage, Question
from steper_core.teaching import GoldWriter, demonstrations_for, next_hop
from steper_core.writers import Completion, StepRequest

P = [Passage.of(f"t{number}", f"text {number}") for number in range(4)]


def hop(number: int, *depends_on: int) -> Hop:
    return Hop(question="?", answer="a", statement=f"Fact {number}.", passage_id=P[number].id, depends_on=depends_on)


def question(*hops: Hop, answer: str = "Tiv", name: str = "q", kind: str = "") -> Question:
    return Question(id=name, dataset="d", text=f"What is {name}?", answer=answer, kind=kind, hops=hops)


def written(asked: Question, lines: list[str], retrieved: list[int], *, forced: bool = False) -> str:
    passages = tuple(P[number] for number in retrieved)
    request = StepRequest(asked, passages, tuple(lines), forced, seed=0)
    (completion,) = GoldWriter().write([request])
    assert completion == Completion(completion.text, 0, 0, 0.0)
    return completion.text


def all_lines(asked: Question, retrieved: list[int]) -> list[str]:
    lines: list[str] = []
    while not lines or not lines[-1].startswith("So the answer is:"):
        lines.append(written(asked, lines, retrieved))
        assert len(lines) < 10
    return lines


@pytest.mark.parametrize(
    ("hops", "retrieved", "order"),
    [
        # Nothing retrieved: in the order given.
        ([hop(0), hop(1), hop(2)], [], [0, 1, 2]),
        # What has been retrieved goes first.
        ([hop(0), hop(1), hop(2)], [2], [2, 0, 1]),
        # A dependency goes before what needs it, wherever it stands and whatever is retrieved.
        ([hop(0, 1), hop(1, 2), hop(2)], [0, 1], [2, 1, 0]),
        ([hop(0), hop(1, 0), hop(2), hop(3, 1, 2)], [2, 3], [2, 0, 1, 3]),
        # Cyclic dependencies of a hostile file, also upon itself, end all the same.
        ([hop(0, 1), hop(1, 0)], [], [0, 1]),
        ([hop(0, 1), hop(1, 0)], [1], [1, 0]),
        ([hop(0, 0), hop(1, 0)], [1], [0, 1]),
        ([], [], []),
    ],
)
def test_hops_are_stated_by_dependency_and_then_by_what_was_retrieved(
    hops: list[Hop], retrieved: list[int], order: list[int]
) -> None:
    expected = [f"Fact {number}." for number in order] + ["So the answer is: Tiv"]
    assert all_lines(question(*hops), retrieved) == expected


def test_a_passage_that_arrives_later_changes_the_order() -> None:
    asked = question(hop(0), hop(1), hop(2))
    assert written(asked, [], [1]) == "Fact 1."
    assert written(asked, ["Fact 1."], [1, 2]) == "Fact 2."


def test_two_hops_that_say_the_same_are_stated_once() -> None:
    twin = hop(0).model_copy(update={"passage_id": P[1].id})
    assert all_lines(question(hop(0), twin), []) == ["Fact 0.", "So the answer is: Tiv"]


def test_a_hop_without_a_passage_waits_for_none() -> None:
    bare = hop(0).model_copy(update={"passage_id": None})
    assert next_hop([bare, hop(1)], [], set()) == bare
    assert next_hop([bare, hop(1)], [], {P[1].id}) == hop(1)


def test_a_forced_gold_teacher_gives_the_answer_alone() -> None:
    asked = question(hop(0), answer="Lake\nTiv")
    assert written(asked, [], [], forced=True) == "Lake Tiv"
    assert written(asked, ["Fact 0."], []) == "So the answer is: Lake Tiv"


def test_a_statement_over_several_lines_is_written_and_recognised_as_one() -> None:
    asked = question(hop(0).model_copy(update={"statement": "Fact\n 0."}), hop(1))
    assert all_lines(asked, []) == ["Fact 0.", "Fact 1.", "So the answer is: Tiv"]


POOL = [question(hop(0), hop(1), name=f"{kind}{number}", kind=kind) for kind in "aab" for number in range(4)] + [
    question(hop(2), name="c0", kind="c"),
    question(name="bare", kind="d"),
]
KNOWN = {passage.id: passage for passage in P}


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (2, 2), (5, 5), (50, 13)])
def test_as_many_demonstrations_as_asked_for_and_possible(count: int, expected: int) -> None:
    assert len(demonstrations_for(POOL, KNOWN, IRCOT, count, seed=0)) == expected


@pytest.mark.parametrize("seed", range(5))
def test_demonstrations_are_of_different_kinds_first_and_have_hops(seed: int) -> None:
    kinds = [demo.question.removeprefix("What is ")[0] for demo in demonstrations_for(POOL, KNOWN, IRCOT, 5, seed)]
    assert set(kinds[:3]) == {"a", "b", "c"}
    assert set(kinds[3:]) == {"a", "b"}


def test_the_same_seed_draws_the_same_and_another_seed_others() -> None:
    drawn = [demonstrations_for(POOL, KNOWN, IRCOT, 4, seed) for seed in (1, 1, 2, 3)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 3


def test_demonstrations_show_what_the_framework_would_write() -> None:
    asked = [question(hop(0), hop(1), hop(0))]
    shown = {each.name: demonstrations_for(asked, KNOWN, each, 1, 0)[0] for each in (IRCOT, RAG, CLOSED_BOOK)}
    assert shown["ircot"].passages == shown["rag"].passages == (P[0], P[1])
    assert shown["ircot"].lines == ("Fact 0.", "Fact 1.", "Fact 0.", "So the answer is: Tiv")
    assert shown["rag"].lines == ("So the answer is: Tiv",)
    assert (shown["closed-book"].passages, shown["closed-book"].lines) == ((), ("So the answer is: Tiv",))


def test_a_gold_passage_outside_the_corpus_is_not_shown() -> None:
    (demonstration,) = demonstrations_for([question(hop(0), hop(1))], {P[1].id: P[1]}, RAG, 1, 0)
    assert demonstration.passages == (P[1],)
