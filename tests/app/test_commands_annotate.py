"""Labelling projects from the command line: made, shown, written, wiped, brought back, and collected by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.step_filter import read_step_labels

from .labelled_runs import label, open_labels, project_of, store_run


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two runs, where commands are run."""
    monkeypatch.delenv("STEPER_DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    store_run(tmp_path / "runs", "one", right=("q1", "q2"))
    store_run(tmp_path / "runs", "two", right=("q2",))
    return tmp_path / "runs"


def annotate(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["annotate", *arguments])


def said(*arguments: str) -> str:
    result = annotate(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: str) -> str:
    result = annotate(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("steper: ") or "Error" in result.stderr
    return result.stderr


def rated(**ratings: float) -> dict[str, list[tuple[int, str, Any]]]:
    """The rating of the first step of each question."""
    return {key: [(1, "rating", rating)] for key, rating in ratings.items()}


def test_a_project_is_made_and_listed(runs: Path) -> None:
    Path("known.jsonl").write_text(json.dumps({"question": "q3", "labels": {"1/rating": "bad"}}))
    made = said("create", "first", "--run", "one", "--items", "4", "--overlap", "2", "--controls", "known.jsonl")
    assert "first: 4 items and 1 controls, blind, 2 people an item" in made
    listed = said("list")
    assert "first" in listed and "0 of 8" in listed
    assert "a project named 'first'" in refused("create", "first", "--run", "one")


def test_a_sample_smaller_than_asked_for_is_told() -> None:
    made = said("create", "flips", "--run", "one", "--run", "two", "--sample", "disagreements", "--open")
    # Only q1 is right in one run and wrong in the other.
    assert "flips: 2 items, open, 1 person an item" in made
    assert "leaves 2 of the 50" in made


def test_no_projects_yet() -> None:
    assert "steper annotate create" in said("list")
    assert "no project named 'first'" in refused("show", "first")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create", "p", "--run", "none"), "no run named 'none'"),
        (("create", "p", "--run", "one", "--rubric", "none"), "built-in label rubric"),
        (("create", "p", "--run", "one", "--controls", "none.jsonl"), "none.jsonl"),
        (("create", "p", "--run", "one", "--sample", "low-judge-agreement"), "no votes on these runs differ"),
        (("export", "p", "--out", "x.jsonl"), "no project named 'p'"),
        (("import", "none.jsonl"), "none.jsonl: cannot be read"),
        (("import", "known.txt"), "no label format .txt"),
        (("rubrics", "none"), "built-in label rubric"),
    ],
)
def test_a_mistake_is_named(arguments: tuple[str, ...], words: str) -> None:
    Path("known.txt").write_text("")
    assert words in refused(*arguments)


def test_rubrics_are_listed_and_printed() -> None:
    assert "steps 1: " in said("rubrics") and "abilities 1: " in said("rubrics")
    assert 'name = "rating"' in said("rubrics", "steps")


def worked(runs: Path) -> None:
    """Two people on a project with a control: they agree on q1 and q2, differ on q4, and Bob errs on the control."""
    Path("known.jsonl").write_text(json.dumps({"question": "q3", "labels": {"1/rating": "bad"}}))
    said("create", "first", "--run", "one", "--items", "50", "--overlap", "2", "--controls", "known.jsonl")
    engine = open_labels(runs)
    label(engine, "first", "Ann", rated(q1=1.0, q2=-1.0, q3=-1.0, q4=1.0), seconds=36.0)
    label(engine, "first", "Bob", rated(q1=1.0, q2=-1.0, q3=1.0, q4=-1.0), seconds=18.0)
    engine.dispose()


def test_progress_pace_controls_and_agreement_are_shown(runs: Path) -> None:
    worked(runs)
    shown = said("show", "first")
    assert "6 of 10 labels of items submitted, 4 left" in shown
    (ann,) = [line for line in shown.splitlines() if "Ann" in line]
    # Four submitted in 36 s each: 100 an hour; the control right: 1 of 1, Wilson's bounds 20.65 % and 100 %.
    assert [cell.strip().split(" ")[0] for cell in ann.split("│")[1:8]] == ["Ann", "4", "0", "2", "100", "36", "1/1"]
    assert "[21 %, 100 %]" in ann
    (bob,) = [line for line in shown.splitlines() if "Bob" in line]
    assert "0/1" in bob and "200" in bob
    # q1 and q2 equal, q3 and q4 not.
    assert "0.50" in next(line for line in shown.splitlines() if "rating" in line)
    assert "items on which people differ: 2" in shown


def test_disagreements_are_listed_with_who_said_what(runs: Path) -> None:
    worked(runs)
    listed = said("disagreements", "first")
    assert "places where people differ: 2" in listed
    (line,) = [line for line in listed.splitlines() if "q4" in line]
    assert "step 1" in line and "Ann 1, Bob -1" in line
    assert [cell.strip() for cell in line.split("│")][2] == "one"


def test_a_closed_project_takes_nothing_until_it_is_open_again(runs: Path) -> None:
    worked(runs)
    assert "closed" in said("close", "first") and "(closed)" in said("list")
    engine = open_labels(runs)
    own = project_of(engine, "first")
    assert own.closed
    said("reopen", "first")
    assert not project_of(engine, "first").closed


def test_held_items_are_given_back(runs: Path) -> None:
    worked(runs)
    # Both hold q5 and q6.
    assert "2 items given back" in said("release", "first", "--person", "Ann")
    assert "2 items given back" in said("release", "first")


def test_a_project_is_deleted_only_when_confirmed(runs: Path) -> None:
    worked(runs)
    assert annotate("delete", "first").exit_code == 1
    assert "first" in said("list")
    said("delete", "first", "--yes")
    assert "no projects yet" in said("list")


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_labels_are_written_and_brought_back(runs: Path, suffix: str) -> None:
    worked(runs)
    # Two people hold all of the five items and the control; four are submitted with a rating each.
    assert "16 changes on 12 shares of 2 people" in said("export", "first", "--out", f"labels.{suffix}")
    before = said("show", "first").splitlines()
    said("delete", "first", "--yes")
    imported = said("import", f"labels.{suffix}", "--rubric", "steps")
    assert "project 'first' created" in imported
    assert "16 changes by 2 people came in, 0 were there already" in imported
    after = said("show", "first").splitlines()
    assert [line for line in after if "rating" in line] == [line for line in before if "rating" in line]
    assert "0 changes by 2 people came in, 16 were there already" in said("import", f"labels.{suffix}")


def test_what_does_not_fit_is_listed_with_its_line(runs: Path) -> None:
    worked(runs)
    said("export", "first", "--out", "labels.csv")
    lines = Path("labels.csv").read_text().splitlines()
    bad = next(line for line in lines if ",1.0," in line).replace(",1.0,", ",7.0,")
    lines[1:1] = [bad] * 25
    Path("labels.csv").write_text("\n".join(lines))
    out = said("import", "labels.csv")
    assert "! line 2: unknown value 7.0 of rating" in out
    assert "! line 21:" in out and "! line 22:" not in out
    assert "and 5 more that did not fit" in out


@pytest.mark.parametrize("text", ["", "null\n{torn\n"])
def test_a_file_without_labels_is_a_mistake(runs: Path, text: str) -> None:
    Path("labels.jsonl").write_text(text)
    assert "labels.jsonl: nothing in it can be imported" in refused("import", "labels.jsonl")


def test_a_project_with_spoilt_known_labels_can_still_be_shown(runs: Path) -> None:
    worked(runs)
    said("export", "first", "--out", "labels.jsonl")
    said("delete", "first", "--yes")
    Path("labels.jsonl").write_text(Path("labels.jsonl").read_text().replace('{"1/rating": -1.0}', '{"1/rating": "x"}'))
    assert "known label '1/rating' of 'q3': unknown value 'x'" in said("import", "labels.jsonl")
    assert "6 of 10 labels of items submitted" in said("show", "first")


def test_step_data_is_what_collect_takes(runs: Path) -> None:
    worked(runs)
    out = said("export", "first", "--steps", "--out", "steps.jsonl")
    assert "1 steps kept, 1 rejected" in out
    assert "no one has adjudicated: 2 steps" in out
    assert "with .jsonl" in refused("export", "first", "--steps", "--out", "steps.csv")
    found = {(each.question_id, each.step): each.kept for each in read_step_labels(Path("steps.jsonl")).labels}
    assert found == {("q1", 1): True, ("q2", 1): False}


def test_step_data_needs_labels_of_steps(runs: Path) -> None:
    said("create", "none", "--run", "one")
    assert "no step of 'none' has a label" in refused("export", "none", "--steps", "--out", "steps.jsonl")
    said("create", "chains", "--run", "one", "--rubric", "abilities")
    assert "asks nothing of steps" in refused("export", "chains", "--steps", "--out", "steps.jsonl")
    assert "nobody has labelled" in refused("export", "none", "--out", "labels.jsonl")


def test_commands_show_no_control_characters_of_names(runs: Path) -> None:
    said("create", "first", "--run", "one")
    engine = open_labels(runs)
    label(engine, "first", "An\u202en\x1b[31m", rated(q1=1.0))
    shown = said("show", "first")
    assert "\u202e" not in shown and "\x1b[31m" not in shown
    assert "An[U+202E]n" in shown
