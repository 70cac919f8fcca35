"""Chains as words, found by keys and by the question's text."""

from __future__ import annotations

import sqlalchemy as sa

from db.ingest import ingest
from db.queries_texts import ChainText, StepText, chain_texts, chains_asked, question_ids_of

from .samples import RunMaker, make_chain, make_question


def test_chains_are_told_in_words_by_run_and_question(engine: sa.Engine, make_run: RunMaker) -> None:
    questions = [make_question("a"), make_question("b")]
    one = make_run("one", questions=questions, chains=[make_chain("a"), make_chain("b", steps=1)])
    two = make_run("two", questions=questions, chains=[make_chain("a", answer=None)])
    first, second = ingest(engine, one.path).run_id, ingest(engine, two.path).run_id
    ids = question_ids_of(engine, first, ["a", "b", "unknown"])
    assert set(ids) == {"a", "b"}
    assert question_ids_of(engine, second, ["a", "b"]) == {"a": ids["a"]}
    found = chain_texts(
        engine, [*((first, one) for one in ids.values()), (second, ids["a"]), (second, ids["b"]), (99, ids["a"])]
    )
    assert set(found) == {(first, ids["a"]), (first, ids["b"]), (second, ids["a"])}
    assert found[first, ids["a"]] == ChainText(
        run_id=first,
        question_id=ids["a"],
        key="a",
        dataset="worlds",
        question="When was the maker of Alpha born (a)?",
        gold="1950",
        answer="1950",
        steps=(StepText(1, "initialization", "rationale 1"), StepText(2, "aggregation", "rationale 2")),
    )
    assert [step.ability for step in found[first, ids["b"]].steps] == ["aggregation"]
    assert found[second, ids["a"]].answer is None


def test_chains_are_found_by_the_text_of_their_question(engine: sa.Engine, make_run: RunMaker) -> None:
    questions = [make_question("a"), make_question("b")]
    one = make_run("one", questions=questions, chains=[make_chain("a"), make_chain("b")])
    two = make_run("two", questions=questions, chains=[make_chain("a")])
    first, second = ingest(engine, one.path).run_id, ingest(engine, two.path).run_id
    a = question_ids_of(engine, first, ["a"])["a"]
    found = chains_asked(engine, (first, second), [questions[0].text, "Who else?"])
    assert found == {questions[0].text: [(first, a), (second, a)]}
    assert chains_asked(engine, (second,), [questions[1].text]) == {}
