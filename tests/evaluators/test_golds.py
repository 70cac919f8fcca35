import json
import re
from pathlib import Path
from typing import Any

import pytest

from evaluators.golds import Gold, GoldFile, read_aliases, read_golds
from steper_core.errors import UserError
from steper_core.records import Question

HOTPOT = {"_id": "h", "answer": "The Lake Tiv", "supporting_facts": [["Ona", 0], ["Tiv", 1], ["Ona", 0]], "context": []}
WIKI = {
    "_id": "w",
    "answer": "Mor",
    "answer_id": "Q3",
    "supporting_facts": [["Ona", 0]],
    "evidences": [["Ona", "mouth", "Mor"]],
    "evidences_id": [["Q2", "mouth", "Q3"]],
}
MUSIQUE = {
    "id": "m",
    "answer": "Tiv",
    "answer_aliases": ["Lake Tiv", "the Tiv"],
    "answerable": True,
    "paragraphs": [{"idx": 0, "is_supporting": False}, {"idx": 7, "is_supporting": True}],
}


def read(path: Path, *rows: Any, aliases: Any = None) -> GoldFile:
    path.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    return read_golds(path, aliases)


def test_hotpotqa(tmp_path: Path) -> None:
    facts = frozenset({("Ona", 0), ("Tiv", 1)})
    assert read(tmp_path / "g", HOTPOT).golds == (Gold("h", ("The Lake Tiv",), "hotpotqa", facts=facts),)
    columns = {**HOTPOT, "supporting_facts": {"title": ["Ona", "Tiv"], "sent_id": [0, 1]}}
    assert read(tmp_path / "g", columns).golds[0].facts == facts


def test_2wikimultihopqa_with_and_without_aliases(tmp_path: Path) -> None:
    (plain,) = read(tmp_path / "g", WIKI).golds
    assert (plain.answers, plain.rules, plain.facts) == (("Mor",), "2wikimultihopqa", frozenset({("Ona", 0)}))
    (gold,) = read(tmp_path / "g", WIKI, aliases={"Q3": frozenset({"Sea of Mor"}), "Q2": frozenset({"Onä"})}).golds
    assert gold.answers == ("Mor", "Sea of Mor")
    assert gold.evidence is not None
    assert gold.evidence[0] == (frozenset({"ona", "onä"}), "mouth", frozenset({"mor", "sea of mor"}))


def test_2wikimultihopqa_rows_without_ids(tmp_path: Path) -> None:
    row = {**WIKI, "answer_id": None, "evidences_id": []}
    (gold,) = read(tmp_path / "g", row, aliases={"Q3": frozenset({"Sea of Mor"})}).golds
    assert gold.answers == ("Mor",)
    assert gold.evidence is not None and gold.evidence[0].objects == {"mor"}


def test_musique(tmp_path: Path) -> None:
    (gold,) = read(tmp_path / "g", MUSIQUE).golds
    assert gold == Gold("m", ("Tiv", "Lake Tiv", "the Tiv"), "musique", paragraphs=frozenset({7}))


def test_rows_without_support_have_answers_alone(tmp_path: Path) -> None:
    rows = [{"_id": "h", "answer": "Tiv", "context": []}, {"id": "m", "answer": "Tiv", "question_decomposition": []}]
    assert read(tmp_path / "g", *rows).golds == (Gold("h", ("Tiv",), "hotpotqa"), Gold("m", ("Tiv",), "musique"))


def test_musiques_unanswerable_rows_are_set_apart(tmp_path: Path) -> None:
    read_file = read(tmp_path / "g", MUSIQUE, {**MUSIQUE, "answerable": False})
    assert [gold.id for gold in read_file.golds] == ["m"]
    assert (read_file.unanswerable, read_file.problems) == ({"m"}, ())


@pytest.mark.parametrize("dataset", ["worlds", "hotpotqa", "musique"])
def test_our_own_questions_have_answers_alone(tmp_path: Path, dataset: str) -> None:
    question = Question(id="q", dataset=dataset, text="?", answer="Tiv", aliases=("Lake Tiv",))
    assert read(tmp_path / "g", question.model_dump()).golds == (Gold("q", ("Tiv", "Lake Tiv"), dataset),)


def test_rows_at_fault_are_left_out_with_why(tmp_path: Path) -> None:
    faults = [
        ({**HOTPOT, "answer": " "}, "'answer'"),
        ({**HOTPOT, "_id": 3}, "'_id'"),
        ({**HOTPOT, "supporting_facts": [["Ona"]]}, "'supporting_facts'"),
        ({**HOTPOT, "supporting_facts": {"title": ["Ona"]}}, "'supporting_facts'"),
        ({**WIKI, "evidences": [["a"]]}, "'evidences'"),
        ({**WIKI, "evidences_id": ["Q1"]}, "'evidences_id'"),
        ({**WIKI, "evidences_id": [["a", "b", "c"]] * 2}, "'evidences_id' has 2"),
        ({**MUSIQUE, "paragraphs": [{"idx": "7"}]}, "'paragraphs'"),
        ({**MUSIQUE, "answer_aliases": "Tiv"}, "'answer_aliases'"),
        ({"id": "q", "dataset": "worlt", "text": "?", "answer": "x"}, "did you mean 'worlds'"),
        ({"answer": "x"}, "not a row of HotpotQA.*'answer'"),
        (HOTPOT, "already stands"),
        ([1], "JSON object"),
    ]
    read_file = read(tmp_path / "g", HOTPOT, *(row for row, _ in faults))
    assert len(read_file.golds) == 1
    assert len(read_file.problems) == len(faults)
    for number, (problem, (_, message)) in enumerate(zip(read_file.problems, faults, strict=True), start=2):
        assert re.search(f"g, row {number}: .*{message}", problem), problem


def test_a_file_without_a_usable_row(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no usable question.*g, row 1.*'answer', 'sp'"):
        read(tmp_path / "g", {"answer": {}, "sp": {}})
    with pytest.raises(UserError, match="none that can be answered"):
        read(tmp_path / "g", {**MUSIQUE, "answerable": False})


def test_aliases_for_another_dataset_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no official file of 2WikiMultiHopQA"):
        read(tmp_path / "g", HOTPOT, aliases={"Q1": frozenset({"x"})})


def test_an_alias_file(tmp_path: Path) -> None:
    rows = [
        {"Q_id": "Q1", "aliases": ["a", "b"], "demonyms": ["b", "c"]},
        {"Q_id": "Q2", "aliases": "a", "demonyms": []},
        {"aliases": ["x"]},
        {"Q_id": "Q3", "aliases": [], "demonyms": []},
    ]
    (tmp_path / "a").write_text("\n".join(map(json.dumps, rows)) + "\n{")
    aliases, problems = read_aliases(tmp_path / "a")
    assert aliases == {"Q1": {"a", "b", "c"}, "Q3": frozenset()}
    assert [problem.split(": ")[0].split(", ")[1] for problem in problems] == ["row 2", "row 3", "row 5"]


def test_a_file_that_is_no_alias_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(json.dumps(HOTPOT))
    with pytest.raises(UserError, match=r"Q_id, aliases, demonyms.*a, row 1: field 'Q_id'"):
        read_aliases(tmp_path / "a")
