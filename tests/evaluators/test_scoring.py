import pytest

from evaluators.scoring import SCORERS, score_chain
from steper_core.errors import UserError
from steper_core.records import Chain, Hop, Question, Retrieved, Score, Step, StopReason, ability_of


def ask(dataset: str = "worlds") -> Question:
    hop = Hop(question="Where was Ona born?", answer="Morvane", statement="Ona was born in Morvane.", passage_id="p1")
    return Question(id="q", dataset=dataset, text="?", answer="Morvane", aliases=("Old Morvane",), hops=(hop,))


def chain_of(*rationales: str, answer: str | None = None) -> Chain:
    steps = tuple(
        Step(
            number=number,
            ability=ability_of(number, len(rationales)),
            query="",
            retrieved=(Retrieved(passage_id=f"p{number}", rank=1, score=1.0),),
            rationale=line,
            prompt_tokens=0,
            output_tokens=0,
            seconds=0.0,
        )
        for number, line in enumerate(rationales, start=1)
    )
    reason = StopReason.REFUSED if answer is None else StopReason.ANSWERED
    return Chain(question_id="q", steps=steps, answer=answer, stop_reason=reason)


def values(scores: list[Score]) -> dict[tuple[str, int | None], float | None]:
    return {(score.name, score.step): score.value for score in scores}


def test_a_good_chain() -> None:
    chain = chain_of("Ona was born in Morvane.", "So the answer is: old Morvane", answer="old Morvane")
    scores = score_chain(chain, ask())
    assert values(scores) == {
        ("em", None): 1.0,
        ("f1", None): 1.0,
        ("precision", None): 1.0,
        ("recall", None): 1.0,
        ("acc", None): 1.0,
        ("acc_bounded", None): 1.0,
        ("acc_text", None): 1.0,
        ("gold_recall", None): 1.0,
        ("hops_reached", None): 1.0,
        ("gold_passage", 1): 1.0,
        ("sub_answer", 1): 1.0,
        ("gold_recall", 1): 1.0,
        ("gold_passage", 2): None,
        ("sub_answer", 2): None,
        ("gold_recall", 2): 1.0,
    }
    assert {score.evaluator for score in scores} == {scorer.name for scorer in SCORERS} == {"answers", "steps"}
    assert all(score.question_id == "q" and score.version for score in scores)


@pytest.mark.parametrize("dataset", ["hotpotqa", "2wikimultihopqa", "musique", "worlds"])
def test_no_answer_is_a_wrong_answer(dataset: str) -> None:
    found = values(score_chain(chain_of("Ona was born in Morvane.", ""), ask(dataset)))
    assert [found[name, None] for name in ("em", "f1", "acc", "acc_bounded")] == [0.0] * 4
    assert found["acc_text", None] == 1.0


@pytest.mark.parametrize("dataset", ["musique", "worlds"])
def test_whatever_is_unscored_says_why(dataset: str) -> None:
    for score in score_chain(chain_of("Line.", "So the answer is: x", answer="x"), ask(dataset)):
        assert (score.value is None) == bool(score.reason)


def test_wrong_input() -> None:
    with pytest.raises(UserError, match="musique"):
        score_chain(chain_of("x"), ask("musik"))
    with pytest.raises(ValueError, match="'other'"):
        score_chain(chain_of("x"), ask().model_copy(update={"id": "other"}))
