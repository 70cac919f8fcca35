"""What is trained is what the recipe names: the teacher that is followed, its projections, and the tasks' weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from steper_core.config import TrainSection
from steper_core.errors import UserError
from steper_core.examples import ChainRows
from steper_core.losses import task_losses
from steper_core.objectives import Features, Objective, SoftTargets
from steper_core.packing import collate
from steper_core.path_attention import load_with_paths
from steper_core.rundir import RunDir
from steper_core.side_optimizer import SIDE_FILE
from steper_core.trainer import rows_of

from .tiny_training import AGG, INIT, KilledError, chains, killed_at, same, settings, train, weights

NAMES = ("initialization", "expansion", "aggregation")


def objective_of(config: TrainSection, student: Any, teacher: Path) -> Objective:
    followed = load_with_paths(teacher)
    if config.loss == "features":
        return Features(config.features, student.config, followed, seed=3)
    return SoftTargets(config.logits, 257, followed)


@pytest.mark.parametrize("loss", ["logits", "features"])
def test_a_student_follows_the_teacher_that_is_named(
    tiny_model: Path, wide_model: Path, tmp_path: Path, loss: str
) -> None:
    config = settings(loss=loss, weighting="uniform", batch_chains=6, features={"layers": [[1, 2], [-1, -1]]})
    run = train(tmp_path, tiny_model, "run", chains(6), config, teacher=wide_model)
    student = load_with_paths(tiny_model)
    forward = collate(rows_of(chains(6)), torch.device("cpu"))
    with torch.no_grad():
        expected = task_losses(objective_of(config, student, wide_model).losses(student, forward), forward, 3, 6)
    found = next(run.train_points()).losses
    assert found == pytest.approx(dict(zip(NAMES, expected.tolist(), strict=True)), rel=1e-4)


@pytest.mark.parametrize("loss", ["logits", "features"])
def test_a_student_that_follows_a_teacher_resumes_with_its_projections(
    tiny_model: Path, wide_model: Path, tmp_path: Path, loss: str
) -> None:
    config = settings(loss=loss, weighting="uniform", epochs=4, batch_chains=3, keep_checkpoints=9)
    data = chains(6)
    whole = train(tmp_path, tiny_model, "whole", data, config, teacher=wide_model)
    with pytest.raises(KilledError):
        train(tmp_path, tiny_model, "cut", data, config, teacher=wide_model, on_progress=killed_at(5))
    if loss == "features":
        second, fourth = (projections(RunDir(tmp_path / "cut"), step) for step in (2, 4))
        assert not any(torch.equal(a, b) for a, b in zip(second, fourth, strict=True))
    resumed = train(tmp_path, tiny_model, "cut", data, config, teacher=wide_model)
    assert same(weights(whole, 8), weights(resumed, 8), 1e-4)


def projections(run: RunDir, step: int) -> list[torch.Tensor]:
    stored = torch.load(run.path / "checkpoints" / f"checkpoint-{step}" / SIDE_FILE, weights_only=True)
    return list(stored["parameters"])


def test_a_student_padded_to_another_size_learns_the_same_of_a_teacher(
    tiny_model: Path, wide_model: Path, tmp_path: Path
) -> None:
    padded = load_with_paths(tiny_model)
    padded.resize_token_embeddings(320, mean_resizing=False)
    with torch.no_grad():
        # Whatever the rows that no token has say, it is not to be followed.
        padded.lm_head.weight[257:] = padded.lm_head.weight[:63]
    forward = collate(rows_of(chains(3)), torch.device("cpu"))
    config = settings(loss="logits", logits={"mix": 1.0})
    plain = load_with_paths(tiny_model)
    found, expected = (objective_of(config, each, wide_model).losses(each, forward) for each in (padded, plain))
    assert torch.allclose(found, expected, rtol=1e-4)


def test_a_teacher_of_another_vocabulary_is_refused(tiny_model: Path, foreign_model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'Q' in the student alone"):
        train(tmp_path, tiny_model, "run", chains(3), settings(method="logit-kd"), teacher=foreign_model)


def test_fixed_weights_are_those_of_the_recipe(tiny_model: Path, tmp_path: Path) -> None:
    data = [chain for chain in chains(6) if len(chain.rows) > 1]
    heavy = train(tmp_path, tiny_model, "heavy", data, settings(weighting="fixed", weights=[3.0, 0.0, 0.0]))
    first = [ChainRows(chain.question_id, only(chain, INIT)) for chain in data]
    last = [ChainRows(chain.question_id, only(chain, AGG)) for chain in data]
    alone, other = (train(tmp_path, tiny_model, name, own, settings()) for name, own in (("a", first), ("b", last)))
    # Adam's steps do not depend on the scale of a loss.
    assert same(weights(heavy, 1), weights(alone, 1), 1e-5)
    assert not same(weights(heavy, 1), weights(other, 1), 1e-4)


def only(chain: ChainRows, task: int) -> tuple[Any, ...]:
    return tuple(row for row in chain.rows if row.tasks.tolist()[0] == task)
