"""Packing: trees by hand, nothing seen that is not above, and the losses and gradients of one row an example."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from transformers import AutoModelForCausalLM, PreTrainedConfig, Qwen2Config, Qwen3Config

from steper_core.config import FeatureSection, LogitSection, TrainSection
from steper_core.losses import cross_entropy, target_logits, task_losses
from steper_core.objectives import CrossEntropy, Features, Objective, SoftTargets
from steper_core.packing import Row, TokenExample, collate, pack, split_rows
from steper_core.path_attention import TokenPath, load_with_paths, paths_of
from steper_core.records import ABILITIES
from steper_core.students import load_student
from steper_core.weighting import FixedWeighting, LearnedWeighting
from tests.steper_core.test_path_attention import SIZES, saved

INIT, EXP, AGG = 0, 1, 2
CPU = torch.device("cpu")


def test_a_single_example_is_a_plain_row() -> None:
    row = pack([TokenExample([5, 6, 7], [8, 9], AGG)])
    assert row.ids.tolist() == [5, 6, 7, 8, 9]
    assert row.depths.tolist() == [0, 1, 2, 3, 4]
    assert (row.sources.tolist(), row.targets.tolist()) == ([2, 3], [8, 9])
    assert (row.tasks.tolist(), row.weights.tolist()) == ([AGG, AGG], [0.5, 0.5])


def test_two_steps_share_their_trunk_and_not_their_branches() -> None:
    # Passage 1 2, then the question 9 and the target 3 0; the second step reads the passage 4 as well and comes first.
    row = pack([TokenExample([1, 2, 9], [3, 0], INIT), TokenExample([1, 2, 4, 9], [3, 5, 0], AGG)])
    assert row.ids.tolist() == [1, 2, 4, 9, 3, 5, 0, 9, 3, 0]
    assert row.depths.tolist() == [0, 1, 2, 3, 4, 5, 6, 2, 3, 4]
    assert row.sources.tolist() == [7, 8, 3, 4, 5]
    assert paths_of(row.depths) == (TokenPath(0, 7, ()), TokenPath(7, 10, ((0, 2),)))
    assert row.targets.tolist() == [3, 0, 3, 5, 0]
    assert row.tasks.tolist() == [INIT, INIT, AGG, AGG, AGG]
    assert row.weights.tolist() == pytest.approx([1 / 2] * 2 + [1 / 3] * 3)


def test_a_step_that_retrieves_nothing_shares_its_prompt_and_the_lines_before() -> None:
    # Same prompt; the first target ends where the second goes on: one place predicts two targets.
    row = pack([TokenExample([1], [2, 0], INIT), TokenExample([1], [2, 3, 0], EXP)])
    assert row.ids.tolist() == [1, 2, 3, 0, 0]
    assert row.depths.tolist() == [0, 1, 2, 3, 2]
    assert row.sources.tolist() == [0, 1, 0, 1, 2]
    assert row.targets.tolist() == [2, 0, 2, 3, 0]


def test_a_branch_of_a_branch_sees_both_of_those_above() -> None:
    # A tree: 0 1 2 3 in a line, 4 5 below 1, 6 below 4, and then another tree.
    depths = np.array([0, 1, 2, 3, 2, 3, 3, 0, 1], np.int32)
    assert paths_of(depths) == (
        TokenPath(0, 4, ()),
        TokenPath(4, 6, ((0, 2),)),
        TokenPath(6, 7, ((0, 2), (4, 5))),
        TokenPath(7, 9, ()),
    )


def test_rows_follow_each_other_without_seeing_each_other() -> None:
    rows = [pack([TokenExample([1, 2], [3], INIT)]), pack([TokenExample([4], [5], AGG)])]
    forward = collate(rows, CPU)
    assert forward.ids.tolist() == [[1, 2, 3, 4, 5]]
    assert forward.positions.tolist() == [[0, 1, 2, 0, 1]]
    assert forward.paths == (TokenPath(0, 3, ()), TokenPath(3, 5, ()))
    assert forward.sources.tolist() == [1, 3]
    assert forward.tasks.tolist() == [INIT, AGG]


def test_an_example_without_prompt_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a prompt"):
        pack([TokenExample([], [1], AGG)])


token_lists = st.lists(st.integers(1, 3), min_size=1, max_size=8)
example_lists = st.lists(
    st.builds(TokenExample, prompt=token_lists, target=token_lists, task=st.integers(0, 2)), min_size=1, max_size=6
)


@given(example_lists)
def test_what_each_target_sees_is_its_own_example(examples: list[TokenExample]) -> None:
    """Reading the row back along the mask gives every example, token for token, and nothing else."""
    row = pack(examples)
    seen = {}
    for path in paths_of(row.depths):
        above = [place for start, stop in path.above for place in range(start, stop)]
        for place in range(path.start, path.stop):
            above.append(place)
            seen[place] = list(above)
    read = []
    for source, target in zip(row.sources.tolist(), row.targets.tolist(), strict=True):
        assert row.depths[seen[source]].tolist() == list(range(len(seen[source])))
        read.append([*row.ids[seen[source]].tolist(), target])
    expected = [
        [*example.prompt, *example.target[:length]]
        for example in examples
        for length in range(1, len(example.target) + 1)
    ]
    assert read == expected
    # No two places have the same tokens up to them: what can be shared is.
    assert len({tuple(row.ids[places]) for places in seen.values()}) == len(row)


def tree(length: int) -> Row:
    return pack([TokenExample([1] * (length - 1), [2], AGG)])


@given(st.lists(st.integers(2, 60), max_size=40), st.integers(1, 200))
def test_split_rows_holds_every_row_once_within_the_limit(lengths: list[int], limit: int) -> None:
    parts = split_rows([tree(length) for length in lengths], limit)
    assert sorted(len(row) for part in parts for row in part) == sorted(lengths)
    for part in parts:
        assert part
        assert len(part) == 1 or sum(len(row) for row in part) <= limit


def test_rows_fill_parts_first_fit() -> None:
    parts = split_rows([tree(length) for length in (9, 2, 10, 7, 3)], 20)
    assert [[len(row) for row in part] for part in parts] == [[10, 9], [7, 3, 2]]


def chain_examples(seed: int, steps: int, fresh: int = 9) -> list[TokenExample]:
    """The examples of a chain: passages are appended, lines accumulate, as `step_examples` makes them."""
    draw = torch.Generator().manual_seed(seed)

    def tokens(count: int) -> list[int]:
        return torch.randint(2, 200, (count,), generator=draw).tolist()

    question, passages, lines = tokens(4), [], []
    examples = []
    for number in range(1, steps + 1):
        # Every third step retrieves nothing new.
        passages += tokens(fresh) if number % 3 else []
        lines += tokens(3)
        task = AGG if number == steps else (INIT if number == 1 else EXP)
        examples.append(TokenExample([*passages, *question], [*lines, 1], task))
    return examples


CHAINS = [chain_examples(seed, steps) for seed, steps in enumerate((1, 2, 5, 3))]
"""One early stop, one chain without expansion, and longer ones."""


def reference(model: Any) -> torch.Tensor:
    """Eq. 3's raw losses, example by example, without rows, masks or padding."""
    losses = torch.zeros(3)
    for example in itertools.chain.from_iterable(CHAINS):
        ids = torch.tensor([[*example.prompt, *example.target]])
        logits = model(ids).logits[0, len(example.prompt) - 1 : -1]
        losses = losses.index_add(
            0, torch.tensor([example.task]), functional.cross_entropy(logits, ids[0, len(example.prompt) :])[None]
        )
    return losses / len(CHAINS)


def packed(model: Any, rows: list[Row], limit: int) -> torch.Tensor:
    losses = torch.zeros(3)
    for part in split_rows(rows, limit):
        forward = collate(part, CPU)
        losses = losses + task_losses(cross_entropy(target_logits(model, forward), forward), forward, 3, len(CHAINS))
    return losses


ROWS = {
    "trees": [pack(chain) for chain in CHAINS],
    "rows": [pack([example]) for chain in CHAINS for example in chain],
}


@pytest.mark.parametrize(
    "weighting", [FixedWeighting((1, 1, 1)), FixedWeighting((1.5, 1.0, 0.5)), LearnedWeighting(ABILITIES)]
)
@pytest.mark.parametrize("layout", ROWS)
@pytest.mark.parametrize("limit", [1, 150, 10_000])
def test_losses_and_gradients_equal_those_of_examples_alone(
    tiny_model: Path, layout: str, limit: int, weighting: Any
) -> None:
    require_same_as_alone(tiny_model, lambda model: packed(model, ROWS[layout], limit), weighting)


def require_same_as_alone(base: Path, losses: Callable[[Any], torch.Tensor], weighting: Any) -> None:
    def result(model: Any, losses: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        found = losses(model)
        weighting.combine(found, (True, True, True), 1.0).backward()
        return found.detach(), {name: weight.grad for name, weight in model.named_parameters()}

    expected, gradients = result(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), reference)
    found, own = result(load_with_paths(base), losses)
    assert torch.allclose(found, expected, rtol=1e-5)
    for name, gradient in gradients.items():
        assert torch.allclose(own[name], gradient, rtol=1e-4, atol=1e-6), name


def test_in_bfloat16_the_gradients_of_trees_point_where_those_of_examples_alone_do(tiny_model: Path) -> None:
    """bfloat16 has an attention of its own, whose gradients differ by rounding: a few degrees, lengths alike."""

    def gradients(model: Any, losses: Callable[[Any], torch.Tensor]) -> torch.Tensor:
        losses(model).sum().backward()
        return torch.cat([weight.grad.flatten() for weight in model.parameters()])

    exact = gradients(AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32), reference)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = gradients(load_with_paths(tiny_model), lambda model: packed(model, ROWS["trees"], 150))
    assert functional.cosine_similarity(exact, rounded, dim=0) > 0.998
    assert rounded.norm() == pytest.approx(float(exact.norm()), rel=0.02)


@pytest.mark.parametrize("config", [Qwen2Config(**SIZES), Qwen3Config(**SIZES, head_dim=8)])
def test_other_families_have_the_gradients_of_examples_alone(
    tiny_model: Path, tmp_path: Path, config: PreTrainedConfig
) -> None:
    """With biases of queries and keys (Qwen2), and with norms of them (Qwen3)."""
    torch.manual_seed(3)
    base = saved(config, tiny_model, tmp_path)
    model = AutoModelForCausalLM.from_pretrained(base)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias") or "q_norm" in name or "k_norm" in name:
                weight.add_(0.3 * torch.randn_like(weight))
    model.save_pretrained(base)
    require_same_as_alone(base, lambda model: packed(model, ROWS["trees"], 150), FixedWeighting((1, 1, 1)))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_adapters_have_the_gradients_of_one_row_an_example(tiny_model: Path, checkpointing: bool) -> None:
    def gradients(layout: str) -> dict[str, torch.Tensor]:
        student: Any = load_student(tiny_model, TrainSection(lora_rank=4, dtype="float32"), str(tiny_model), 5)
        torch.manual_seed(4)
        with torch.no_grad():
            for name, weight in student.named_parameters():
                if "lora_B" in name:  # zero at first, so that nothing would reach lora_A
                    weight.normal_(std=0.1)
        if checkpointing:
            student.gradient_checkpointing_enable({"use_reentrant": False})
            student.enable_input_require_grads()
        student.eval() if not checkpointing else student.train()
        packed(student, ROWS[layout], 150).sum().backward()
        return {name: weight.grad for name, weight in student.named_parameters() if weight.requires_grad}

    expected, own = gradients("rows"), gradients("trees")
    assert expected and all("lora" in name for name in expected)
    for name, gradient in expected.items():
        assert gradient.any() and torch.allclose(own[name], gradient, rtol=1e-3, atol=1e-6), name


def tasks_of(chain: list[TokenExample]) -> list[TokenExample]:
    """Rationale and answer asked for by two ends of one prompt, as `multitask-kd` does."""
    last = chain[-1]
    return [
        TokenExample([*last.prompt, 250], last.target[:-3], 0),
        TokenExample([*last.prompt, 251], last.target[-3:], 1),
    ]


EXAMPLES = {
    "steper": CHAINS,
    "multitask-kd": [tasks_of(chain) for chain in CHAINS],
    "answer-kd": [[TokenExample(chain[-1].prompt, chain[-1].target[-3:], 0)] for chain in CHAINS],
}


def objective_named(name: str, base: Path) -> Objective:
    if name == "cross-entropy":
        return CrossEntropy()
    torch.manual_seed(5)
    teacher = load_with_paths(base).eval()
    with torch.no_grad():
        for weight in teacher.parameters():
            weight += 0.05 * torch.randn_like(weight)
    if name in ("cosine", "squared"):
        chosen = FeatureSection.model_validate({"distance": name, "layers": [[1, 0], [-1, -1]]})
        return Features(chosen, teacher.config, teacher, 7)
    return SoftTargets(LogitSection.model_validate({"divergence": name}), 257, teacher)


OBJECTIVES = ("cross-entropy", "forward-kl", "reverse-kl", "jensen-shannon", "cosine", "squared")


@pytest.mark.parametrize(
    ("method", "name"),
    [*(("steper", name) for name in OBJECTIVES), ("multitask-kd", "forward-kl"), ("answer-kd", "cosine")],
)
def test_every_objective_has_the_gradients_of_one_row_an_example(tiny_model: Path, method: str, name: str) -> None:
    def result(layout: list[list[TokenExample]]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        model, objective = load_with_paths(tiny_model), objective_named(name, tiny_model)
        weighting = LearnedWeighting(ABILITIES)
        losses = torch.zeros(3)
        for part in split_rows([pack(row) for row in layout], 150):
            forward = collate(part, CPU)
            losses = losses + task_losses(objective.losses(model, forward), forward, 3, len(CHAINS))
        weighting.combine(losses, [loss > 0 for loss in losses.tolist()], 1.0).backward()
        own = dict(enumerate([*weighting.parameters(), *objective.parameters()]))
        named = {**dict(model.named_parameters()), **{str(key): weight for key, weight in own.items()}}
        return losses.detach(), {key: weight.grad for key, weight in named.items() if weight.grad is not None}

    chains = EXAMPLES[method]
    expected, gradients = result([[example] for chain in chains for example in chain])
    found, own = result(chains)
    assert torch.allclose(found, expected, rtol=1e-4) and expected.any()
    # Beside the model's: those of the sigmas of the method's tasks, and with features those of two projections.
    tasks = {"steper": 3, "multitask-kd": 2, "answer-kd": 1}[method]
    assert len(gradients) == 21 + tasks + 2 * (name in ("cosine", "squared")) and own.keys() == gradients.keys()
    for key, gradient in gradients.items():
        assert torch.allclose(own[key], gradient, rtol=1e-3, atol=1e-6), key


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000), st.integers(1, 6))
def test_a_tree_is_never_longer_than_its_longest_path_plus_branches(seed: int, steps: int) -> None:
    examples = chain_examples(seed, steps)
    shared = len(pack(examples))
    alone = sum(len(example.prompt) + len(example.target) for example in examples)
    assert shared <= alone
    assert shared == alone if steps == 1 else shared < alone


def test_rows_are_divided_further_until_there_are_as_many_parts_as_asked_for() -> None:
    rows = [pack([TokenExample([1] * length, [2], 0)]) for length in (5, 4, 3)]
    assert [sorted(map(len, part)) for part in split_rows(rows, 100, at_least=2)] == [[5, 6], [4]]
    # A row is not divided: three are all there can be, so the shortest comes again and has no weight.
    parts = split_rows(rows, 100, at_least=5)
    assert [len(row) for part in parts for row in part] == [6, 4, 5, 4, 4]
    assert [float(row.weights.sum()) for part in parts for row in part] == [1, 1, 1, 0, 0]
