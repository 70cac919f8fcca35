"""Chains of an earlier collect run, filtered anew without asking the teacher."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.collecting import collected_alike, keep_rule
from app.options import open_place
from steper_core.config import CollectSection
from steper_core.records import Chain, Question, Step, StopReason, ability_of
from steper_core.run_records import RunKind, RunStatus
from steper_core.rundir import RunDir, open_run
from tests.app.test_cli import wiki_row, write_rows

SETTINGS = ("worlds.passages=60", "worlds.train_questions=6", "worlds.held_out_questions=2", "worlds.test_questions=4")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STEPER_DATABASE_URL", raising=False)
    return tmp_path / "runs"


def steper(*arguments: str, settings: tuple[str, ...] = ()) -> Result:
    options = [part for setting in (*SETTINGS, *settings) for part in ("-s", setting)]
    return CliRunner().invoke(main, [*arguments, *options])


def test_chains_of_an_earlier_run_are_filtered_anew_and_keep_their_author(folder: Path) -> None:
    # Of one passage a step many gold passages are missed.
    strict = ("retrieval.top_k=1", "collect.gold_passage_filter=true")
    assert steper("collect", "--name", "strict", settings=strict).exit_code == 0
    before = RunDir(folder / "strict")
    rejected = {entry.chain.question_id: entry.chain for entry in before.rejected()}
    assert rejected
    result = steper("collect", "--name", "wide", "--from-run", "strict", settings=("teacher.temperature=0.5",))
    assert result.exit_code == 0, result.output
    after = RunDir(folder / "wide")
    chains = {chain.question_id: chain for chain in (*before.chains(), *rejected.values())}
    assert {chain.question_id: chain for chain in after.chains()} == chains and len(chains) == 8
    assert {passage.id for passage in after.passages()} >= {
        key for chain in chains.values() for key in chain.passage_ids
    }
    # How they were made is what is recorded, not what this command would have asked a teacher for.
    config = after.info.config
    assert config["from_run"] == before.info.uid
    assert (config["retrieval"]["top_k"], config["teacher"]["temperature"]) == (1, 0.0)
    assert after.info.model == "gold"


@pytest.mark.parametrize(
    ("answer", "stop", "reason"),
    [
        ("They met in Tiv.", StopReason.ANSWERED, None),
        ("Tivoli", StopReason.ANSWERED, "answer fails contains"),
        (None, StopReason.TOO_LONG, "no answer (too long)"),
        (None, StopReason.REFUSED, "no answer (refused)"),
    ],
)
def test_an_answer_contains_the_gold_one_in_whole_words(
    answer: str | None, stop: StopReason, reason: str | None
) -> None:
    question = Question(id="q", dataset="worlds", text="Where?", answer="Tiv")
    chain = Chain(question_id="q", steps=(), answer=answer, stop_reason=stop)
    assert keep_rule(CollectSection(answer_filter="contains"))(question, chain) == reason


@pytest.mark.parametrize(
    ("first", "is_cut", "reason"),
    [
        ("One fact.", False, None),
        ("", False, "an empty step"),
        ("One fa", True, "a line cut at reasoning.max_new_tokens"),
    ],
)
def test_a_step_that_is_empty_or_cut_teaches_nothing(first: str, is_cut: bool, reason: str | None) -> None:
    question = Question(id="q", dataset="worlds", text="Where?", answer="Tiv")
    steps = tuple(
        Step(
            number=number,
            ability=ability_of(number, 2),
            query="",
            retrieved=(),
            rationale=line,
            prompt_tokens=0,
            output_tokens=0,
            seconds=0.0,
            cut=is_cut and number == 1,
        )
        for number, line in enumerate((first, "So the answer is: Tiv"), start=1)
    )
    chain = Chain(question_id="q", steps=steps, answer="Tiv", stop_reason=StopReason.ANSWERED)
    assert keep_rule(CollectSection())(question, chain) == reason


def test_a_teachers_run_is_known_again_wherever_its_files_are_found(tmp_path: Path, folder: Path) -> None:
    write_rows(tmp_path / "train.json", [wiki_row(1), wiki_row(2)])
    settings = ("data.held_out_questions=0", "retrieval.top_k=1")
    options = [part for setting in settings for part in ("-s", setting)]
    result = CliRunner().invoke(main, ["collect", "--name", "g", "-d", "train.json", *options])
    assert result.exit_code == 0, result.output
    again = open_place(None, settings, ("./train.json",), folder)
    # Where both spellings were asked, the one that was finished first has taught.
    for name, status in (("a", RunStatus.INTERRUPTED), ("z", RunStatus.FINISHED)):
        shutil.copytree(folder / "g", folder / name)
        RunDir(folder / name).update(status=status, started=RunDir(folder / "g").info.started + timedelta(days=1))
    runs = [RunDir(folder / name) for name in ("a", "z", "g")]
    found = collected_alike(again, runs)
    assert found is not None and found.path.name == "g"
    assert collected_alike(again, runs[:2]) is runs[1] and collected_alike(again, runs[:1]) is runs[0]
    other = open_place(None, (settings[0], "retrieval.top_k=2"), ("train.json",), folder)
    assert collected_alike(other, runs) is None


def test_no_question_left_to_train_on_is_told_before_a_teacher_is_asked() -> None:
    none = steper("collect", "--name", "gold", settings=("worlds.train_questions=0",))
    assert none.exit_code == 2 and "there are no training questions" in none.stderr


def test_questions_that_nothing_can_score_are_refused_before_a_model_is_asked(tmp_path: Path, folder: Path) -> None:
    rows = [
        {"id": f"q{n}", "dataset": "mydata", "text": f"Where is {n}?", "answer": "x", "hops": []} for n in range(30)
    ]
    for name in ("train", "dev"):
        lines = "".join(
            json.dumps({**row, "id": f"{name}-{row['id']}", "text": f"{name} {row['text']}"}) + "\n" for row in rows
        )
        (tmp_path / f"{name}.jsonl").write_text(lines, "utf-8")
    (tmp_path / "corpus.jsonl").write_text(json.dumps({"title": "T", "text": "Text."}) + "\n", "utf-8")
    for command in ("collect", "evaluate"):
        result = CliRunner().invoke(main, [command, "--name", "x", "-d", str(tmp_path)])
        assert result.exit_code == 2 and "no answer rules for 'mydata'" in result.output
        assert not (folder / "x").exists()


def test_chains_of_other_questions_are_left_out_and_counted(folder: Path) -> None:
    assert steper("collect", "--name", "gold").exit_code == 0
    # Another world numbers its questions alike.
    other = steper("collect", "--name", "other", "--from-run", "gold", settings=("worlds.seed=9",))
    assert "8 chains of gold left out" in other.output and "kept 0 chains" in other.output


def test_a_run_that_lacks_a_passage_of_its_chains_is_refused(folder: Path) -> None:
    assert steper("collect", "--name", "gold").exit_code == 0
    (folder / "gold" / "passages.jsonl").unlink()
    result = steper("collect", "--name", "again", "--from-run", "gold")
    assert result.exit_code == 2 and "names the passage" in result.stderr


def test_what_is_no_source_of_chains(folder: Path) -> None:
    assert steper("collect", "--name", "gold").exit_code == 0
    both = steper("collect", "--name", "x", "--from-run", "gold", "--chains", "mine.jsonl")
    assert both.exit_code == 2 and "give one of them" in both.stderr
    with open_run(folder / "eval", kind=RunKind.EVALUATE, config={}, dataset="worlds", model="m"):
        pass
    evaluation = steper("collect", "--name", "x", "--from-run", "eval")
    assert evaluation.exit_code == 2 and "no collect run" in evaluation.stderr
