"""What is measured on a target token, against hand-worked numbers and against plain forwards."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM

from steper_core.config import FeatureSection, LogitSection
from steper_core.errors import UserError
from steper_core.losses import cross_entropy, target_hidden, target_logits
from steper_core.objectives import CrossEntropy, Features, SoftTargets, divergence, tempered, with_rest
from steper_core.packing import Forward, TokenExample, collate, pack
from steper_core.path_attention import load_with_paths
from steper_core.vocabularies import shared_vocabulary

CPU = torch.device("cpu")
TEACHER = torch.tensor([[0.5, 0.25, 0.25]]).log()
STUDENT = torch.tensor([[0.25, 0.25, 0.5]]).log()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        # 0.5 ln 2 + 0.25 ln 1 + 0.25 ln 0.5
        ("forward-kl", 0.25 * math.log(2)),
        ("reverse-kl", 0.25 * math.log(2)),
        # The average is (0.375, 0.25, 0.375); both ways 0.5 ln(4/3) + 0.25 ln(2/3).
        ("jensen-shannon", 0.5 * math.log(4 / 3) + 0.25 * math.log(2 / 3)),
    ],
)
def test_divergences_by_hand(kind: Any, expected: float) -> None:
    assert divergence(TEACHER, STUDENT, kind).tolist() == pytest.approx([expected])
    assert divergence(TEACHER, TEACHER, kind).tolist() == pytest.approx([0.0], abs=1e-7)


def test_forward_and_reverse_kl_differ_where_they_should() -> None:
    sure = torch.tensor([[0.8, 0.2]]).log()
    even = torch.tensor([[0.5, 0.5]]).log()
    forward, reverse = divergence(sure, even, "forward-kl"), divergence(sure, even, "reverse-kl")
    assert forward.item() == pytest.approx(0.8 * math.log(1.6) + 0.2 * math.log(0.4))
    assert reverse.item() == pytest.approx(0.5 * math.log(0.5 / 0.8) + 0.5 * math.log(0.5 / 0.2))


def test_the_rest_is_one_more_token() -> None:
    assert with_rest(torch.tensor([[0.5, 0.3]]).log()).exp().tolist()[0] == pytest.approx([0.5, 0.3, 0.2])


@pytest.fixture
def forward() -> Forward:
    shared = list(range(5, 25))
    examples = [TokenExample(shared[:10], [30, 31], 0), TokenExample(shared, [30, 31, 32], 1)]
    return collate([pack(examples)], CPU)


@pytest.fixture
def teacher(tiny_model: Path) -> Any:
    model = load_with_paths(tiny_model).eval()
    torch.manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.05 * torch.randn_like(weight)
    return model


def test_soft_targets_mix_tokens_and_distribution_at_a_temperature(
    tiny_model: Path, teacher: Any, forward: Forward
) -> None:
    student = load_with_paths(tiny_model)
    settings = LogitSection(temperature=3.0, mix=0.25)
    found = SoftTargets(settings, 257, teacher).losses(student, forward)
    own, wanted = target_logits(student, forward), target_logits(teacher, forward)
    soft = functional.kl_div(
        functional.log_softmax(own / 3, -1), functional.softmax(wanted / 3, -1), reduction="none"
    ).sum(-1)
    expected = 0.75 * cross_entropy(own, forward) + 0.25 * 9 * soft
    assert torch.allclose(found, expected, rtol=1e-5)
    found.sum().backward()
    assert all(weight.grad is None for weight in teacher.parameters())
    assert all(weight.grad is not None for weight in student.parameters())


def test_a_teacher_padded_to_another_size_gives_the_same(tiny_model: Path, teacher: Any, forward: Forward) -> None:
    student = load_with_paths(tiny_model)
    plain = SoftTargets(LogitSection(), 257, teacher).losses(student, forward)
    teacher.resize_token_embeddings(320, mean_resizing=False)
    assert torch.allclose(SoftTargets(LogitSection(), 257, teacher).losses(student, forward), plain, rtol=1e-5)


def test_all_tokens_stored_are_as_good_as_the_teacher_at_hand(tiny_model: Path, teacher: Any, forward: Forward) -> None:
    student = load_with_paths(tiny_model)
    settings = LogitSection(temperature=2.0, divergence="jensen-shannon")
    online = SoftTargets(settings, 257, teacher).losses(student, forward)
    with torch.no_grad():
        kept = tempered(target_logits(teacher, forward), 2.0).topk(250)
    stored = Forward(**{**vars(forward), "soft": (kept.indices, kept.values)})
    found = SoftTargets(settings, 257, None).losses(student, stored)
    assert torch.allclose(found, online, rtol=1e-3)
    # Joining tokens into one can only hide differences.
    few = Forward(**{**vars(forward), "soft": (kept.indices[:, :4], kept.values[:, :4])})
    assert (SoftTargets(settings, 257, None).losses(student, few) < online).all()


def test_soft_targets_need_a_teacher_or_what_it_stored(tiny_model: Path, forward: Forward) -> None:
    with pytest.raises(ValueError, match="neither a teacher nor"):
        SoftTargets(LogitSection(), 257, None).losses(load_with_paths(tiny_model), forward)


@pytest.mark.parametrize("distance", ["cosine", "squared"])
def test_features_are_distances_of_projected_states_by_hand(
    tiny_model: Path, teacher: Any, forward: Forward, distance: Any
) -> None:
    student = load_with_paths(tiny_model)
    settings = FeatureSection(layers=((1, 2), (-1, -1)), distance=distance, mix=0.4)
    objective = Features(settings, student.config, teacher, seed=1)
    found = objective.losses(student, forward)
    places = forward.sources
    _, own = target_hidden(student, forward, [1, -1])
    _, wanted = target_hidden(teacher, forward, [2, -1])
    parts = []
    for state, goal, projection in zip(own, wanted, objective.parameters(), strict=True):
        mapped = state @ projection.T
        if distance == "cosine":
            parts.append(1 - (mapped * goal).sum(-1) / mapped.norm(dim=-1) / goal.norm(dim=-1))
        else:
            parts.append(((mapped - goal) ** 2).mean(-1) / (goal**2).mean(-1))
    expected = 0.6 * CrossEntropy().losses(student, forward) + 0.4 * (parts[0] + parts[1]) / 2
    assert torch.allclose(found, expected, rtol=1e-4)
    assert len(places) == len(found)
    found.sum().backward()
    assert all(projection.grad is not None for projection in objective.parameters())
    assert all(weight.grad is None for weight in teacher.parameters())


@pytest.mark.parametrize("distance", ["cosine", "squared"])
def test_what_else_is_in_a_forward_changes_no_loss_of_features(tiny_model: Path, teacher: Any, distance: Any) -> None:
    student = load_with_paths(tiny_model)
    settings = FeatureSection(layers=((1, 1), (-1, -1)), distance=distance, mix=0.5)
    objective = Features(settings, student.config, teacher, seed=1)
    rows = [pack([TokenExample(list(range(n, n + 9)), [30, n], 0)]) for n in (5, 40)]
    together = objective.losses(student, collate(rows, CPU))
    apart = torch.cat([objective.losses(student, collate([row], CPU)) for row in rows])
    assert torch.allclose(together, apart, rtol=1e-5)


def test_hidden_states_are_those_of_plain_transformers(tiny_model: Path) -> None:
    example = TokenExample(list(range(5, 25)), [30, 31, 32], 0)
    plain = AutoModelForCausalLM.from_pretrained(tiny_model)
    ids = torch.tensor([[*example.prompt, *example.target]])
    expected = plain(ids, output_hidden_states=True).hidden_states
    _, states = target_hidden(load_with_paths(tiny_model), collate([pack([example])], CPU), [0, 1, -1])
    for layer, found in zip((0, 1, -1), states, strict=True):
        assert torch.allclose(found, expected[layer][0, 19:22], atol=1e-5)


def test_hidden_states_are_those_of_each_example_alone(tiny_model: Path, forward: Forward) -> None:
    _, (first, last) = target_hidden(load_with_paths(tiny_model), forward, [1, -1])
    alone = [TokenExample(list(range(5, 15)), [30, 31], 0), TokenExample(list(range(5, 25)), [30, 31, 32], 1)]
    parts = [target_hidden(load_with_paths(tiny_model), collate([pack([each])], CPU), [1, -1])[1] for each in alone]
    assert torch.allclose(first, torch.cat([part[0] for part in parts]), atol=1e-5)
    assert torch.allclose(last, torch.cat([part[1] for part in parts]), atol=1e-5)


def test_a_layer_that_is_not_there_is_named(tiny_model: Path, teacher: Any) -> None:
    with pytest.raises(UserError, match=r"the student has layers 0 .* to 2, and none numbered 3"):
        Features(FeatureSection(layers=((3, 1),)), load_with_paths(tiny_model).config, teacher, seed=0)


def test_another_vocabulary_is_refused_with_the_reason(tiny_model: Path, foreign_model: Path) -> None:
    assert shared_vocabulary(tiny_model, tiny_model) == 257
    with pytest.raises(UserError, match="'Q' in the student alone"):
        shared_vocabulary(tiny_model, foreign_model)
