import pytest

from evaluators.alignment import Alignment, AlignStep, align, similarity, steps_of
from steper_core.records import Chain, Hop, Question, Retrieved, Step, StopReason, ability_of

INIT, EXP, AGG = "initialization", "expansion", "aggregation"


def step(
    number: int, ability: str, line: str, passages: str = "", hop: int | None = None, query: str = ""
) -> AlignStep:
    return AlignStep(number, ability, query, line, tuple(passages.split()), hop)


def answer(number: int, text: str = "Tiv") -> AlignStep:
    return step(number, AGG, f"So the answer is: {text}")


def shape(result: Alignment) -> list[tuple[int | None, int | None, str]]:
    return [(pair.a and pair.a.number, pair.b and pair.b.number, pair.change) for pair in result.pairs]


DIRECTOR = "The director of Grey Salt is Ona Brell."
BIRTH = "Ona Brell was born in Tiv."


def test_equal_chains() -> None:
    chain = [step(1, INIT, DIRECTOR, "film", 0), step(2, EXP, BIRTH, "person", 1), answer(3)]
    result = align(chain, chain)
    assert shape(result) == [(1, 1, "equal"), (2, 2, "equal"), (3, 3, "equal")]
    assert result.parted is None


def test_a_detour_is_missing_in_the_other_chain() -> None:
    straight = [step(1, INIT, DIRECTOR, "film", 0), step(2, EXP, BIRTH, "person", 1), answer(3)]
    detour = [
        step(1, INIT, DIRECTOR, "film", 0),
        step(2, EXP, "Grey Salt is a film.", "other"),
        step(3, EXP, BIRTH, "person", 1),
        answer(4),
    ]
    result = align(straight, detour)
    assert shape(result) == [(1, 1, "equal"), (None, 2, "missing in a"), (2, 3, "equal"), (3, 4, "equal")]
    # By the second pair of steps the second chain has one passage more.
    assert result.parted == 2
    assert shape(align(detour, straight))[1] == (2, None, "missing in b")


def test_the_hop_counts_more_than_ability_place_and_words() -> None:
    late = [step(1, INIT, "Grey Salt is a film."), step(2, EXP, "The director is Ona Brell.", "film", 0), answer(3)]
    early = [step(1, INIT, "It was Ona Brell who made it.", "film", 0), step(2, EXP, "Grey Salt is a film."), answer(3)]
    assert (2, 1, "changed") in shape(align(late, early))


def test_many_weaker_pairs_do_not_outweigh_one_hop() -> None:
    a = [step(1, INIT, "x", hop=0), step(2, EXP, "one two"), step(3, EXP, "three four"), answer(4)]
    b = [step(1, INIT, "one two"), step(2, EXP, "three four"), step(3, EXP, "y", hop=0), answer(4)]
    assert (1, 3, "changed") in shape(align(a, b))


def test_steps_that_reach_different_hops_are_no_pair() -> None:
    a = [step(1, INIT, "The director of A is Ona.", "a", 0), answer(2)]
    b = [step(1, INIT, "The director of B is Ona.", "b", 1), answer(2)]
    result = align(a, b)
    assert shape(result) == [(1, None, "missing in b"), (None, 1, "missing in a"), (2, 2, "equal")]
    assert result.parted == 2


def test_hops_taken_in_another_order_keep_both_orders() -> None:
    a = [step(1, INIT, "one", hop=0), step(2, EXP, "two", hop=1), answer(3)]
    b = [step(1, INIT, "two", hop=1), step(2, EXP, "one", hop=0), answer(3)]
    result = align(a, b)
    matched = [pair for pair in result.pairs if pair.a and pair.b and pair.a.hop is not None]
    assert len(matched) == 1 and result.pairs[-1].change == "equal"
    assert [pair.a.number for pair in result.pairs if pair.a] == [1, 2, 3]
    assert [pair.b.number for pair in result.pairs if pair.b] == [1, 2, 3]


def test_words_decide_between_steps_that_reach_nothing() -> None:
    a = [step(1, INIT, "It is a film."), step(2, EXP, "Ona Brell was a painter."), answer(3)]
    b = [
        step(1, INIT, "It is a film."),
        step(2, EXP, "Rivers flow north."),
        step(3, EXP, "Ona Brell was a poet."),
        answer(4),
    ]
    assert shape(align(a, b)) == [(1, 1, "equal"), (None, 2, "missing in a"), (2, 3, "changed"), (3, 4, "equal")]


def test_the_query_helps_where_lines_share_no_word() -> None:
    a = [step(1, INIT, "x", query="Who?"), step(2, EXP, "alpha", query="Where was Ona born?"), answer(3)]
    b = [
        step(1, INIT, "x", query="Who?"),
        step(2, EXP, "beta", query="Which river is it?"),
        step(3, EXP, "gamma", query="Where was Ona born?"),
        answer(4),
    ]
    assert (2, 3, "changed") in shape(align(a, b))


def test_an_answer_line_is_never_paired_with_a_rationale() -> None:
    result = align([answer(1)], [step(1, INIT, "So the answer is Tiv"), answer(2)])
    assert shape(result) == [(None, 1, "missing in a"), (1, 2, "equal")]


def test_steps_with_nothing_in_common_are_no_pair() -> None:
    assert len(align([step(1, INIT, "one")], [step(2, EXP, "two")]).pairs) == 2


def test_other_passages_or_words_are_a_change_and_case_is_not() -> None:
    assert shape(align([step(1, INIT, DIRECTOR, "a b")], [step(1, INIT, DIRECTOR.upper(), "b a")])) == [(1, 1, "equal")]
    other = align([step(1, INIT, DIRECTOR, "a b")], [step(1, INIT, DIRECTOR, "a c")])
    assert (shape(other), other.parted) == ([(1, 1, "changed")], 0)
    assert shape(align([answer(1, "Tiv")], [answer(1, "Morvane")])) == [(1, 1, "changed")]


def test_evidence_counts_as_a_set_up_to_the_pair() -> None:
    """The same passages in another order: parted at the first pair, together again at the second."""
    a = [step(1, INIT, DIRECTOR, "x"), step(2, EXP, BIRTH, "y"), answer(3)]
    b = [step(1, INIT, DIRECTOR, "y"), step(2, EXP, BIRTH, "x"), answer(3)]
    assert align(a, b).parted == 0
    assert align(a, [step(1, INIT, DIRECTOR, "x"), step(2, EXP, BIRTH, "z"), answer(3)]).parted == 1


def test_an_empty_chain() -> None:
    assert align([], []) == Alignment((), None)
    assert shape(align([answer(1)], [])) == [(1, None, "missing in b")]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("The red moor", "a red hill", 0.5), ("", "", 0.0), ("the", "", 0.0), ("x", "", 0.0), ("x x", "x", 2 / 3)],
)
def test_similarity_by_hand(one: str, other: str, expected: float) -> None:
    assert similarity(one, other) == pytest.approx(expected)


def chain_of(*turns: tuple[str, str]) -> Chain:
    """Each turn is (ids of newly retrieved passages, line written)."""
    steps = tuple(
        Step(
            number=number,
            ability=ability_of(number, len(turns)),
            query=f"query {number}",
            retrieved=tuple(Retrieved(passage_id=key, rank=1, score=1.0) for key in passages.split()),
            rationale=line,
            prompt_tokens=0,
            output_tokens=0,
            seconds=0.0,
        )
        for number, (passages, line) in enumerate(turns, start=1)
    )
    return Chain(question_id="q", steps=steps, answer="Tiv", stop_reason=StopReason.ANSWERED)


def question(*hops: tuple[str, str | None, str]) -> Question:
    """Each hop is (statement, sub-answer, passage)."""
    gold = tuple(Hop(question="?", answer=sub, statement=said, passage_id=key) for said, sub, key in hops)
    return Question(id="q", dataset="worlds", text="?", answer="Tiv", hops=gold)


LAST = ("", "So the answer is: Tiv")


def test_steps_carry_the_hop_they_state() -> None:
    gold = question((DIRECTOR, "Ona Brell", "film"), (BIRTH, "Tiv", "person"))
    steps = steps_of(chain_of(("film", "Rain falls."), ("", DIRECTOR), ("person", BIRTH), LAST), gold)
    assert [each.hop for each in steps] == [None, 0, 1, None]
    assert [each.ability for each in steps] == [INIT, EXP, EXP, AGG]
    assert (steps[0].query, steps[0].passage_ids, steps[1].passage_ids) == ("query 1", ("film",), ())


def test_of_hops_with_one_answer_the_words_decide() -> None:
    gold = question(("Film A is from Tiv.", "Tiv", "a"), ("Film B is from Tiv.", "Tiv", "b"))
    steps = steps_of(chain_of(("b", "Film B is from Tiv."), ("a", "Film A is from Tiv."), LAST), gold)
    assert [each.hop for each in steps] == [1, 0, None]


def test_without_sub_answers_the_passage_tells_the_hop() -> None:
    gold = question(("One.", None, "a"), ("Two.", None, "b"))
    steps = steps_of(chain_of(("x b", "Something."), ("a", "Something else."), ("", "More."), LAST), gold)
    assert [each.hop for each in steps] == [1, 0, None, None]


def test_without_hops_no_step_reaches_one() -> None:
    assert [each.hop for each in steps_of(chain_of(("a", "Line."), LAST), question())] == [None, None]
