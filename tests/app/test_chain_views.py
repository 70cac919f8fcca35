"""What the chain component is told: grounded words, judges' votes, aligned steps, scores in words."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable
from typing import Any

import pytest

from app.views.aligned import lay_out
from app.views.chain import asked_with, chain_data
from app.views.grounded import segments
from app.views.judged import judged
from app.views.labelled import labelled
from app.views.scores import score_lists
from db.annotation_views import ChainLabel
from db.queries import ChainView, JudgementView, PassageView, QuestionView, RunRow, ScoreView, StepView
from evaluators.label_rubric import load_label_rubric

MakeRun = Callable[..., RunRow]
MakeQuestion = Callable[..., QuestionView]
PASSAGE = PassageView("p1", "It (film)", "It was made by Ada Lund in 1950.", 1, 12.34, True)


def tones(rationale: str, question: str = "Who made it?") -> list[tuple[str, str]]:
    return [(piece["text"], piece["tone"]) for piece in segments(rationale, [PASSAGE], question)]


def test_words_are_tinted_by_where_they_stand() -> None:
    assert tones("The film was made by Ada Lund in Oslo.") == [
        ("The ", ""),
        ("film", "grounded"),
        (" was ", ""),
        ("made", "grounded"),
        (" by ", ""),
        ("Ada Lund", "grounded"),
        (" in ", ""),
        ("Oslo", "ungrounded"),
        (".", ""),
    ]


@pytest.mark.parametrize("text", ["", "…", "So the answer is: 1950.", "𝔘nicode 😀 Ada", "<b>Ada</b> \u202e x"])
def test_the_pieces_are_the_text(text: str) -> None:
    assert "".join(piece for piece, _ in tones(text)) == text


def test_a_tinted_word_says_which_passage_holds_it() -> None:
    hints = {piece["text"]: piece["hint"] for piece in segments("Ada Lund.", [PASSAGE], "")}
    assert hints["Ada Lund"] == "in It (film)"


def vote(number: int, **changes: Any) -> JudgementView:
    base = JudgementView("j", number, 1, "", "steps", "2", "model-x", {"rating": -1.0}, ("wrong fact",), "No.", None)
    return dataclasses.replace(base, **changes)


def test_votes_stand_with_their_step_in_plain_words() -> None:
    votes = [vote(0), vote(2, vote=2, order="ab", explanation="\x07", verdicts={}, unscored="cut off")]
    (first,) = judged(votes, 0)
    assert first["about"] == "model-x, steps 2"
    assert first["verdicts"] == [{"name": "rating", "value": "-1"}]
    assert (first["tags"], first["explanation"]) == (["wrong fact"], "No.")
    (second,) = judged(votes, 2)
    assert second["about"] == "model-x, steps 2, vote 2, this chain first"
    assert (second["explanation"], second["unscored"]) == ("[U+0007]", "cut off")


def score(name: str, value: float | None, evaluator: str = "steps") -> ScoreView:
    return ScoreView(name, value, None, evaluator, "1")


def test_what_is_better_absent_is_told_in_words_and_only_if_it_is_there() -> None:
    lists = score_lists([score("em", 1.0), score("right_by_wrong_path", 1.0), score("premature_answer", 0.0)])
    assert [(item["label"], item["glyph"], item["value"]) for item in lists["scores"]] == [
        ("EM", "✓", ""),
        ("Right by wrong path", "", "yes"),
    ]
    assert [(item["label"], item["value"]) for item in lists["more"]] == [("Premature answer", "no")]


def test_counts_are_no_shares_and_judges_are_always_told() -> None:
    lists = score_lists([score("extra_steps", 1.0), score("steps_rating", 1.0, "judge:m")])
    assert [item["label"] for item in lists["scores"]] == ["Steps rating (m)"]
    assert [(item["label"], item["glyph"], item["value"]) for item in lists["more"]] == [("Extra steps", "", "1")]
    assert "steps taken minus steps needed" in lists["more"][0]["hint"]


def step(number: int, ability: str, rationale: str, *passages: PassageView) -> StepView:
    return StepView(number, ability, "query", rationale, passages, 10, 1, 0.1, ())


def test_steps_that_do_the_same_share_a_line(make_question: MakeQuestion, make_run: MakeRun) -> None:
    other = PassageView("p9", "Else", "Else.", 1, 1.0, False)
    first = ChainView(
        1,
        "Oslo",
        "answered",
        (
            step(1, "initialization", "Ada made it.", PASSAGE),
            step(2, "expansion", "Ada was born in Oslo.", other),
            step(3, "aggregation", "So the answer is: Oslo"),
        ),
        (),
    )
    second = ChainView(
        2,
        "Oslo",
        "answered",
        (step(1, "initialization", "Ada made it.", PASSAGE), step(2, "aggregation", "So the answer is: Oslo")),
        (),
    )
    view = dataclasses.replace(make_question(1, 2), chains=(first, second))
    left, right = lay_out(view)
    assert [(left.places[n].row, left.places[n].mark) for n in (1, 2, 3)] == [
        (0, "equal"),
        (1, "only here"),
        (2, "equal"),
    ]
    assert (right.places[1].row, right.places[2].row, right.gaps) == (0, 2, (1,))
    assert [left.places[n].parted for n in (1, 2, 3)] == [False, False, True]
    drawn = chain_data(view, [make_run(1), make_run(2)], gold=True)["chains"]
    assert [part["row"] for part in drawn[1]["steps"]] == [0, 2]
    assert drawn[1]["gaps"] == [1]


def test_one_chain_or_three_stand_step_below_step(make_question: MakeQuestion) -> None:
    for runs in ((1,), (1, 2, 3)):
        for layout in lay_out(make_question(*runs)):
            assert [(place.row, place.mark) for place in layout.places.values()] == [(0, ""), (1, "")]
            assert layout.gaps == ()


def test_a_missing_chain_leaves_the_other_as_it_is(make_question: MakeQuestion) -> None:
    view = make_question(1)
    empty, whole = lay_out(dataclasses.replace(view, chains=(None, view.chains[0])))
    assert empty.places == {}
    assert [place.row for place in whole.places.values()] == [0, 1]


def test_a_tinted_word_names_its_passage() -> None:
    named = {piece["text"]: piece["passage"] for piece in segments("Ada Lund in Oslo.", [PASSAGE], "")}
    assert named == {"Ada Lund": "p1", " in ": "", "Oslo": "", ".": ""}


@pytest.mark.parametrize(
    ("number", "query", "expected"),
    [
        (1, "Who made it? ", {"asked": "searched with the question", "query": ""}),
        (2, "line 1", {"asked": "searched with the line before", "query": ""}),
        (2, "another", {"asked": "searched with", "query": "another"}),
        (1, " ", {"asked": "", "query": " "}),
    ],
)
def test_why_a_step_searched(number: int, query: str, expected: dict[str, str]) -> None:
    steps = tuple(StepView(each, "expansion", "query", f"line {each}", (), 1, 1, 0.1, ()) for each in (1, 2))
    chain = ChainView(1, "x", "answered", steps, ())
    asked = dataclasses.replace(steps[number - 1], query=query)
    assert asked_with(asked, chain, "Who made it?") == expected


def given(field: str, value: Any, number: int = 2, role: str = "label", project: str = "p") -> ChainLabel:
    at = datetime.datetime(2026, 11, 24, tzinfo=datetime.UTC)
    return ChainLabel(project, "ann\u202e", role, number, field, value, at)


def test_labels_stand_with_their_step_one_entry_a_person() -> None:
    rubrics = {"p": load_label_rubric("steps").model_dump(mode="json")}
    labels = [
        given("rating", -1.0),
        given("tags", ("wrong_entity",)),
        given("comment", "\x07no"),
        given("rating", 1.0, role="adjudicate"),
        given("verdict", 0.5, number=0),
        given("rating", 1.0, project="deleted meanwhile"),
    ]
    first, decided = labelled(labels, rubrics, 2)
    assert (first["who"], first["decided"], decided["decided"]) == ("ann[U+202E]", False, True)
    assert first["labels"] == [{"name": "bad", "glyph": "✗", "tone": "bad", "title": "rating"}]
    assert (first["tags"], first["comment"]) == (["wrong entity"], "[U+0007]no")
    assert [label["name"] for label in labelled(labels, rubrics, 0)[0]["labels"]] == ["partly"]
    assert labelled(labels, rubrics, 1) == []


def test_a_judge_who_never_ends_is_cut_and_the_rest_counted() -> None:
    votes = [vote(1, vote=number, tags=("t",) * 50) for number in range(1, 3001)]
    shown = judged(votes, 1)
    assert len(shown) == 31 and shown[-1]["about"] == "and 2,970 votes more"
    assert len(shown[0]["tags"]) == 30
