"""A study from end to end with a tiny model: cells, resuming, the table, and what the page draws."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.study import cells_of
from app.study_table import StudyResult, cells, markdown, studies_of, study_result
from app.views.study import study_figure, variant_cells
from db import list_runs, open_database, run_arrays, score_arrays
from db.queries import RunArrays, RunRow, ScoreArray, StudyRow
from evaluators.over_seeds import against, system_mean
from steper_core.errors import UserError
from steper_core.rundir import RunDir, hold_run
from steper_core.study_plan import load_study
from tests.pipeline import OVERRIDES, environment

ROOT = Path(__file__).parents[2]
STUDY = """
name = "tiny"
title = "A tiny study"
paper = "Figure 3"
recipe = "demo"
seeds = [0, 1]

[[variants]]
name = "base"
train = false

[[variants]]
name = "vanilla-kd"
set = ["train.method=vanilla-kd"]

[[variants]]
name = "steper"
set = ["train.method=steper"]
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "tiny.toml"
    path.write_text(STUDY)
    return path


def steper_process(file: Path, model: Path, *more: str) -> subprocess.Popen[str]:
    runs = file.parent / "runs"
    runs.mkdir(exist_ok=True)
    settings = [part for setting in (f"student.model={model}", *OVERRIDES) for part in ("-s", setting)]
    command = [sys.executable, "-m", "app", "study", str(file), "--runs", str(runs), *settings, *more]
    return subprocess.Popen(
        command, env=environment(runs), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )


def steper(file: Path, model: Path, *more: str) -> subprocess.CompletedProcess[str]:
    process = steper_process(file, model, *more)
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture(scope="module")
def done(file: Path, tiny_model: Path) -> subprocess.CompletedProcess[str]:
    """Seed 1 alone first, as a launcher would, then the whole."""
    first = steper(file, tiny_model, "--only", "steper", "--seed", "1")
    assert first.returncode == 0, first.stderr
    return steper(file, tiny_model, "--out", str(file.parent / "table.md"))


def test_a_study_ends_with_a_table_and_takes_up_what_is_done(
    file: Path, done: subprocess.CompletedProcess[str]
) -> None:
    assert done.returncode == 0, done.stderr
    runs = file.parent / "runs"
    names = {path.parent.name for path in runs.glob("*/run.json")}
    trained = {f"tiny-{method}-s{seed}" for method in ("vanilla-kd", "steper") for seed in (0, 1)}
    assert {name for name in names if not name.startswith("tiny-teacher")} == {
        "tiny-base-eval",
        *trained,
        *(f"{name}-eval" for name in trained),
    }
    assert len([name for name in names if name.startswith("tiny-teacher")]) == 1
    table = (file.parent / "table.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows[2:]] == ["| base", "| vanilla-kd", "| steper"]
    assert rows[3].split(" | ")[-3:-1] == ["9", "2"]
    assert "Figure 3" in table and "steper (2 seeds)" in table


def test_what_is_finished_is_not_done_again(
    file: Path, tiny_model: Path, done: subprocess.CompletedProcess[str]
) -> None:
    runs = file.parent / "runs"
    before = {path: path.read_bytes() for path in runs.glob("*/run.json")}
    # The folder under another name, and settings that change no weight.
    more = ("--runs", os.path.relpath(runs, ROOT), "-s", "train.forward_tokens=4096")
    again = steper(file, tiny_model, *more)
    assert again.returncode == 0, again.stderr
    assert {path: path.read_bytes() for path in runs.glob("*/run.json")} == before


def test_other_settings_are_refused(file: Path, tiny_model: Path, done: subprocess.CompletedProcess[str]) -> None:
    refused = steper(file, tiny_model, "-s", "train.epochs=9", "--only", "steper")
    assert refused.returncode == 2 and "other settings" in refused.stderr


def test_cells_are_listed_as_commands(file: Path, tiny_model: Path) -> None:
    listed = steper(file, tiny_model, "--list").stdout.splitlines()
    assert len(listed) == 5
    assert f"steper study {file} --only base" in listed[0]
    assert "--only steper --seed 1" in listed[-1] and "-s student.model=" in listed[-1]


def test_a_variant_that_fails_keeps_no_other_from_the_table(file: Path, tiny_model: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn.toml"
    broken = '[[variants]]\nname = "torn"\nset = ["train.method=logit-kd"]\n\n[[variants]]\nname = "steper"'
    torn.write_text(STUDY.replace("seeds = [0, 1]", "seeds = [0]").replace('[[variants]]\nname = "steper"', broken))
    result = steper(torn, tiny_model, "--out", str(tmp_path / "table.md"))
    assert result.returncode == 2 and "1 of 4 cells failed (tiny-torn-s0)" in result.stderr
    assert "! tiny-torn-s0: loss = logits follows a local model" in " ".join(result.stdout.split())
    rows = [line.split(" | ")[0] for line in (tmp_path / "table.md").read_text().splitlines() if line.startswith("| ")]
    assert rows[2:] == ["| base", "| vanilla-kd", "| steper"]
    stored = {run.name: run.status for run in list_runs(open_database(f"sqlite:///{tmp_path / 'runs' / 'steper.db'}"))}
    assert stored["tiny-torn-s0"] == "failed" and "tiny-torn-s0-eval" not in stored


def test_a_table_that_nobody_can_write_is_told_before_anything_runs(file: Path, tiny_model: Path) -> None:
    result = steper(file, tiny_model, "--out", "nowhere/table.md")
    assert result.returncode == 2 and "nowhere/table.md: there is no folder nowhere" in result.stderr


def test_an_unknown_variant_or_seed_is_named(file: Path) -> None:
    study = load_study(str(file))
    with pytest.raises(UserError, match="no variant 'stepper'; there are: base, vanilla-kd, steper"):
        cells_of(study, ["stepper"])
    with pytest.raises(UserError, match="no seed 7"):
        cells_of(study, [], [7])
    assert [cell.name for cell in cells_of(study, ["steper", "base"], [1])] == ["tiny-base", "tiny-steper-s1"]


def test_the_page_draws_what_the_database_holds(file: Path, done: subprocess.CompletedProcess[str]) -> None:
    engine = open_database(f"sqlite:///{file.parent / 'runs' / 'steper.db'}")
    (rows,) = studies_of(list_runs(engine)).values()
    assert [(row.study.variant, row.seed) for row in rows if row.study] == [
        ("base", 0),
        ("vanilla-kd", 0),
        ("vanilla-kd", 1),
        ("steper", 0),
        ("steper", 1),
    ]
    ids = tuple(row.id for row in rows)
    result = study_result(rows, run_arrays(engine, ids), score_arrays(engine, ids))
    header, lines = cells(result)
    assert all(len(line) == len(header) for line in lines)
    em = [row.figures["em"].mean for row in rows if row.study and row.study.variant == "steper"]
    steper_row = next(variant for variant in result.variants if variant.name == "steper")
    assert steper_row.means["em", ""].mean == pytest.approx(sum(value or 0 for value in em) / 2)
    tokens = {row.id: f"t{row.id}" for row in rows}
    drawn: list[Any] = variant_cells(steper_row, tokens)
    assert drawn[0][0]["href"] == "compare?" + "&".join(f"run={tokens[run.id]}" for run in steper_row.runs)
    figure = study_figure(result, ("em", ""), "#000", "#ccc")
    assert list(figure.data[0].y) == ["base", "vanilla-kd", "steper"]
    assert markdown(result).startswith("# A tiny study (paper: Figure 3)")


def test_names_of_foreign_runs_are_text_in_a_markdown_table() -> None:
    study = StudyRow("s", "a <img src=x>\n# b", "methods", "v", 0, "[link](javascript:x)")
    note = "x\\|y &amp; ![z](http://w): +1.0 [0.2, 1.8] (n 40)"
    first, *_, last = markdown(StudyResult(study, (), (note,))).splitlines()
    assert first == "# a &lt;img src=x> # b (paper: [link\\](javascript:x))"
    assert last == "- x\\\\\\|y &amp;amp; ![z\\](http://w): +1.0 [0.2, 1.8] (n 40)"


def test_intervals_hold_seeds_and_questions_by_hand() -> None:
    # Two seeds that differ in every question by one: all spread is between seeds.
    found = system_mean([np.zeros(40), np.ones(40)])
    assert (found.mean, found.seeds, found.n) == (0.5, 2, 40)
    assert found.deviation == pytest.approx(np.sqrt(0.5))
    # Student's t of two seeds is 12.7 standard errors wide: beyond both ends, where no share can be.
    assert (found.low, found.high) == (0.0, 1.0)
    alone = system_mean([np.array([0.0, 1.0, np.nan, 1.0])])
    assert alone.n == 3 and alone.mean == pytest.approx(2 / 3) and alone.deviation is None
    assert system_mean([np.array([np.nan])]).mean is None


def test_what_several_comparisons_take_back_is_said() -> None:
    base = np.zeros(200)
    better = base.copy()
    better[:6] = 1.0
    runs = {"vanilla-kd": [base], "a": [better], "b": [base], "c": [base]}
    sentences = against(runs, "vanilla-kd", "EM")
    assert len(sentences) == 3
    assert "is higher" in sentences[0] and "not so once 3 comparisons are allowed for" in sentences[0]
    # Those that could not be made take nothing back.
    unscored = np.full(200, np.nan)
    some = against({"vanilla-kd": [base], "a": [better], "b": [base], "c": [unscored]}, "vanilla-kd", "EM")
    assert "not so once 2 comparisons are allowed for" in some[0]


def test_a_mean_holds_one_version_of_a_score_the_newest_and_the_rest_is_told(make_run: Callable[..., RunRow]) -> None:
    def run(number: int, variant: str) -> RunRow:
        return make_run(number, seed=number, study=StudyRow("s", "S", "methods", variant, 0, ""))

    def em(number: int, version: str, value: float) -> ScoreArray:
        return ScoreArray(number, "em", "answers", version, "", np.full(2, value, np.float32), {})

    rows = [run(1, "vanilla-kd"), run(2, "vanilla-kd"), run(3, "steper")]
    codes = np.zeros(2, int)
    costs = np.zeros(2)
    arrays = [RunArrays(row.id, np.arange(2), ("",), codes, codes, codes, codes, codes, codes, costs) for row in rows]
    # As the database orders them: by text.
    scores = [em(1, "10", 0.5), em(2, "10", 1.0), em(1, "9", 0.0), em(3, "9", 0.0)]
    result = study_result(rows, arrays, scores)
    assert [variant.means["em", ""].mean for variant in result.variants] == [0.75, None]
    assert result.notes[0] == (
        "scores of 'answers' are of an earlier version than 10 in run-3: left out; bring them up to date with "
        "`steper rescore`"
    )
    assert [note for note in study_result(rows[:2], arrays[:2], scores[:3]).notes if "version" in note] == []


def test_a_study_that_was_done_again_counts_each_seed_once(make_run: Callable[..., RunRow]) -> None:
    def run(number: int, seed: int, place: int = 0) -> RunRow:
        return make_run(number, seed=seed, study=StudyRow("s", "S", "methods", "steper", place, ""))

    # In the file the variant stood in another place the first time.
    rows = [run(1, 0, place=2), run(3, 0), run(2, 1)]
    codes = np.zeros(2, int)
    arrays = [
        RunArrays(row.id, np.arange(2), ("",), codes, codes, codes, codes, codes, codes, np.zeros(2)) for row in rows
    ]
    scores = [ScoreArray(row.id, "em", "answers", "1", "", np.full(2, row.id == 3, np.float32), {}) for row in rows]
    result = study_result(rows, arrays, scores)
    (variant,) = result.variants
    assert [row.id for row in variant.runs] == [3, 2] and variant.means["em", ""].mean == 0.5
    assert result.notes == (
        "steper: 1 earlier run left out: of one seed the last run counts, and of the variant those with its settings",
    )


def arrays_of(rows: Sequence[RunRow], asked: Mapping[int, Sequence[int]]) -> list[RunArrays]:
    found = []
    for row in rows:
        questions = np.array(asked[row.id])
        codes = np.zeros(len(questions), int)
        found.append(RunArrays(row.id, questions, ("",), *[codes] * 6, np.zeros(len(questions))))
    return found


def em_of(rows: Sequence[RunRow], value: Callable[[RunRow], float], count: int) -> list[ScoreArray]:
    return [ScoreArray(row.id, "em", "answers", "1", "", np.full(count, value(row), np.float32), {}) for row in rows]


def test_a_variant_is_the_runs_with_the_settings_of_its_last_one(make_run: Callable[..., RunRow]) -> None:
    def run(number: int, seed: int, epochs: int, *, tokens: int = 1, top_k: int = 2) -> RunRow:
        study = StudyRow("s", "S", "methods", "steper", 0, "")
        config = {"retrieval": {"top_k": top_k}}
        # A teacher collected again has another uid.
        training = {"train": {"epochs": epochs, "forward_tokens": tokens}, "teacher_run": str(number)}
        return make_run(number, seed=seed, study=study, config=config, training=training)

    # Seed 0 was trained longer later, seed 3 in other forwards only; seed 2 was asked with more passages.
    rows = [run(1, 0, 1), run(2, 1, 1), run(3, 2, 2, top_k=4), run(4, 3, 2, tokens=9), run(5, 0, 2)]
    result = study_result(rows, arrays_of(rows, {row.id: (0, 1) for row in rows}), [])
    (variant,) = result.variants
    assert [row.id for row in variant.runs] == [4, 5]
    assert result.notes == (
        "steper: 3 earlier runs left out: of one seed the last run counts, and of the variant those with its settings",
    )


def test_students_are_compared_with_those_of_their_base_that_were_taught_and_asked_alike(
    make_run: Callable[..., RunRow],
) -> None:
    rows, asked = [], {}
    places = [("hotpotqa", "hotpotqa"), ("hotpotqa", "musique"), ("musique", "musique")]
    for number, (taught, where) in enumerate(places):
        for method in ("steper", "vanilla-kd"):
            key = len(rows) + 1
            study = StudyRow("s", "S", "out-of-domain", f"{method}-{taught}-to-{where}", number, "")
            rows.append(make_run(key, method=method, study=study, training={"teacher_run": taught}))
            asked[key] = range(40) if where == "hotpotqa" else range(40, 80)
    scores = em_of(rows, lambda row: float(row.method == "steper"), 40)
    notes = study_result(rows, arrays_of(rows, asked), scores).notes
    assert len(notes) == 3
    for note, (taught, where) in zip(notes, places, strict=True):
        assert f"steper-{taught}-to-{where}" in note and f"vanilla-kd-{taught}-to-{where}" in note


def test_a_scaling_study_is_drawn_by_a_score_that_no_variant_has(make_run: Callable[..., RunRow]) -> None:
    row = make_run(
        1, seed=0, study=StudyRow("s", "S", "scaling", "<b>135M</b>", 0, ""), facts={"parameters_total": 135e6}
    )
    codes = np.zeros(2, int)
    arrays = [RunArrays(1, np.arange(2), ("",), codes, codes, codes, codes, codes, codes, np.zeros(2))]
    scored = ScoreArray(1, "em", "answers", "1", "", np.ones(2, np.float32), {})
    drawn = study_figure(study_result([row], arrays, [scored]), ("em", ""), "#000", "#ccc")
    assert list(drawn.data[0].x) == [135e6] and drawn.data[0].text[0] == "·b·135M··b·"
    odd = dataclasses.replace(row, facts={"parameters_total": -1.0})
    assert study_figure(study_result([odd], arrays, [scored]), ("em", ""), "#000", "#ccc").data[0].x == (100.0,)
    assert not study_figure(study_result([row], arrays, []), ("em", ""), "#000", "#ccc").data[0].x


def test_a_process_waits_for_an_untrained_variant_that_another_one_evaluates(
    file: Path, tiny_model: Path, done: subprocess.CompletedProcess[str]
) -> None:
    with hold_run(file.parent / "runs" / "tiny-base-eval"):
        process = steper_process(file, tiny_model, "--only", "base", "--seed", "1")
        assert process.stdout is not None
        assert any("waiting" in line and "tiny-base-eval" in line for line in process.stdout)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err


def test_a_student_is_evaluated_elsewhere_without_being_trained_again(
    file: Path, tiny_model: Path, done: subprocess.CompletedProcess[str]
) -> None:
    """While another process makes what it needs, it waits."""
    wider = file.with_name("wider.toml")
    wider.write_text(
        STUDY
        + "[[variants]]\nname = 'longer'\nstudent = 'steper'\nevaluate = ['worlds.hops=[3, 3]', 'worlds.seed=5']\n"
    )
    runs = file.parent / "runs"
    trained = (runs / "tiny-steper-s1" / "run.json").read_bytes()
    (teacher,) = runs.glob("tiny-teacher-*")
    with hold_run(teacher):
        process = steper_process(wider, tiny_model, "--only", "longer", "--seed", "1")
        assert process.stdout is not None
        for line in process.stdout:
            if "waiting" in line:
                break
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert (runs / "tiny-steper-s1" / "run.json").read_bytes() == trained
    assert not (runs / "tiny-longer-s1").exists()
    info = RunDir(runs / "tiny-longer-s1-eval").info
    assert info.checkpoint is not None and info.checkpoint.run_name == "tiny-steper-s1"
    assert {len(question.hops) for question in RunDir(runs / "tiny-longer-s1-eval").questions()} == {3}
