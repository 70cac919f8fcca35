"""What each query hands out, against rows worked out by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from db.ingest import ingest
from db.manage import DatabaseFacts, database_facts, delete_run
from db.queries import (
    ChainView,
    HopView,
    PassageView,
    QuestionChoices,
    QuestionFilter,
    QuestionPage,
    QuestionRow,
    ScoreView,
    StepView,
    get_question,
    list_questions,
    list_runs,
    question_choices,
    revision,
    runs_that_hold,
)
from db.session import describe
from steper_core.errors import UserError
from steper_core.records import Hop

from .samples import ALPHA, ANN, BETA, NOISE, RunMaker, make_chain, make_question, make_score

BRIDGE = make_question("b", text="Who made Alpha?", answer="Ann Ager")
COMPARISON = make_question(
    "c",
    text="Is 100% of Beta_1 older than Alpha/Ω?",
    answer="Yes",
    kind="comparison",
    hops=(Hop(question="x", answer=None, statement="x", passage_id=None),) * 3,
)
PLAIN = make_question("p", text="ÉCOLE or straße?", answer="Neither", kind="", hops=())
LATE = make_question("z", text="The last one?", answer="Bob")


@pytest.fixture
def two_runs(engine: sa.Engine, make_run: RunMaker) -> tuple[int, int]:
    """First: b right, c wrong, p unscored. Second: b wrong, c wrong, z right (p has no chain)."""
    questions = [BRIDGE, COMPARISON, PLAIN, LATE]
    first = make_run(
        "first",
        questions=questions,
        chains=[make_chain("p"), make_chain("c"), make_chain("b")],
        scores=[make_score("b", 1.0), make_score("c", 0.0), make_score("p", None, reason="no gold")],
    )
    second = make_run(
        "second",
        questions=questions,
        chains=[make_chain(key) for key in "bcz"],
        scores=[make_score("b", 0.0), make_score("c", 0.0), make_score("z", 1.0)],
        method="vanilla-kd",
    )
    return ingest(engine, first.path).run_id, ingest(engine, second.path).run_id


def keys(page: QuestionPage) -> list[str]:
    assert page.total >= len(page.rows)
    return [row.key for row in page.rows]


def test_questions_of_runs_with_their_outcomes(engine: sa.Engine, two_runs: tuple[int, int]) -> None:
    page = list_questions(engine, two_runs)
    assert page.total == 4
    assert page.rows[0] == QuestionRow(
        id=page.rows[0].id,
        key="b",
        text="Who made Alpha?",
        answer="Ann Ager",
        kind="bridge",
        hop_count=2,
        right=(True, False),
    )
    assert [(row.key, row.right) for row in page.rows[1:]] == [
        ("c", (False, False)),
        ("p", (None, None)),
        ("z", (None, True)),
    ]
    first, second = two_runs
    assert list_questions(engine, (second, first)).rows[0].right == (False, True)
    assert [row.right for row in list_questions(engine, (first, first)).rows] == [
        (True,) * 2,
        (False,) * 2,
        (None,) * 2,
    ]
    assert keys(list_questions(engine, (first,))) == ["b", "c", "p"]
    assert list_questions(engine, ()) == QuestionPage((), 0)
    assert list_questions(engine, (99,)) == QuestionPage((), 0)


def test_runs_that_hold_a_question(engine: sa.Engine, two_runs: tuple[int, int]) -> None:
    ids = {row.key: row.id for row in list_questions(engine, two_runs).rows}
    first, second = two_runs
    assert runs_that_hold(engine, ids["b"], two_runs) == {first, second}
    assert runs_that_hold(engine, ids["p"], two_runs) == {first}
    assert runs_that_hold(engine, ids["p"], [second]) == set()


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (QuestionFilter(outcome="right"), ["b"]),
        (QuestionFilter(outcome="wrong"), ["c"]),
        (QuestionFilter(outcome="differs"), ["b"]),
        (QuestionFilter(marks=("unscored",)), ["p"]),
        (QuestionFilter(marks=("unscored",), text="beta"), []),
        (QuestionFilter(marks=("unscored",), outcome="right"), []),
        (QuestionFilter(step_counts=(2,)), ["b", "c", "p"]),
        (QuestionFilter(step_counts=(3,)), []),
        (QuestionFilter(step_counts=(2,), outcome="differs", kinds=("bridge",)), ["b"]),
        (QuestionFilter(step_counts=(2,), outcome="differs"), ["b"]),
        (QuestionFilter(step_counts=(2,), outcome="broken"), ["b"]),
        (QuestionFilter(step_counts=(2,), outcome="both-wrong", hop_counts=(3,)), ["c"]),
        (QuestionFilter(kinds=("comparison",)), ["c"]),
        (QuestionFilter(kinds=("comparison", "")), ["c", "p"]),
        (QuestionFilter(hop_counts=(2,)), ["b", "z"]),
        (QuestionFilter(hop_counts=(0, 3)), ["c", "p"]),
        (QuestionFilter(outcome="differs", kinds=("bridge",)), ["b"]),
        (QuestionFilter(outcome="differs", kinds=("comparison",)), []),
        (QuestionFilter(outcome="wrong", hop_counts=(3,), kinds=("comparison",), text="beta"), ["c"]),
        (QuestionFilter(outcome="right", text="alpha"), ["b"]),
        (QuestionFilter(text="ALPHA"), ["b", "c"]),
        (QuestionFilter(text="ann ager"), ["b"]),
        (QuestionFilter(text="0%"), ["c"]),
        (QuestionFilter(text="%"), ["c"]),
        (QuestionFilter(text="_"), ["c"]),
        (QuestionFilter(text="/"), ["c"]),
        (QuestionFilter(text="\\"), []),
        (QuestionFilter(text="école"), ["p"]),
        (QuestionFilter(text="STRASSE"), ["p"]),
        (QuestionFilter(text="ω"), ["c"]),
        (QuestionFilter(text="' OR 1=1 --"), []),
    ],
)
def test_filters(engine: sa.Engine, two_runs: tuple[int, int], where: QuestionFilter, expected: list[str]) -> None:
    page = list_questions(engine, two_runs, where)
    assert (keys(page), page.total) == (expected, len(expected))


def test_an_outcome_that_is_none_is_a_mistake(engine: sa.Engine, two_runs: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no such outcome"):
        list_questions(engine, two_runs, QuestionFilter(outcome="correct"))


@pytest.mark.parametrize("where", [QuestionFilter(), QuestionFilter(hop_counts=(0, 2, 3))])
def test_pages_follow_each_other(engine: sa.Engine, two_runs: tuple[int, int], where: QuestionFilter) -> None:
    pages = [list_questions(engine, two_runs, where, offset=offset, limit=2) for offset in (0, 2, 4)]
    assert [keys(page) for page in pages] == [["b", "c"], ["p", "z"], []]
    assert {page.total for page in pages} == {4}


CELL = st.sampled_from([None, 1.0, 0.0, "unscored"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=8))
def test_outcomes_agree_with_a_table_worked_out_in_python(
    engine: sa.Engine, make_run: RunMaker, table: list[tuple[object, ...]]
) -> None:
    number = revision(engine)
    questions = [make_question(f"{number}-{row}") for row in range(len(table))]
    runs = []
    for column in range(3):
        asked = [(question.id, cells[column]) for question, cells in zip(questions, table, strict=True)]
        run = make_run(
            f"{number}-{column}",
            questions=questions,
            chains=[make_chain(key) for key, cell in asked if cell is not None],
            scores=[make_score(key, cell) for key, cell in asked if isinstance(cell, float)],
        )
        runs.append(ingest(engine, run.path).run_id)
    asked_runs = tuple(runs)

    def expected(outcome: str) -> list[str]:
        chosen = []
        for question, cells in zip(questions, table, strict=True):
            is_in = {
                "": any(cell is not None for cell in cells),
                "right": cells[0] == 1.0,
                "wrong": cells[0] == 0.0,
                "differs": 1.0 in cells and 0.0 in cells,
            }
            if is_in[outcome]:
                chosen.append(question.id)
        return chosen

    for outcome in ("", "right", "wrong", "differs"):
        for kinds in ((), ("bridge",)):
            page = list_questions(engine, asked_runs, QuestionFilter(outcome=outcome, kinds=kinds))
            assert (keys(page), page.total) == (expected(outcome), len(expected(outcome)))


def test_choices_of_questions(engine: sa.Engine, two_runs: tuple[int, int]) -> None:
    first, second = two_runs
    assert question_choices(engine, two_runs) == QuestionChoices(("bridge", "comparison"), (0, 2, 3), (2,))
    assert question_choices(engine, (second,)) == QuestionChoices(("bridge", "comparison"), (2, 3), (2,))
    assert question_choices(engine, (first, 99)) == QuestionChoices(("bridge", "comparison"), (0, 2, 3), (2,))
    assert question_choices(engine, (99,)) == QuestionChoices()
    assert question_choices(engine, ()) == QuestionChoices()


def test_a_question_with_its_chains(engine: sa.Engine, make_run: RunMaker) -> None:
    question = make_question("a")
    run = make_run(
        questions=[question],
        chains=[make_chain("a", steps=2, hits=[ALPHA, NOISE])],
        scores=[
            make_score("a", 0.5, "f1"),
            make_score("a", 1.0, "em"),
            make_score("a", None, "recall", 2, reason="none"),
            make_score("a", 1.0, "recall", 1),
        ],
    )
    other = make_run("other", questions=[question], chains=[make_chain("a", steps=1, answer=None, hits=[BETA])])
    first, second = ingest(engine, run.path).run_id, ingest(engine, other.path).run_id
    question_id = list_questions(engine, (first,)).rows[0].id
    view = get_question(engine, question_id, (second, 99, first))
    assert view is not None
    assert dataclasses.replace(view, chains=()) == dataclasses.replace(
        view,
        id=question_id,
        key="a",
        dataset="worlds",
        text="When was the maker of Alpha born (a)?",
        answer="1950",
        aliases=("nineteen fifty",),
        kind="bridge",
        hops=(
            HopView("Who made Alpha?", "Ann Ager", "Ann Ager made it.", ALPHA.id, "Alpha", ()),
            HopView("When was #1 born?", "1950", "In 1950.", ANN.id, "Ann Ager", (0,)),
        ),
        chains=(),
    )
    passages = (
        PassageView(ALPHA.id, "Alpha", ALPHA.text, 1, 10.0, True),
        PassageView(NOISE.id, "Noise", NOISE.text, 2, 5.0, False),
    )
    recall = ScoreView("recall", 1.0, None, "answers", "1")
    assert view.chains == (
        ChainView(
            run_id=second,
            answer=None,
            stop_reason="answered",
            steps=(
                StepView(
                    number=1,
                    ability="aggregation",
                    query="query 1",
                    rationale="rationale 1",
                    passages=(PassageView(BETA.id, "Beta", BETA.text, 1, 10.0, False),),
                    prompt_tokens=100,
                    output_tokens=1,
                    seconds=0.5,
                    scores=(),
                ),
            ),
            scores=(),
        ),
        None,
        ChainView(
            run_id=first,
            answer="1950",
            stop_reason="answered",
            steps=(
                StepView(1, "initialization", "query 1", "rationale 1", passages, 100, 1, 0.5, (recall,)),
                StepView(
                    2,
                    "aggregation",
                    "query 2",
                    "rationale 2",
                    passages,
                    200,
                    2,
                    1.0,
                    (ScoreView("recall", None, "none", "answers", "1"),),
                ),
            ),
            scores=(ScoreView("em", 1.0, None, "answers", "1"), ScoreView("f1", 0.5, None, "answers", "1")),
        ),
    )
    assert get_question(engine, 10_000, (first,)) is None
    alone = get_question(engine, question_id, ())
    assert alone is not None
    assert alone.chains == ()


def test_deleting_a_run_leaves_the_others_whole(engine: sa.Engine, two_runs: tuple[int, int]) -> None:
    first, second = two_runs
    before = revision(engine)
    delete_run(engine, first)
    assert [run.id for run in list_runs(engine)] == [second]
    rows = database_facts(engine).rows
    assert (rows["chains"], rows["steps"], rows["retrievals"], rows["chain_scores"]) == (3, 6, 12, 3)
    assert (rows["questions"], rows["passages"]) == (4, 4)
    assert keys(list_questions(engine, two_runs)) == ["b", "c", "z"]
    assert revision(engine) == before + 1
    with pytest.raises(UserError, match=f"no run {first} "):
        delete_run(engine, first)
    assert revision(engine) == before + 1


def test_the_database_itself_cascades(engine: sa.Engine, two_runs: tuple[int, int]) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DELETE FROM runs WHERE id = {two_runs[0]}")
    rows = database_facts(engine).rows
    assert (rows["chains"], rows["steps"], rows["retrievals"], rows["chain_scores"]) == (3, 6, 12, 3)


def test_facts(engine: sa.Engine, two_runs: tuple[int, int]) -> None:
    facts = database_facts(engine)
    assert facts == DatabaseFacts(url=describe(engine.url), schema="0005", revision=2, rows=facts.rows, size=facts.size)
    assert facts.rows["runs"] == len(two_runs)
    assert (facts.size is None) is (engine.dialect.name != "sqlite")
    assert facts.size is None or facts.size > 10_000


LARGE = ("chains", "questions", "steps", "chain_scores", "retrievals", "passages", "hops")


@pytest.mark.parametrize("outcome", ["", "right", "wrong", "differs"])
@pytest.mark.parametrize("kinds", [(), ("bridge",)])
def test_pages_are_found_by_index_in_few_queries(
    engine: sa.Engine, two_runs: tuple[int, int], outcome: str, kinds: tuple[str, ...]
) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("EXPLAIN QUERY PLAN is SQLite's")

    def plans(query: Callable[[], object]) -> list[list[str]]:
        seen: list[tuple[str, tuple[object, ...]]] = []

        def note(_c: object, _u: object, statement: str, parameters: tuple[object, ...], *_: object) -> None:
            if statement.startswith("SELECT"):
                seen.append((statement, parameters))

        event.listen(engine, "before_cursor_execute", note)
        query()
        event.remove(engine, "before_cursor_execute", note)
        with engine.connect() as connection:
            return [
                [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
                for statement, parameters in seen
            ]

    page = plans(lambda: list_questions(engine, two_runs, QuestionFilter(outcome=outcome, kinds=kinds)))
    one = plans(lambda: get_question(engine, 1, two_runs))
    assert len(page) == (5 if kinds else 4)
    assert len(one) == 7
    lines = [line for plan in (*page, *one) for line in plan]
    assert not [line for line in lines if line.startswith(tuple(f"SCAN {table}" for table in LARGE))]
    # Nothing is sorted or gathered to find a page: the indexes are in its order already.
    assert not [line for plan in page for line in plan if "TEMP B-TREE" in line]
