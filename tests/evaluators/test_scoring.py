import pytest

from evaluators.meanings import MEANINGS
from evaluators.scoring import default_scorers, score_chain
from steper_core.errors import UserError
from steper_core.records import Chain, Hop, Passage, Question, Retrieved, Score, Step, StopReason, ability_of

TEXTS = {
    "p1": "Ona was born in Morvane.",
    "p2": "The town of Tiv lies elsewhere.",
}
SCORERS = default_scorers({key: Passage(id=key, title="", text=text) for key, text in TEXTS.items()})


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
    chain = chain_of("Ona was born in Morvane.", "So the answer is: Old Morvane", answer="Old Morvane")
    scores = score_chain(chain, ask(), SCORERS)
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
        ("steps_before_error", None): 1.0,
        ("extra_steps", None): 0.0,
        ("premature_answer", None): 0.0,
        ("right_by_wrong_path", None): 0.0,
        ("passage_precision", None): 0.5,
        ("duplicate_share", None): None,
        ("answer_reachable", None): 1.0,
        ("passage_precision", 1): 1.0,
        ("new_passages", 1): 1.0,
        ("duplicate_passages", 1): None,
        ("answer_reachable", 1): 1.0,
        ("passage_precision", 2): 0.0,
        ("new_passages", 2): 1.0,
        ("duplicate_passages", 2): None,
        ("answer_reachable", 2): 1.0,
        ("ungrounded_names", None): 1.0,  # "Old Morvane" is not written anywhere
        ("grounding", 1): 1.0,
        ("grounding", 2): 0.5,
        ("repetition", 1): None,
        ("contradiction", 1): None,
        ("repetition", 2): None,
        ("contradiction", 2): None,
    }
    evaluators = {"answers", "steps", "retrieval", "grounding", "consistency"}
    assert {score.evaluator for score in scores} == {scorer.name for scorer in SCORERS} == evaluators
    assert all(score.question_id == "q" and score.version for score in scores)


@pytest.mark.parametrize("dataset", ["hotpotqa", "2wikimultihopqa", "musique", "worlds"])
def test_no_answer_is_a_wrong_answer(dataset: str) -> None:
    found = values(score_chain(chain_of("Ona was born in Morvane.", ""), ask(dataset), SCORERS))
    assert [found[name, None] for name in ("em", "f1", "acc", "acc_bounded")] == [0.0] * 4
    assert found["acc_text", None] == 1.0


@pytest.mark.parametrize("dataset", ["musique", "worlds"])
def test_whatever_is_unscored_says_why(dataset: str) -> None:
    for score in score_chain(chain_of("Line.", "So the answer is: x", answer="x"), ask(dataset), SCORERS):
        assert (score.value is None) == bool(score.reason)


def test_wrong_input() -> None:
    with pytest.raises(UserError, match="musique"):
        score_chain(chain_of("x"), ask("musik"), SCORERS)
    with pytest.raises(ValueError, match="'other'"):
        score_chain(chain_of("x"), ask().model_copy(update={"id": "other"}), SCORERS)


def test_every_score_is_explained_at_its_levels() -> None:
    chain = chain_of("Ona was born in Morvane.", "So the answer is: x", answer="x")
    given = {(score.name, "chain" if score.step is None else "step") for score in score_chain(chain, ask(), SCORERS)}
    assert given == {(name, level) for name, meaning in MEANINGS.items() for level in meaning.levels}


def test_no_two_evaluators_give_scores_of_one_name() -> None:
    chain = chain_of("Ona was born in Morvane.", "So the answer is: x", answer="x")
    given = {(score.name, score.evaluator) for score in score_chain(chain, ask(), SCORERS)}
    assert len(given) == len({name for name, _ in given})


@pytest.mark.parametrize("answer", ["x", None])
def test_shares_lie_between_0_and_1(answer: str | None) -> None:
    chain = chain_of("Ona was born in Morvane.", "Ona was born in Morvane.", "It is Tor.", "", answer=answer)
    for score in score_chain(chain, ask(), SCORERS):
        if score.value is not None and MEANINGS[score.name].unit == "share":
            assert 0 <= score.value <= 1


def test_only_the_given_scorers_score() -> None:
    scores = score_chain(chain_of("x", answer="x"), ask(), SCORERS[:1])
    assert {score.evaluator for score in scores} == {"answers"}


def test_without_texts_only_what_needs_them_is_unscored() -> None:
    chain = chain_of("Ona was born in Morvane.", "So the answer is: Morvane", answer="Morvane")
    found = values(score_chain(chain, ask(), default_scorers({})))
    assert [found[name, 1] for name in ("answer_reachable", "grounding", "passage_precision")] == [None, None, 1.0]
