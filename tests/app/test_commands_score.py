"""`steper score` and `steper export`: figures on stdout, everything else on stderr, and the two agree with the run."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.commands_score import export, score
from app.options import Group
from evaluators.answers import score_answer
from steper_core.records import Chain, Question, StopReason
from steper_core.run_records import Rejection, RunKind
from steper_core.rundir import open_run

HOTPOT = [
    {"_id": "q", "answer": "Lake Tiv", "supporting_facts": [["Ona", 0]]},
    {"_id": "r", "answer": "no", "supporting_facts": [["Tiv", 1]]},
]
WIKI = {
    "_id": "w",
    "answer": "Mor",
    "answer_id": "Q3",
    "supporting_facts": [["Ona", 0]],
    "evidences": [["Ona", "mouth", "Mor"]],
    "evidences_id": [["Q2", "mouth", "Q3"]],
}


def steper(*arguments: str) -> Result:
    return CliRunner().invoke(Group("steper", commands={"score": score, "export": export}), arguments)


def refused(result: Result) -> str:
    """The one line of a refusal."""
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("steper: ")
    return line


def figures(*arguments: str) -> dict[str, float]:
    result = steper("score", *arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, float] = json.loads(result.stdout)
    return found


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands run in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: str, value: Any) -> str:
    Path(path).write_text(json.dumps(value), "utf-8")
    return path


def write_lines(path: str, rows: list[Any]) -> str:
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def make_run(answers: dict[str, str | None], dataset: str, *, rejected: tuple[str, ...] = ()) -> list[Question]:
    """A run named `mine` whose questions have the answers q -> "Lake Tiv", r -> "no", others -> "Mor"."""
    golds = {"q": "Lake Tiv", "r": "no"}
    questions = [
        Question(id=identity, dataset=dataset, text="?", answer=golds.get(identity, "Mor"), aliases=("the Tiv",))
        for identity in ("r", "q", "s")
    ]
    chains = [
        Chain(question_id=identity, steps=(), answer=answer, stop_reason=StopReason.ANSWERED)
        for identity, answer in answers.items()
    ]
    with open_run(Path("runs/mine"), kind=RunKind.EVALUATE, config={}, dataset=dataset, model="m") as run:
        run.write_questions(questions)
        run.append_chains(chain for chain in chains if chain.question_id not in rejected)
        run.append_rejected(Rejection(reason="wrong", chain=chain) for chain in chains if chain.question_id in rejected)
    return questions


def test_json_holds_fractions_and_stdout_nothing_else() -> None:
    gold = write("gold.json", HOTPOT)
    said = write("said.json", {"answer": {"q": "the lake", "z": "x"}, "sp": {"q": [["Ona", 0]]}})
    result = steper("score", said, "--gold", gold, "--json")
    found = json.loads(result.stdout)
    # q: "lake" against "lake tiv": precision 1, recall 1/2, F1 2/3; r is missing
    assert (found["em"], found["precision"], found["recall"], found["f1"]) == (0.0, 0.5, 0.25, pytest.approx(1 / 3))
    assert (found["sp_em"], found["joint_precision"], found["joint_recall"]) == (0.5, 0.5, 0.25)
    assert "1 of 2 questions have no answer predicted" in result.stderr
    assert "1 of 2 questions have no supporting facts predicted" in result.stderr
    assert "1 predicted ids are of no question in gold.json" in result.stderr


def test_a_table_says_percent_n_and_what_is_missing() -> None:
    gold = write("gold.json", HOTPOT)
    said = write_lines("said.jsonl", [{"id": "q", "prediction": "Lake Tiv"}, {"id": "z", "prediction": "x"}, {"id": 1}])
    result = steper("score", said, "--gold", gold)
    assert result.exit_code == 0
    (row,) = [line for line in result.stdout.splitlines() if " em " in line]
    assert "50.00" in row and " 2 " in row
    told = "2 questions, 1 without a prediction, 1 predictions for unknown ids, 1 predictions at fault"
    assert told in result.stdout
    assert "said.jsonl, row 3" in result.stderr and "sp_* unscored: the predictions hold no" in result.stderr


def test_aliases_count_for_answers_and_evidence() -> None:
    gold = write("gold.json", [WIKI])
    aliases = write_lines("aliases.jsonl", [{"Q_id": "Q3", "aliases": ["Sea of Mor"], "demonyms": []}])
    evidence = {"w": [["Ona", "mouth", "Sea of Mor"]]}
    said = write("said.json", {"answer": {"w": "Sea of Mor"}, "sp": {"w": [["Ona", 0]]}, "evidence": evidence})
    with_aliases = figures(said, "--gold", gold, "--aliases", aliases)
    assert {with_aliases[name] for name in ("em", "evidence_em", "joint_em", "joint_f1")} == {1.0}
    assert figures(said, "--gold", gold)["evidence_em"] == 0.0
    assert "without --aliases" in steper("score", said, "--gold", gold).stderr


def test_many_rows_at_fault_are_counted() -> None:
    gold = write("gold.json", HOTPOT)
    said = write_lines("said.jsonl", [{"id": "q", "prediction": "Lake Tiv"}, *[{"id": "q"}] * 13])
    result = steper("score", said, "--gold", gold, "--json")
    assert result.stderr.count("(left out)") == 10
    assert "3 more rows left out" in result.stderr


def test_support_at_fault_counts_0_and_is_told() -> None:
    gold = write("gold.json", HOTPOT)
    said = write("said.json", {"answer": {"q": "Lake Tiv"}, "sp": {"q": ["Ona"], "r": [["Tiv", 1]]}})
    result = steper("score", said, "--gold", gold)
    assert "1 predictions at fault" in result.stdout
    assert "said.json, supporting facts of 'q': must be a list of pairs" in result.stderr
    assert figures(said, "--gold", gold)["sp_em"] == 0.5


def test_gold_rows_at_fault_are_left_out() -> None:
    gold = write("gold.json", [*HOTPOT, {"_id": "s", "supporting_facts": []}])
    result = steper("score", write("said.json", {"answer": {"q": "Lake Tiv"}}), "--gold", gold, "--json")
    assert json.loads(result.stdout)["em"] == 0.5
    assert "gold.json, row 3: field 'answer'" in result.stderr and "(left out)" in result.stderr


def test_unanswerable_questions_are_not_scored() -> None:
    rows = [{"id": "q", "answer": "Tiv", "paragraphs": []}, {"id": "r", "answerable": False, "paragraphs": []}]
    gold = write_lines("gold.jsonl", rows)
    result = steper("score", write_lines("said.jsonl", [{"id": "q", "prediction": "Tiv"}]), "--gold", gold, "--json")
    assert json.loads(result.stdout)["em"] == 1.0
    assert "gold.jsonl: 1 unanswerable questions are not scored" in result.stderr


def test_a_users_mistakes() -> None:
    gold = write("gold.json", HOTPOT)
    said = write("said.json", {"answer": {"q": "x"}})
    assert "nowhere.json" in refused(steper("score", "nowhere.json", "--gold", gold))
    assert "nowhere.json" in refused(steper("score", said, "--gold", "nowhere.json"))
    assert "said.json, row 1" in refused(steper("score", said, "--gold", said))
    assert "gold.json, row 1" in refused(steper("score", gold, "--gold", gold))
    aliases = write_lines("aliases.jsonl", [{"Q_id": "Q3", "aliases": [], "demonyms": []}])
    assert "gold.json" in refused(steper("score", said, "--gold", gold, "--aliases", aliases))
    Path("torn.json").write_text('{"answer": {"q"')
    assert "torn.json, line 1" in refused(steper("score", "torn.json", "--gold", gold))


@pytest.mark.parametrize("dataset", ["hotpotqa", "2wikimultihopqa", "musique", "worlds"])
@pytest.mark.parametrize("file_format", ["hotpotqa", "2wikimultihopqa", "musique"])
def test_an_exported_run_scores_as_the_run_does(dataset: str, file_format: str) -> None:
    answers = {"q": "Tiv, the lake", "r": "no, never", "s": None}
    questions = make_run(answers, dataset)
    assert steper("export", "mine", "--format", file_format, "--out", "said").exit_code == 0
    found = figures("said", "--gold", "runs/mine/questions.jsonl")
    scores = [score_answer(answers[question.id], question.golds, dataset) for question in questions]
    assert ("precision" in found) == (dataset != "musique") and len(found) == (4 if dataset == "musique" else 6)
    for name, value in found.items():
        assert value == pytest.approx(mean(getattr(each, name) for each in scores)), name


@pytest.mark.parametrize("file_format", ["hotpotqa", "2wikimultihopqa"])
def test_what_was_written_empty_is_unscored(file_format: str) -> None:
    make_run({"q": "Lake Tiv", "r": "no", "s": "Mor"}, "hotpotqa")
    exported = steper("export", "mine", "--format", file_format)
    assert exported.exit_code == 0 and "supporting sentences (sp)" in exported.stderr
    Path("said.json").write_text(exported.stdout)
    result = steper("score", "said.json", "--gold", write("gold.json", HOTPOT), "--json")
    assert json.loads(result.stdout)["em"] == 1.0
    assert not [name for name in json.loads(result.stdout) if name.startswith(("sp_", "joint_", "evidence_"))]
    assert "sp_* unscored" in result.stderr and "joint_* unscored" in result.stderr


def test_questions_are_written_in_the_order_of_the_run_or_of_the_gold_file() -> None:
    make_run({"q": "Lake Tiv", "s": "Mor"}, "musique")
    exported = steper("export", "mine", "--format", "musique")
    rows = [json.loads(line) for line in exported.stdout.splitlines()]
    assert [(row["id"], row["predicted_answer"]) for row in rows] == [("r", ""), ("q", "Lake Tiv"), ("s", "Mor")]
    assert "1 of 3 questions have no chain" in exported.stderr and "--gold" in exported.stderr
    gold = [{"id": identity, "answer": "x", "paragraphs": []} for identity in ("t", "q")]
    exported = steper("export", "mine", "--format", "musique", "--gold", write_lines("gold.jsonl", gold))
    rows = [json.loads(line) for line in exported.stdout.splitlines()]
    assert [(row["id"], row["predicted_answer"]) for row in rows] == [("t", ""), ("q", "Lake Tiv")]
    assert "1 of 2 questions have no chain" in exported.stderr
    assert "1 chains are of questions that gold.jsonl does not hold" in exported.stderr


def test_rejected_chains_are_answers_too() -> None:
    make_run({"q": "Lake Tiv", "r": "yes", "s": "Mor"}, "hotpotqa", rejected=("r",))
    tables = json.loads(steper("export", "runs/mine", "--format", "hotpotqa").stdout)
    assert tables["answer"] == {"r": "yes", "q": "Lake Tiv", "s": "Mor"}


def test_mistakes_in_export() -> None:
    assert "no run named 'other'" in refused(steper("export", "other", "--format", "musique"))
    make_run({}, "hotpotqa")
    assert "holds no chains" in refused(steper("export", "mine", "--format", "hotpotqa"))
    assert steper("export", "mine", "--format", "squad").exit_code == 2


def test_a_file_that_cannot_be_written() -> None:
    make_run({"q": "Lake Tiv"}, "hotpotqa")
    line = refused(steper("export", "mine", "--format", "hotpotqa", "--out", "no/such/folder/said.json"))
    assert "no/such/folder/said.json: cannot be written" in line
