"""The pages without a browser: what they ask, what they send to the components, what they say when there is nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from db.queries import QuestionRow, QuestionView, RunRow, TrainPointRow
from steper_core.errors import UserError

Draw = Callable[..., AppTest]
Sent = Callable[[AppTest, str], dict[str, Any]]
MakeRun = Callable[..., RunRow]


def texts(test: AppTest) -> str:
    elements = [*test.markdown, *test.subheader, *test.code, *test.info, *test.warning, *test.error]
    return "\n".join(str(element.value) for element in elements)


@pytest.mark.parametrize("page", ["runs", "chains", "training"])
def test_an_empty_database_says_what_to_do_next(database: Any, draw: Draw, page: str) -> None:
    said = texts(draw(page))
    assert "No runs yet" in said
    assert "make demo" in said
    assert "steper ingest runs" in said


@pytest.mark.parametrize("page", ["runs", "chains", "training"])
def test_a_database_that_cannot_be_opened_is_told_and_not_thrown(
    database: Any, draw: Draw, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_url: str) -> None:
        raise UserError("sqlite:///x.db: is no SQLite database")

    monkeypatch.setattr("app.store.open_database", fail)
    said = texts(draw(page))
    assert "cannot be opened" in said
    assert "is no SQLite database" in said


def test_an_unforeseen_error_shows_no_trace(database: Any, draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_engine: Any) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("db.queries.run_choices", fail)
    database.runs = ()
    monkeypatch.setattr("app.store.Store.runs", lambda *_args: (1,))
    said = texts(draw("runs"))
    assert "could not be drawn" in said
    assert "secret detail" not in said


def test_runs_are_sent_with_their_figures(database: Any, draw: Draw, sent: Sent, make_run: MakeRun) -> None:
    database.runs = (make_run(1), make_run(2, kind="train", chain_count=0))
    (evaluations, trainings) = sent(draw("runs"), "run_table")["sections"]
    assert [evaluations["title"], trainings["title"]] == ["Evaluation", "Training"]
    (row,) = evaluations["rows"]
    (em,) = [cell for cell in row["cells"] if cell["main"] == "61.0"]
    assert em["side"] == "[56.7, 65.2]"
    # A number is a door to the chains behind it.
    assert em["link"] == "chains?run=00000001"
    assert not trainings["rows"][0]["tickable"]


def test_a_filter_goes_into_the_url_and_the_query(database: Any, draw: Draw, sent: Sent, make_run: MakeRun) -> None:
    database.runs = (make_run(1), make_run(2, method="vanilla-kd"))
    test = draw("runs", page="3")
    test.multiselect(key="runs_methods").select("vanilla-kd").run()
    assert test.query_params == {"method": "vanilla-kd"}
    (section,) = sent(test, "run_table")["sections"]
    assert [row["name"] for row in section["rows"]] == ["run-2"]


def test_a_filter_of_the_url_stands_in_its_widget(database: Any, draw: Draw, make_run: MakeRun) -> None:
    database.runs = (make_run(1), make_run(2, method="vanilla-kd"))
    test = draw("runs", method=["vanilla-kd", "no such method"], text="run")
    # What no run is of stays, for whoever wants to see runs again to take it out.
    assert test.multiselect(key="runs_methods").value == ["vanilla-kd", "no such method"]
    assert test.text_input(key="runs_text").value == "run"


def test_filters_that_leave_nothing_say_so(database: Any, draw: Draw, make_run: MakeRun) -> None:
    database.runs = (make_run(1),)
    assert "No run matches" in texts(draw("runs", method="other"))


def test_chains_without_a_run_offer_the_newest(database: Any, draw: Draw, sent: Sent, make_run: MakeRun) -> None:
    database.runs = (make_run(2), make_run(1))
    test = draw("chains")
    assert "Choose up to three runs" in texts(test)
    test.button[0].click().run()
    assert test.query_params == {"run": "00000002"}


@pytest.mark.parametrize("token", ["<b>nothing</b>", "ffffffff", "\u202e", "x" * 5000])
def test_a_run_that_does_not_exist_is_told(database: Any, draw: Draw, make_run: MakeRun, token: str) -> None:
    database.runs = (make_run(1), make_run(2, kind="train", chain_count=0))
    for page in ("chains", "training"):
        assert "not in this database" in texts(draw(page, run=token))


@pytest.mark.parametrize("question", ["8", "abc", "-1", "٣", "9" * 30])
def test_a_question_that_does_not_exist_is_told(
    database: Any, draw: Draw, make_run: MakeRun, make_question: Callable[..., QuestionView], question: str
) -> None:
    database.runs, database.question = (make_run(1),), make_question(1)
    assert "question that is not in this database" in texts(draw("chains", run="00000001", q=question))


def test_the_first_question_is_shown_and_the_last_page_if_the_url_goes_too_far(
    database: Any, draw: Draw, sent: Sent, make_run: MakeRun, make_question: Callable[..., QuestionView]
) -> None:
    database.runs, database.question = (make_run(1),), make_question(1)
    database.questions = tuple(QuestionRow(n, f"q{n}", f"text {n}", "a", "bridge", 2, (True,)) for n in range(1, 28))
    assert sent(draw("chains", run="00000001"), "question_list")["active"] == 1
    test = draw("chains", run="00000001", page="99", q="7")
    listed = sent(test, "question_list")
    assert (listed["page"], listed["range"], len(listed["rows"])) == (2, "21–27 of 27", 7)
    assert sent(test, "chain")["question"]["text"] == "Where was its maker born?"


def test_hidden_gold_is_not_even_sent(
    database: Any, draw: Draw, sent: Sent, make_run: MakeRun, make_question: Callable[..., QuestionView]
) -> None:
    database.runs, database.question = (make_run(1),), make_question(1)
    data = sent(draw("chains", run="00000001", q="7", gold="hidden"), "chain")
    assert data["question"]["answer"] == ""
    assert data["hops"] == []
    assert not any(passage["gold"] for step in data["chains"][0]["steps"] for passage in step["passages"])


def test_a_question_filter_starts_over_at_the_first_question(database: Any, draw: Draw, make_run: MakeRun) -> None:
    database.runs = (make_run(1), make_run(2))
    test = draw("chains", run=["00000001", "00000002"], page="2", q="7")
    test.multiselect(key="chains_hops").select(3).run()
    assert test.query_params == {"run": ["00000001", "00000002"], "hops": "3"}
    assert database.asked[-1].hop_counts == (3,)


def test_training_without_sigma_says_so(database: Any, draw: Draw, sent: Sent, make_run: MakeRun) -> None:
    database.runs = (make_run(1, kind="train"),)
    database.points = (TrainPointRow(2, 0.5, {"initialization": 1.25}, {}, 1e-4, 400.0, False),)
    test = draw("training", run="00000001")
    (row,) = sent(test, "training_table")["rows"]
    assert "no sigma" in row["note"]
    assert row["cells"][:3] == ["2", "0.50", "1.250"]
    assert len(test.get("plotly_chart")) == 1


def test_training_that_logged_nothing_says_so(database: Any, draw: Draw, make_run: MakeRun) -> None:
    database.runs = (make_run(1, kind="train"),)
    assert "Nothing was logged" in texts(draw("training", run="00000001"))
