"""The command line: a user's mistake ends in one line that names it and the way out, with exit code 2."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from steper_core.run_records import RunKind
from steper_core.rundir import RunDir, open_run
from tests.fakes.judge_server import Reply, chat, fault, serve

SMALL_WORLD = ("worlds.passages=60", "worlds.train_questions=6", "worlds.held_out_questions=0")
SMALL_ASKED = (*SMALL_WORLD, "worlds.test_questions=4")


def steper(*arguments: str, settings: tuple[str, ...] = ()) -> Result:
    options = [part for setting in settings for part in ("-s", setting)]
    return CliRunner().invoke(main, [*arguments, *options])


def refused(result: Result) -> str:
    """The one line of a refusal."""
    assert result.exit_code == 2, result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("steper: "), result.stderr
    return lines[0]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands run in an empty folder with its own database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STEPER_DATABASE_URL", raising=False)
    return tmp_path


def wiki_row(number: int, **changes: object) -> dict[str, object]:
    """An invented row in the format of 2WikiMultiHopQA."""
    town, river = f"Orvale {number}", f"River Tamsin {number}"
    row = {
        "_id": f"id{number}",
        "type": "compositional",
        "question": f"Into which sea does the river of {town} flow?",
        "context": [
            [town, [f"{town} is a town on the {river}."]],
            [river, [f"The {river} flows into the Sea of Mor {number}."]],
        ],
        "supporting_facts": [[town, 0], [river, 0]],
        "evidences": [[town, "river", river], [river, "sea", f"Sea of Mor {number}"]],
        "answer": f"Sea of Mor {number}",
        "evidences_id": [],
        "answer_id": None,
    }
    return {**row, **changes}


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text(json.dumps(rows), "utf-8")
    return path


def test_a_missing_file_is_named(folder: Path) -> None:
    assert "nowhere.json" in refused(steper("data", "describe", "nowhere.json"))


def test_what_acts_on_a_terminal_is_written_out() -> None:
    said = refused(steper("collect", "--name", "c", "-d", "\x1b[2Jgone.json"))
    assert "\x1b" not in said and "[U+001B]" in said


def test_an_unknown_format_is_named(folder: Path) -> None:
    (folder / "train.json").write_text('[{"foo": 1}]')
    assert "train.json" in refused(steper("data", "describe", "train.json"))


def test_truncated_json_names_file_and_line(folder: Path) -> None:
    text = json.dumps([wiki_row(1), wiki_row(2)], indent=1)
    (folder / "train.json").write_text(text[: len(text) // 2])
    line = refused(steper("data", "describe", "train.json"))
    assert "train.json" in line and "line" in line


def test_rows_at_fault_are_reported_and_the_rest_is_read(folder: Path) -> None:
    rows = [wiki_row(1), wiki_row(2, question=""), wiki_row(3, answer=""), wiki_row(1), wiki_row(4)]
    write_rows(folder / "train.json", rows)
    result = steper("data", "describe", "train.json")
    assert result.exit_code == 0
    for number in (2, 3, 4):
        assert f"row {number}" in result.output
    assert "row 1:" not in result.output and "row 5:" not in result.output


@pytest.mark.parametrize("command", ["demo", "collect"])
def test_a_misspelt_key_is_refused_with_the_nearest_right_one(command: str) -> None:
    named = () if command == "demo" else ("--name", "x")
    line = refused(steper(command, *named, settings=("retrieval.topk=2",)))
    assert "retrieval.topk" in line and "retrieval.top_k" in line


def test_top_k_beyond_the_corpus_is_refused_with_the_largest_that_works() -> None:
    line = refused(steper("collect", "--name", "x", settings=(*SMALL_ASKED, "retrieval.top_k=61")))
    assert "retrieval.top_k = 61" in line and "at most 60" in line


def test_an_empty_corpus_is_refused(folder: Path) -> None:
    write_rows(folder / "train.json", [wiki_row(1), wiki_row(2)])
    (folder / "corpus.jsonl").write_text("")
    line = refused(steper("collect", "--name", "x", "-d", "train.json", settings=('data.corpus=["corpus.jsonl"]',)))
    assert "corpus" in line


def test_a_folder_that_is_no_checkpoint_is_named_with_what_it_lacks(folder: Path) -> None:
    (folder / "model").mkdir()
    settings = (*SMALL_ASKED, "student.model=model")
    line = refused(steper("evaluate", "--name", "x", settings=settings))
    assert "model is no checkpoint folder" in line and "config.json" in line
    assert RunDir(folder / "runs" / "x").info.error is not None


def test_a_name_that_leads_out_of_the_runs_folder_is_refused(folder: Path) -> None:
    for name in ("../x", "/tmp/x", ".."):
        line = refused(steper("collect", "--name", name, settings=SMALL_ASKED))
        assert "cannot name a run" in line and repr(name) in line
    assert not (folder / "x").exists()


def test_a_training_run_that_does_not_exist_is_named() -> None:
    assert "missing" in refused(steper("train", "--name", "x", "--teacher-run", "missing", settings=SMALL_ASKED))


def test_an_evaluation_of_a_run_that_is_no_training_run_is_refused() -> None:
    assert steper("collect", "--name", "gold", settings=SMALL_ASKED).exit_code == 0
    line = refused(steper("evaluate", "--name", "x", "--student", "gold", settings=SMALL_ASKED))
    assert "no finished training run" in line


def test_a_question_longer_than_the_context_is_recorded_and_the_rest_goes_on(folder: Path, tiny_model: Path) -> None:
    rows = [wiki_row(1), wiki_row(2, question="Where? " * 1000), wiki_row(3)]
    write_rows(folder / "train.json", [wiki_row(9)])
    write_rows(folder / "dev.json", rows)
    settings = (f"student.model={tiny_model}", "student.demonstrations=0", "reasoning.max_new_tokens=4")
    settings = (*settings, "data.held_out_questions=0", "retrieval.top_k=1", "reasoning.max_steps=2")
    result = steper("evaluate", "--name", "x", "-d", "train.json", "-d", "dev.json", settings=settings)
    assert result.exit_code == 0, result.output
    stopped = {chain.question_id: chain.stop_reason.value for chain in RunDir(folder / "runs" / "x").chains()}
    assert stopped["id2"] == "too_long"
    assert "too_long" not in (stopped["id1"], stopped["id3"])
    assert RunDir(folder / "runs" / "x").info.counts["stopped: too_long"] == 1
    assert "x: 1 chains ended without an answer, for their next prompt did not fit" in " ".join(result.output.split())


def test_a_database_of_a_newer_version_is_refused(folder: Path) -> None:
    assert steper("collect", "--name", "gold", settings=SMALL_ASKED).exit_code == 0
    with sqlite3.connect(folder / "runs" / "steper.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "newer" in refused(steper("ingest"))


def test_a_torn_last_line_is_left_out_and_told(folder: Path) -> None:
    assert steper("collect", "--name", "gold", settings=SMALL_ASKED).exit_code == 0
    (folder / "runs" / "steper.db").unlink()
    with (folder / "runs" / "gold" / "chains.jsonl").open("ab") as file:
        file.write(b'{"question_id": "tor')
    result = steper("ingest")
    assert result.exit_code == 0
    assert "6 chains" in result.output and "torn" in result.output


def test_a_run_with_an_invalid_line_is_kept_out_alone_and_the_command_fails(folder: Path) -> None:
    for name in ("broken", "gold"):
        assert steper("collect", "--name", name, settings=SMALL_ASKED).exit_code == 0
    (folder / "runs" / "steper.db").unlink()
    with (folder / "runs" / "broken" / "chains.jsonl").open("ab") as file:
        file.write(b'{"question_id": 7}\n')
    result = steper("ingest")
    assert refused(result) == "steper: 1 of 2 run directories kept out, as the warnings say"
    assert "gold: 6 chains" in result.stdout and "broken" in result.stdout


def test_ingesting_twice_changes_nothing() -> None:
    assert steper("collect", "--name", "gold", settings=SMALL_ASKED).exit_code == 0
    assert "up to date" in steper("ingest").output


def test_collect_tells_what_was_kept_and_why_the_rest_was_not(folder: Path) -> None:
    result = steper("collect", "--name", "gold", settings=(*SMALL_ASKED, "collect.gold_passage_filter=true"))
    run = RunDir(folder / "runs" / "gold")
    kept, rejected = list(run.chains()), list(run.rejected())
    assert len(kept) + len(rejected) == 6
    assert f"kept {len(kept)} chains" in result.output
    assert {entry.reason for entry in rejected} <= {"gold passage missing"}


def test_a_teacher_at_a_server_is_recorded_with_the_parameters_it_is_said_to_have(folder: Path) -> None:
    with serve() as server:
        named = ("teacher.backend=openai", "teacher.model=big", f"teacher.base_url={server.url}")
        teacher = (*named, "reasoning.max_steps=1")
        sizes = ("teacher.parameters=47000000000", "teacher.active_parameters=13000000000")
        result = steper("collect", "--name", "x", settings=(*SMALL_ASKED, *teacher, *sizes))
    assert result.exit_code == 0, result.output
    assert RunDir(folder / "runs" / "x").info.facts == {"parameters_total": 47e9, "parameters_active": 13e9}


def test_a_teacher_goes_on_at_another_address_and_with_other_calls_at_once(folder: Path) -> None:
    steps = ("teacher.backend=openai", "teacher.model=big", "reasoning.max_steps=1", *SMALL_ASKED)
    with serve() as first:
        named = (f"teacher.base_url={first.url}", *steps)
        assert steper("collect", "--name", "x", settings=named).exit_code == 0
    run = RunDir(folder / "runs" / "x")
    run.update(status="interrupted")
    asked = run.path / "rejected.jsonl"
    asked.write_text(asked.read_text().splitlines(keepends=True)[0])
    with serve() as second:
        moved = (f"teacher.base_url={second.url}", "teacher.batch_size=3", *steps)
        again = steper("collect", "--name", "x", settings=moved)
    assert again.exit_code == 0, again.output
    assert run.info.config["teacher"]["base_url"] == second.url


def test_what_the_teachers_server_refuses_is_told_and_noted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-7f3a")
    with serve() as server:
        server.probed = lambda body: next(
            (fault(400, "no", option) for option in ("max_tokens", "temperature") if option in body),
            Reply(chat("So the answer is: Tiv")),
        )
        teacher = ("teacher.backend=openai", "teacher.model=big", f"teacher.base_url={server.url}")
        result = steper("collect", "--name", "big", settings=(*SMALL_WORLD, *teacher))
    assert result.exit_code == 0, result.output
    assert "refuses the option temperature: it was left out" in result.output and "max_tokens" not in result.output
    assert RunDir(folder / "runs" / "big").info.facts == {"server_refuses_temperature": 1.0}


def test_chains_made_elsewhere_are_brought_in_and_filtered(folder: Path) -> None:
    write_rows(folder / "train.json", [wiki_row(1), wiki_row(2)])
    passage = {"title": "Orvale 1", "text": "Orvale 1 is a town on the River Tamsin 1."}
    rows = [
        {
            "question_id": "id1",
            "answer": "Sea of Mor 1",
            "steps": [{"rationale": "It lies on the River Tamsin 1.", "passages": [passage]}, {"rationale": ""}],
        },
        {"question_id": "id2", "answer": "the moon", "steps": [{"rationale": "A guess."}]},
        {"question_id": "id7", "answer": "x", "steps": [{"rationale": "y"}]},
    ]
    (folder / "mine.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    options = ("--name", "mine", "-d", "train.json", "--chains", "mine.jsonl")
    result = steper("collect", *options, settings=("data.held_out_questions=0", "retrieval.top_k=1"))
    assert result.exit_code == 0, result.output
    run = RunDir(folder / "runs" / "mine")
    assert [chain.question_id for chain in run.chains()] == ["id1"]
    assert [entry.chain.question_id for entry in run.rejected()] == ["id2"]
    assert "row 3" in result.output and "id7" in result.output
    # The guess stands where the answer line should: it is kept, and the answer line added.
    assert "chains that end without an answer line: 1;" in result.output
    (folder / "mine.jsonl").write_text("\n".join(json.dumps(row) for row in rows[:1]))
    write_rows(folder / "train.json", [wiki_row(1) | {"answer": "elsewhere"}, wiki_row(2)])
    again = steper("collect", *options, settings=("data.held_out_questions=0", "retrieval.top_k=1"))
    assert again.exit_code == 2 and "changed: chains_digest, questions" in again.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("db", "info"),
        ("annotate", "list"),
        ("agreement", "--project", "x"),
        ("ingest",),
        ("db", "forget", "x", "--yes"),
    ],
)
def test_a_folder_of_runs_that_is_not_there_is_not_made(folder: Path, command: tuple[str, ...]) -> None:
    assert "there is no such folder" in refused(steper(*command, "--runs", "rnus"))
    assert not (folder / "rnus").exists()


def test_letters_that_a_terminal_cannot_show_do_not_end_a_command(folder: Path) -> None:
    command = [sys.executable, "-m", "app", "recipes", "nö\u0142such"]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONPATH": str(Path(__file__).parents[2])}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    assert result.returncode == 2 and "nö?such".encode("latin-1") in result.stderr


def test_a_generated_world_is_the_same_bytes_for_the_same_seed(folder: Path) -> None:
    for out in ("a", "b"):
        assert steper("data", "generate", "--out", out, settings=("worlds.passages=100",)).exit_code == 0
    files = sorted(file.name for file in (folder / "a").iterdir())
    assert files == ["corpus.jsonl", "held_out.jsonl", "test.jsonl", "train.jsonl"]
    assert all((folder / "a" / name).read_bytes() == (folder / "b" / name).read_bytes() for name in files)
    assert steper("data", "describe", "a").exit_code == 0
    line = refused(steper("data", "generate", "--out", "a"))
    assert "corpus.jsonl" in line and "--force" in line
    assert steper("data", "generate", "--out", "a", "--force", settings=("worlds.passages=100",)).exit_code == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--gold", "--student", "x"), "give one of them"),
        (("--checkpoint", "77"), "name it with --student"),
        (("--student", ""), "--student is empty"),
    ],
)
def test_options_of_an_evaluation_that_say_nothing_together(options: tuple[str, ...], said: str) -> None:
    assert said in refused(steper("evaluate", "--name", "x", *options, settings=SMALL_ASKED))


def test_an_evaluation_counts_how_its_chains_ended(folder: Path) -> None:
    assert steper("evaluate", "--name", "gold", "--gold", settings=SMALL_ASKED).exit_code == 0
    assert RunDir(folder / "runs" / "gold").info.counts == {"stopped: forced": 4}


def test_a_run_goes_on_whatever_its_files_are_called_as_long_as_they_hold_the_same(folder: Path) -> None:
    write_rows(folder / "train.json", [wiki_row(1), wiki_row(2)])
    settings = ("data.held_out_questions=0", "retrieval.top_k=1")
    assert steper("collect", "--name", "g", "-d", "train.json", settings=settings).exit_code == 0
    more = (*settings, "data.evaluation_questions=7")
    assert steper("collect", "--name", "g", "-d", "./train.json", settings=more).exit_code == 0
    assert RunDir(folder / "runs" / "g").info.dataset == "2wikimultihopqa"
    write_rows(folder / "train.json", [wiki_row(1), wiki_row(3)])
    changed = refused(steper("collect", "--name", "g", "-d", "train.json", settings=settings))
    assert "changed: corpus, questions" in changed


def test_a_recipe_that_an_editor_of_windows_wrote_is_read(folder: Path) -> None:
    (folder / "mine.toml").write_text('name = "mine"\n', encoding="utf-8-sig")
    assert 'name = "mine"' in steper("recipes", "mine.toml").output


def test_recipes_are_listed_and_printed_with_their_values() -> None:
    assert {"demo", "files"} <= set(steper("recipes").output.split())
    printed = steper("recipes", "paper").output
    assert "top_k = 4" in printed and "refill = false" in printed


def test_database_facts_and_forgetting_a_run() -> None:
    assert steper("collect", "--name", "gold", settings=SMALL_ASKED).exit_code == 0
    assert "chains: 6" in steper("db", "info").output
    assert "MB" in steper("db", "backup", "copy.db").output and Path("copy.db").is_file()
    assert "there already" in refused(steper("db", "backup", "copy.db"))
    assert steper("db", "forget", "gold", "--yes").exit_code == 0
    assert "chains: 0" in steper("db", "info").output
    assert "gold" in refused(steper("db", "forget", "gold", "--yes"))


def test_a_dashboard_that_cannot_be_served_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = steper("app", "--port", str(taken.getsockname()[1]))
    assert result.exit_code == 1 and "dashboard: " in result.output


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_explains_itself(command: str) -> None:
    result = steper(command, "--help")
    assert result.exit_code == 0 and len(result.output) > 100


def test_examples_longer_than_the_model_reads_are_refused(folder: Path, tiny_model: Path) -> None:
    assert steper("collect", "--name", "gold", settings=SMALL_ASKED).exit_code == 0
    settings = (*SMALL_ASKED, f"student.model={tiny_model}", "train.max_length=4097")
    line = refused(steper("train", "--name", "long", "--teacher-run", "gold", settings=settings))
    assert "train.max_length is 4,097" in line and "reads at most 4,096 tokens" in line


def test_a_teacher_run_that_is_no_collect_run_is_refused_and_leaves_no_run(folder: Path, tiny_model: Path) -> None:
    assert steper("evaluate", "--name", "ceiling", "--gold", settings=SMALL_ASKED).exit_code == 0
    model = (f"student.model={tiny_model}", f"train.teacher={tiny_model}", "train.method=logit-kd")
    commands = (("train", "--name", "x"), ("soft-targets", "--out", "soft"))
    for command in commands:
        line = refused(steper(*command, "--teacher-run", "ceiling", settings=(*SMALL_ASKED, *model)))
        assert f"{Path('runs', 'ceiling')} is no collect run (evaluate)" in line
    assert not (folder / "runs" / "x").exists() and not (folder / "soft").exists()


def test_checkpoints_that_a_run_does_not_hold_are_refused(folder: Path) -> None:
    with open_run(folder / "runs" / "trained", kind=RunKind.TRAIN, config={}, dataset="worlds", model="m") as run:
        run.update(facts={"best_step": 4.0})
    for asked, words in (
        ("all", "holds no checkpoints"),
        ("best", "no such folder"),
        ("7", "no checkpoint of step 7"),
        ("²", "best, all or a training step"),
        ("9" * 5000, "best, all or a training step"),
    ):
        options = ("--name", "x", "--student", "trained", "--checkpoint", asked)
        assert words in refused(steper("evaluate", *options, settings=SMALL_ASKED))
