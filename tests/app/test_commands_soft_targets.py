"""`steper soft-targets`: what is stored trains a student as the teacher itself would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from app.cli import main
from steper_core.rundir import RunDir

SETTINGS = (
    "worlds.passages=60",
    "worlds.train_questions=5",
    "worlds.held_out_questions=2",
    "worlds.test_questions=2",
    "student.device=cpu",
    "train.dtype=float32",
    "train.epochs=1",
    "train.max_length=2048",
    "train.method=logit-kd",
)


def steper(*arguments: str, settings: tuple[str, ...] = ()) -> Result:
    options = [part for setting in (*SETTINGS, *settings) for part in ("-s", setting)]
    return CliRunner().invoke(main, [*arguments, "-r", "demo", *options])


@pytest.fixture
def collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> tuple[str, str]:
    """An empty folder with a teacher's chains; the settings that name student and teacher."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STEPER_DATABASE_URL", raising=False)
    named = (f"student.model={tiny_model}", f"train.teacher={tiny_model}")
    assert steper("collect", "--name", "gold", settings=named).exit_code == 0
    return named


def losses(name: str) -> list[dict[str, float]]:
    return [point.losses for point in RunDir(Path("runs") / name).train_points()]


def test_a_student_trained_on_all_stored_tokens_is_that_of_the_teacher_at_hand(collected: tuple[str, str]) -> None:
    everything = ("--teacher-run", "gold", "--out", "soft", "--top-k", "300")
    stored = steper("soft-targets", *everything, settings=collected)
    assert stored.exit_code == 0, stored.output
    assert "soft: 7 chains stored" in stored.output
    # Settings of one file for both commands name the storage here too.
    again = steper("soft-targets", *everything, settings=(*collected, "train.logits.stored=soft"))
    assert "soft: 0 chains stored" in again.output
    there = steper("train", "--name", "there", "--teacher-run", "gold", settings=collected)
    assert there.exit_code == 0, there.output
    kept = steper("train", "--name", "kept", "--teacher-run", "gold", settings=(*collected, "train.logits.stored=soft"))
    assert kept.exit_code == 0, kept.output
    assert len(losses("kept")) == len(losses("there")) > 0
    for own, reference in zip(losses("kept"), losses("there"), strict=True):
        assert own == pytest.approx(reference, rel=1e-4)
    followed = [RunDir(Path("runs") / name).info.config["followed_teacher"] for name in ("there", "kept")]
    assert followed[0] == followed[1] == collected[1].removeprefix("train.teacher=")


def test_what_was_stored_at_another_temperature_is_refused(collected: tuple[str, str]) -> None:
    assert steper("soft-targets", "--teacher-run", "gold", "--out", "soft", settings=collected).exit_code == 0
    other = (*collected, "train.logits.stored=soft", "train.logits.temperature=5.0")
    refused = steper("train", "--name", "other", "--teacher-run", "gold", settings=other)
    assert refused.exit_code == 2 and "temperature (2.0, not 5.0)" in refused.stderr


def test_what_another_teacher_said_is_refused(collected: tuple[str, str]) -> None:
    assert steper("soft-targets", "--teacher-run", "gold", "--out", "soft", settings=collected).exit_code == 0
    other = (*collected, "train.logits.stored=soft", "train.teacher=another")
    refused = steper("train", "--name", "other", "--teacher-run", "gold", settings=other)
    assert refused.exit_code == 2 and "soft is of another teacher" in refused.stderr
    local = ("teacher.backend=local", "teacher.model=another", "train.teacher=null")
    refused = steper(
        "train", "--name", "other", "--teacher-run", "gold", settings=(*collected, "train.logits.stored=soft", *local)
    )
    assert refused.exit_code == 2 and "soft is of another teacher" in refused.stderr


def test_a_teacher_of_another_vocabulary_has_nothing_to_store(collected: tuple[str, str], foreign_model: Path) -> None:
    other = (*collected, f"train.teacher={foreign_model}")
    refused = steper("soft-targets", "--teacher-run", "gold", "--out", "soft", settings=other)
    assert refused.exit_code == 2 and "another vocabulary than the student" in refused.stderr


def test_a_padded_teacher_stores_tokens_that_there_are(
    collected: tuple[str, str], wide_model: Path, tmp_path: Path
) -> None:
    wide = (*collected, f"train.teacher={wide_model}")
    everything = ("soft-targets", "--teacher-run", "gold", "--out", "soft", "--top-k", "300")
    assert steper(*everything, settings=wide).exit_code == 0
    ids = np.fromfile(tmp_path / "soft" / "ids.bin", np.int32)
    assert len(ids) % 257 == 0 and sorted(ids[:257]) == list(range(257))


def test_a_training_whose_held_out_questions_changed_does_not_go_on(collected: tuple[str, str]) -> None:
    assert steper("train", "--name", "one", "--teacher-run", "gold", settings=collected).exit_code == 0
    RunDir(Path("runs/one")).update(status="interrupted")
    refused = steper(
        "train", "--name", "one", "--teacher-run", "gold", settings=(*collected, "worlds.test_questions=3")
    )
    assert refused.exit_code == 2 and "not_learned" in refused.stderr


def test_an_ability_asked_for_by_name_must_occur(collected: tuple[str, str]) -> None:
    short = (*collected, "train.method=steper", "reasoning.max_steps=2")
    assert steper("collect", "--name", "short", settings=short).exit_code == 0
    for name, abilities, code in (
        ("some", "expansion,aggregation", 2),
        ("all", "initialization,expansion,aggregation", 0),
    ):
        wanted = f"train.abilities={abilities.split(',')}".replace("'", '"')
        trained = steper("train", "--name", name, "--teacher-run", "short", settings=(*short, wanted))
        assert trained.exit_code == code, trained.output
    counts = RunDir(Path("runs/all")).info.counts
    assert counts["examples: expansion"] == 0 and counts["examples: aggregation"] == counts["chains"] == 5


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("train.method=steper",), "set train.method=logit-kd or train.loss=logits"),
        ((), "name the teacher: train.teacher=MODEL"),
    ],
)
def test_mistakes_are_told(collected: tuple[str, str], settings: tuple[str, ...], words: str) -> None:
    student, _ = collected
    refused = steper("soft-targets", "--teacher-run", "gold", "--out", "soft", settings=(student, *settings))
    assert refused.exit_code == 2 and words in refused.stderr
