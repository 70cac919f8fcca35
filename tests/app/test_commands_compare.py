"""Comparing and re-scoring runs of the real pipeline from the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from steper_core.rundir import RunDir
from tests.pipeline import OVERRIDES


@pytest.fixture
def runs(whole_demo: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the demo's runs, with a database of its own."""
    folder = tmp_path / "runs"
    shutil.copytree(whole_demo[0], folder, ignore=shutil.ignore_patterns("steper.db*"))
    monkeypatch.delenv("STEPER_DATABASE_URL", raising=False)
    return folder


def steper(runs: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--runs", str(runs)])


def test_a_verdict_stands_above_the_tables(runs: Path) -> None:
    result = steper(runs, "compare", "demo-eval-base", "demo-eval-gold", "demo-eval-steper-s0")
    assert result.exit_code == 0, result.output
    # The gold teacher is right on all 9 questions, a model of random weights on none: 2 x 2^-9, doubled by Holm.
    assert "demo-eval-gold is right (em) on 9 questions more than demo-eval-base of 9: +100.0 points" in result.output
    assert "McNemar p = .004 (p = .008 after Holm's correction for 2 comparisons)" in result.output
    assert "100.0 [100.0, 100.0] n=9" in result.output
    assert "em by hops" in result.output or "em by kind" in result.output


def test_a_run_and_its_copy_are_one(runs: Path) -> None:
    shutil.copytree(runs / "demo-eval-base", runs / "before")
    for command in (("compare",), ("report", "--out", str(runs / "report.html"))):
        result = steper(runs, *command, "demo-eval-base", "before")
        assert result.exit_code == 2 and "demo-eval-base and before are the same run" in result.stderr


def test_another_score_can_be_asked_for(runs: Path) -> None:
    result = steper(runs, "compare", "demo-eval-base", "demo-eval-gold", "--score", "gold_recall", "--all")
    assert "mean gold_recall of demo-eval-gold is higher than that of demo-eval-base" in result.output
    assert "duplicate_share" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("demo-eval-base",), "two to 8 different runs"),
        (("demo-eval-base", "demo-eval-base"), "two to 8 different runs"),
        (("demo-eval-base", "demo-eval-bas"), "there are: demo-eval-base"),
        (("demo-eval-base", "demo-steper-s0"), "demo-steper-s0: no chains to compare"),
        (("demo-eval-base", "demo-eval-gold", "--score", "emm"), "no run holds a score named 'emm'; there are: acc"),
    ],
)
def test_a_mistake_is_named(runs: Path, arguments: tuple[str, ...], said: str) -> None:
    result = steper(runs, "compare", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_scores_of_another_version_are_made_anew_without_a_model(runs: Path) -> None:
    path = runs / "demo-eval-gold"
    before = [score for score in RunDir(path).scores() if score.evaluator == "steps"]
    old = [json.loads(line) for line in (path / "scores.jsonl").read_text().splitlines()]
    for line in old:
        line["version"] = "0" if line["evaluator"] == "steps" else line["version"]
    (path / "scores.jsonl").write_text("".join(json.dumps(line) + "\n" for line in old))
    result = steper(runs, "rescore", "demo-eval-gold")
    assert result.exit_code == 0, result.output
    assert f"demo-eval-gold: {len(before):,} scores added" in result.output
    assert [score for score in RunDir(path).scores() if score.evaluator == "steps" and score.version != "0"] == before
    assert RunDir(path).info.figures["hops_reached"].version == before[0].version
    assert "up to date" in steper(runs, "rescore", "demo-eval-gold").output
    assert "only evaluation runs" in steper(runs, "rescore", "demo-teacher").stderr


def test_every_checkpoint_of_a_student_can_be_evaluated(runs: Path, tiny_model: Path) -> None:
    settings = [part for setting in (f"student.model={tiny_model}", *OVERRIDES) for part in ("-s", setting)]
    asked = ("evaluate", "--name", "curve", "--student", "demo-steper-s0", "--checkpoint")
    (held,) = (runs / "demo-steper-s0" / "checkpoints").iterdir()
    earlier = shutil.copytree(held, held.with_name("checkpoint-2"))
    state = json.loads((earlier / "trainer_state.json").read_text())
    (earlier / "trainer_state.json").write_text(json.dumps(state | {"global_step": 2}))
    steps = [2, int(held.name.removeprefix("checkpoint-"))]
    result = steper(runs, *asked, "all", *settings)
    assert result.exit_code == 0, result.output
    references = [RunDir(runs / f"curve-{step}").info.checkpoint for step in steps]
    assert [reference.step for reference in references if reference] == steps
    missing = steper(runs, *asked, "9999", *settings)
    assert missing.exit_code == 2 and f"only of: {', '.join(map(str, steps))}" in missing.stderr
    assert "best, all or a training step" in steper(runs, *asked, "newest", *settings).stderr
