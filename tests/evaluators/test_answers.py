import dataclasses
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.answers import RULES, acc_text, contains, normalise, normalise_all, score_answer, score_answers
from steper_core.errors import UserError
from steper_core.records import Ability, Chain, Step, StopReason

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "answers.jsonl"

ANSWERS = st.one_of(st.sampled_from(["yes", "no", "noanswer", "the", "", "a lake", "lake tiv"]), st.text(max_size=20))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Lake,\tof an A.", "lake of"),
        ("theatre an-other", "theatre another"),
        ("T.H.E.", ""),
        ("Ümlaut – “x”", "ümlaut – “x”"),
        ("!!", ""),
        ("an the a ant", "ant"),
        ("“the” – the–sea", "“ ” – –sea"),
        ("snake_case", "snakecase"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
        ("\x1fa\x01the\x01", "\x01 \x01"),
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalise(text) == expected


def test_partial_overlap_by_hand() -> None:
    # said: big lake tiv tiv; gold: lake tiv west -> 2 shared, precision 2/4, recall 2/3
    score = score_answer("Big lake Tiv, Tiv", ["the Lake Tiv West"], "hotpotqa")
    assert (score.em, score.precision, score.recall) == (0.0, 0.5, pytest.approx(2 / 3))
    assert score.f1 == pytest.approx(4 / 7)
    assert (score.acc, score.acc_bounded) == (0.0, 0.0)


def test_each_figure_is_the_best_by_itself() -> None:
    # "tiv": precision 1/2, recall 1; "big lake of tiv now": precision 1, recall 2/5
    score = score_answer("lake tiv", ["tiv", "big lake of tiv now"], "2wikimultihopqa")
    assert (score.precision, score.recall) == (1.0, 1.0)
    assert score.f1 == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("rules", "prediction", "gold", "em", "f1"),
    [
        ("hotpotqa", "no, never", "no", 0.0, 0.0),
        ("2wikimultihopqa", "no, never", "no", 0.0, 0.0),
        ("worlds", "no, never", "no", 0.0, 0.0),
        ("musique", "no, never", "no", 0.0, 2 / 3),
        ("hotpotqa", "noanswer", "noanswer given", 0.0, 0.0),
        ("hotpotqa", "The YES.", "yes", 1.0, 1.0),
        ("hotpotqa", "", "the", 1.0, 0.0),
        ("musique", "", "the", 1.0, 1.0),
        ("musique", "", "lake", 0.0, 0.0),
        ("musique", "lake", "the", 0.0, 0.0),
    ],
)
def test_where_the_scripts_differ(rules: str, prediction: str, gold: str, em: float, f1: float) -> None:
    score = score_answer(prediction, [gold], rules)
    assert (score.em, score.f1) == (em, pytest.approx(f1))


def test_musique_has_no_precision_and_recall() -> None:
    score = score_answer("lake", ["lake"], "musique")
    assert (score.precision, score.recall) == (None, None)


@pytest.mark.parametrize(
    ("prediction", "gold", "acc", "acc_bounded"),
    [
        ("It is unknown", "no", 1.0, 0.0),
        ("It is no secret", "no", 1.0, 1.0),
        ("It is Lake-Tiv", "lake tiv", 0.0, 0.0),
        ("in 1999", "199", 1.0, 0.0),
        ("lake", "The", 0.0, 0.0),
        ("an", "The", 1.0, 1.0),
        ("", "lake", 0.0, 0.0),
    ],
)
def test_containment(prediction: str, gold: str, acc: float, acc_bounded: float) -> None:
    score = score_answer(prediction, [gold], "hotpotqa")
    assert (score.acc, score.acc_bounded) == (acc, acc_bounded)


def test_acc_text_looks_at_every_line() -> None:
    chain = Chain(
        question_id="q",
        steps=tuple(
            Step(
                number=number,
                ability=Ability.EXPANSION,
                query="",
                retrieved=(),
                rationale=line,
                prompt_tokens=0,
                output_tokens=0,
                seconds=0.0,
            )
            for number, line in enumerate(["Ona was born beside Lake Tiv.", "So the answer is: Morvane"], start=1)
        ),
        answer="Morvane",
        stop_reason=StopReason.ANSWERED,
    )
    assert acc_text(chain, ["the lake tiv"]) == 1.0
    assert acc_text(chain, ["Lake Sel", "Morvane"]) == 1.0
    assert acc_text(chain, ["Lake Sel", "!"]) == 0.0


@pytest.mark.parametrize("gold", ["The The", "!!!", "Tiv"])
def test_a_chain_that_gave_no_answer_is_wrong_whatever_the_gold_one(gold: str) -> None:
    score = score_answer(None, [gold], "hotpotqa")
    assert set(dataclasses.astuple(score)) == {0.0}
    silent = Chain(question_id="q", steps=(), answer=None, stop_reason=StopReason.REFUSED)
    assert acc_text(silent, [gold]) == 0.0


def test_unknown_rules_name_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'hotpotqa'"):
        score_answer("x", ["x"], "hotpot")
    with pytest.raises(UserError, match="worlds"):
        score_answer("x", ["x"], "zzz")


def test_no_gold_answer() -> None:
    with pytest.raises(ValueError, match="gold"):
        score_answer("x", [], "hotpotqa")


@given(prediction=ANSWERS, golds=st.lists(ANSWERS, min_size=1, max_size=3), rules=st.sampled_from(RULES))
def test_bounds(prediction: str, golds: list[str], rules: str) -> None:
    score = score_answer(prediction, golds, rules)
    for value in (score.em, score.f1, score.acc, score.acc_bounded, score.precision or 0.0, score.recall or 0.0):
        assert 0.0 <= value <= 1.0
    assert score.em <= score.acc_bounded <= score.acc
    if score.em and any(normalise(gold) for gold in golds if normalise(gold) == normalise(prediction)):
        assert score.f1 == 1.0


@given(one=ANSWERS, other=ANSWERS, rules=st.sampled_from(RULES))
def test_f1_is_symmetric(one: str, other: str, rules: str) -> None:
    there, back = score_answer(one, [other], rules), score_answer(other, [one], rules)
    assert there.f1 == pytest.approx(back.f1)
    assert there.precision == back.recall


@given(text=ANSWERS, part=ANSWERS)
def test_bounded_containment_implies_containment(text: str, part: str) -> None:
    if contains(normalise(text), normalise(part)):
        assert normalise(part) in normalise(text)


TEXTS = st.one_of(ANSWERS, st.text(alphabet="atheΣσ\u0301 .\0\n–é", max_size=8))


@given(texts=st.lists(TEXTS))
def test_many_texts_are_normalised_as_one_by_one(texts: list[str]) -> None:
    assert normalise_all(texts) == [normalise(text) for text in texts]


PAIRS = st.tuples(TEXTS, st.lists(TEXTS, min_size=1, max_size=3), st.sampled_from(RULES))


@given(pairs=st.lists(PAIRS, max_size=5))
def test_many_answers_are_scored_as_one_by_one(pairs: list[tuple[str, list[str], str]]) -> None:
    said, golds, rules = ([pair[place] for pair in pairs] for place in range(3))
    columns = score_answers(said, golds, rules)
    for place, pair in enumerate(pairs):
        found = {name: None if math.isnan(column[place]) else column[place] for name, column in columns.items()}
        assert found == dataclasses.asdict(score_answer(*pair))


def test_a_missing_answer_is_wrong_even_where_the_gold_one_has_no_token() -> None:
    columns = score_answers([None, ""], [[""], [""]], ["hotpotqa", "hotpotqa"])
    assert columns["em"].tolist() == [0.0, 1.0]
    assert columns["acc"].tolist() == [0.0, 1.0]


def test_many_answers_at_fault() -> None:
    with pytest.raises(UserError, match="did you mean 'musique'"):
        score_answers(["x"], [["x"]], ["musik"])
    with pytest.raises(ValueError, match="gold"):
        score_answers(["x"], [[]], ["musique"])
    with pytest.raises(ValueError, match="zip"):
        score_answers(["x"], [["x"], ["y"]], ["musique", "musique"])


@pytest.mark.skipif(not GOLDEN.is_file(), reason="the outputs of the datasets' scripts are not here")
def test_equals_the_datasets_own_scripts() -> None:
    for line in GOLDEN.read_text("utf-8").splitlines():
        row = json.loads(line)
        score = score_answer(row["prediction"], row["golds"], row["dataset"])
        for name in ("em", "f1", "precision", "recall"):
            expected = row.get(name)
            assert getattr(score, name) == (None if expected is None else pytest.approx(expected, abs=1e-9)), row
