"""URL to state and back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.state import AnnotateState, ChainsState, RunsState, TrainingState, find_runs, neighbour, pages, run_tokens
from db.queries import RunRow

NAMES = [
    "kind",
    "method",
    "data",
    "status",
    "text",
    "sort",
    "page",
    "tick",
    "open",
    "run",
    "q",
    "outcome",
    "hops",
    "gold",
]
MakeRun = Callable[..., RunRow]


def test_an_empty_url_is_the_first_page_of_everything() -> None:
    assert RunsState.parse({}) == RunsState()
    assert RunsState().params() == ChainsState().params() == TrainingState().params() == {}


def test_a_state_survives_its_url() -> None:
    runs = RunsState(("train",), ("steper",), ("m",), ("worlds",), ("failed",), "abc", "-em", 3, ("a", "b"), "c")
    chains = ChainsState(
        ("a", "b"), "17", "differs", ("bridge",), (2, 4), (3,), ("annotated", "wrong-path"), "who", 2, False, 4
    )
    annotate = AnnotateState("a project", "ann", "disagreements", 7, 0, 3)
    assert AnnotateState.parse(annotate.params()) == annotate
    assert RunsState.parse(runs.params()) == runs
    assert ChainsState.parse(chains.params()) == chains
    assert TrainingState.parse(TrainingState(("a",)).params()) == TrainingState(("a",))


@given(st.dictionaries(st.sampled_from(NAMES), st.lists(st.text(max_size=30), max_size=6)))
def test_any_url_is_a_state_whose_url_is_stable(params: dict[str, list[str]]) -> None:
    for kind in (RunsState, ChainsState, TrainingState):
        state = kind.parse(params)
        assert kind.parse(state.params()) == state


def test_what_no_database_takes_is_in_no_state() -> None:
    state = RunsState.parse({"kind": ["a\x00b"], "open": ["\ud800"]})
    assert (state.kinds, state.opened) == (("a\ufffdb",), "\ufffd")


@pytest.mark.parametrize("page", ["0", "-1", "x", "", "٣", "9" * 50])
def test_a_page_that_is_no_page_is_the_first(page: str) -> None:
    assert ChainsState.parse({"page": [page]}).page == 1


def test_no_more_runs_than_fit_side_by_side() -> None:
    assert ChainsState.parse({"run": list("abcde")}).runs == ("a", "b", "c")
    assert ChainsState.parse({"run": ["a", "a", "b"]}).runs == ("a", "b")


@pytest.mark.parametrize(("text", "number"), [("7", 7), ("x", None), ("-1", None), ("9" * 19, None), ("٣", None)])
def test_a_question_id_fits_the_database(text: str, number: int | None) -> None:
    assert ChainsState(question=text).question_id == number


def test_runs_have_short_names_unless_those_clash(make_run: MakeRun) -> None:
    first, second, third = make_run(1), make_run(2, uid="abcdefgh1"), make_run(3, uid="abcdefgh2")
    known = run_tokens([first, second, third])
    assert list(known) == ["00000001", "abcdefgh1", "abcdefgh2"]
    assert find_runs([first.uid, "abcdefgh", "abcdefgh2", "00000001"], known) == (
        ("00000001", "abcdefgh2"),
        ("abcdefgh",),
    )


def test_the_last_run_gives_way_to_a_neighbour_that_is_not_chosen() -> None:
    options = ["a", "b", "c", "d"]
    assert neighbour(options, ("a",), 1) == ("b",)
    assert neighbour(options, ("a",), -1) == ("d",)
    assert neighbour(options, ("b", "a"), 1) == ("b", "c")
    assert neighbour(["a", "b"], ("a", "b"), 1) == ("a", "b")
    assert neighbour(options, (), 1) == ()


def test_pages_hold_twenty() -> None:
    assert [pages(total) for total in (0, 1, 20, 21, 100)] == [1, 1, 1, 2, 5]
