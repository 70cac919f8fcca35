"""Chains made elsewhere: the documented format, its defaults, and rows at fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from steper_core.chain_import import read_chains
from steper_core.errors import UserError
from steper_core.records import Ability, Passage, Question, StopReason

QUESTIONS = {name: Question(id=name, dataset="d", text=f"What is {name}?", answer="Tiv") for name in ("q1", "q2", "q3")}
MORVANE, TIV = {"title": "Morvane", "text": "A town."}, {"title": "Tiv", "text": "A lake.", "score": 3.2}


def step(rationale: str | None = None, *passages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return ({} if rationale is None else {"rationale": rationale}) | {"passages": list(passages)} | more


def row(name: str = "q1", answer: str = "Tiv", *steps: dict[str, Any]) -> dict[str, Any]:
    return {"question_id": name, "answer": answer, "steps": list(steps) or [step("", MORVANE)]}


def written(path: Path, *rows: object) -> Path:
    file = path / "chains.jsonl"
    file.write_text("".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in rows), "utf-8")
    return file


def test_the_documented_format_becomes_a_chain(tmp_path: Path) -> None:
    steps = [step("Ona was born\n in Morvane.", MORVANE, query="Ona"), step("It lies at Tiv.", TIV), step(None)]
    found = read_chains(written(tmp_path, row("q1", " Lake  Tiv ", *steps)), QUESTIONS)
    (chain,) = found.chains
    passages = (Passage.of("Morvane", "A town."), Passage.of("Tiv", "A lake."))
    assert found.passages == passages and found.problems == ()
    assert chain.question_id == "q1"
    assert (chain.answer, chain.stop_reason) == ("Lake Tiv", StopReason.ANSWERED)
    assert chain.rationales == ("Ona was born in Morvane.", "It lies at Tiv.", "So the answer is: Lake Tiv")
    assert [each.ability for each in chain.steps] == [Ability.INITIALIZATION, Ability.EXPANSION, Ability.AGGREGATION]
    assert [each.number for each in chain.steps] == [1, 2, 3]
    assert chain.passage_ids == tuple(passage.id for passage in passages)


def test_the_default_query_is_the_question_and_then_the_last_line(tmp_path: Path) -> None:
    steps = [step("One."), step("Two."), step("Three.", query="mine"), step("")]
    (chain,) = read_chains(written(tmp_path, row("q1", "Tiv", *steps)), QUESTIONS).chains
    assert [each.query for each in chain.steps] == ["What is q1?", "One.", "mine", "Three."]


def test_the_last_line_becomes_the_answer_line_whatever_it_said(tmp_path: Path) -> None:
    (chain,) = read_chains(written(tmp_path, row("q1", "Tiv", step("So the answer is: Morvane"))), QUESTIONS).chains
    assert chain.rationales == ("So the answer is: Tiv",)
    assert [each.ability for each in chain.steps] == [Ability.AGGREGATION]


@pytest.mark.parametrize(
    ("last", "lines"),
    [
        ("It lies at Tiv.", ("One.", "It lies at Tiv.", "So the answer is: Tiv")),
        ("so the answer is: Morvane.", ("One.", "So the answer is: Tiv")),
        ("tiv.", ("One.", "So the answer is: Tiv")),
    ],
)
def test_a_last_rationale_that_is_no_answer_is_kept_and_the_answer_follows(
    tmp_path: Path, last: str, lines: tuple[str, ...]
) -> None:
    found = read_chains(written(tmp_path, row("q1", "Tiv", step("One.", MORVANE), step(last, TIV))), QUESTIONS)
    (chain,) = found.chains
    assert chain.rationales == lines and found.completed == (len(lines) == 3)
    assert [len(each.retrieved) for each in chain.steps] == [1, 1, 0][: len(lines)]
    assert chain.steps[-1].ability is Ability.AGGREGATION


def test_a_passage_named_again_is_retrieved_once_and_ranks_stay_whole(tmp_path: Path) -> None:
    steps = [step("One.", MORVANE, MORVANE), step("Two.", MORVANE, TIV), step(None)]
    found = read_chains(written(tmp_path, row("q1", "Tiv", *steps), row("q2", "Tiv", step(None, TIV))), QUESTIONS)
    assert [[hit.rank for hit in each.retrieved] for each in found.chains[0].steps] == [[1], [1], []]
    assert found.chains[1].passage_ids == (Passage.of("Tiv", "A lake.").id,)
    assert len(found.passages) == 2


def test_rows_at_fault_are_named_with_their_lines_and_the_rest_is_kept(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        row("q1"),
        "",
        '{"question_id": "q2", "ans',
        row("q9"),
        row("q1", "Other"),
        {"question_id": "q2", "answer": "Tiv"},
        {"question_id": "q2", "answer": "", "steps": [{}]},
        row("q2", "Tiv", {"passages": [{"title": "no text"}]}),
        {"question_id": "q2", "answer": "Tiv", "steps": []},
        row("q3", "Last"),
    )
    found = read_chains(file, QUESTIONS)
    assert [(chain.question_id, chain.answer) for chain in found.chains] == [("q1", "Tiv"), ("q3", "Last")]
    assert [problem.row for problem in found.problems] == [3, 4, 5, 6, 7, 8, 9]
    messages = [str(problem) for problem in found.problems]
    assert (
        messages[1]
        == f"{file}, row 4: question_id 'q9' is not among the 3 questions asked for here (data.train_questions)"
    )
    assert messages[2] == f"{file}, row 5: question_id 'q1' stands in an earlier row"
    for message, named in zip(
        (messages[0], *messages[3:]),
        ("Invalid JSON", "'steps'", "'answer'", "'steps.0.passages.0.text'", "'steps'"),
        strict=True,
    ):
        assert named in message


def test_a_row_at_fault_does_not_reserve_its_question(tmp_path: Path) -> None:
    found = read_chains(written(tmp_path, row("q1", ""), row("q1", "Tiv")), QUESTIONS)
    assert [chain.answer for chain in found.chains] == ["Tiv"] and len(found.problems) == 1


@pytest.mark.parametrize("rows", [[], [""], [row("q9")], ["no json"]])
def test_a_file_without_a_usable_chain_is_an_error(tmp_path: Path, rows: list[object]) -> None:
    with pytest.raises(UserError, match="holds no usable chain") as caught:
        read_chains(written(tmp_path, *rows), QUESTIONS)
    assert ("row 1" in str(caught.value)) == (bool(rows) and rows != [""])


def test_a_file_that_is_missing_or_no_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read as text"):
        read_chains(tmp_path / "none.jsonl", QUESTIONS)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read as text"):
        read_chains(tmp_path / "binary", QUESTIONS)


def test_a_separator_inside_a_text_does_not_end_a_row(tmp_path: Path) -> None:
    rows = [row("q1", "Tiv", step("One\u2028two.")), "broken", row("q2")]
    file = tmp_path / "chains.jsonl"
    file.write_text("\ufeff" + "\n".join(r if isinstance(r, str) else json.dumps(r, ensure_ascii=False) for r in rows))
    found = read_chains(file, QUESTIONS)
    assert [chain.question_id for chain in found.chains] == ["q1", "q2"]
    assert [problem.row for problem in found.problems] == [2]


def test_passages_get_the_ids_that_dataset_readers_give(tmp_path: Path) -> None:
    wide = {"title": " Morvane ", "text": "A\n  town.\0"}
    (found,) = read_chains(written(tmp_path, row("q1", "Tiv", step(None, wide))), QUESTIONS).passages
    assert found == Passage.of("Morvane", "A town.")


def test_an_answer_before_the_last_step_is_a_fault_of_its_row(tmp_path: Path) -> None:
    early = row("q1", "Tiv", step("So the answer is: Tiv"), step("One."), step(None))
    found = read_chains(written(tmp_path, early, row("q2")), QUESTIONS)
    assert [chain.question_id for chain in found.chains] == ["q2"]
    assert "step 1 of 3" in found.problems[0].message


@pytest.mark.parametrize("nothing", [None, " \n"])
def test_a_step_without_a_rationale_is_a_fault_of_its_row(tmp_path: Path, nothing: str | None) -> None:
    bare = row("q1", "Tiv", step(nothing, MORVANE), step("One."), step(None))
    found = read_chains(written(tmp_path, bare, row("q2")), QUESTIONS)
    assert [chain.question_id for chain in found.chains] == ["q2"]
    assert "step 1 of 3 has no rationale" in found.problems[0].message


def test_an_answer_of_blanks_is_a_fault_and_a_flag_in_the_answer_is_not_doubled(tmp_path: Path) -> None:
    found = read_chains(written(tmp_path, row("q1", "  "), row("q2", "So the answer is: Tiv.")), QUESTIONS)
    assert [chain.answer for chain in found.chains] == ["Tiv"]
    assert found.chains[0].rationales == ("So the answer is: Tiv",)
    assert "'answer'" in found.problems[0].message
