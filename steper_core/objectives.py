"""What is measured on a target token: its cross-entropy, how far the teacher's distribution is, or its hidden state.

Each objective gives one loss a target token, so that tasks and their weighting work alike on all of them. Student and
teacher read the same forward, tokens and all: they must share a vocabulary.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from steper_core.config import Divergence, FeatureSection, LogitSection
from steper_core.errors import UserError
from steper_core.losses import cross_entropy, target_hidden, target_logits
from steper_core.packing import Forward


class Objective(Protocol):
    """Gives the losses (M,) of a forward's target tokens, in nats."""

    def losses(self, student: Any, batch: Forward) -> Tensor:
        """The student's losses; gradients flow to it."""
        ...

    def parameters(self) -> list[nn.Parameter]:
        """What is learned beside the student, if anything."""
        ...


class CrossEntropy:
    """The cross-entropy of the teacher's tokens."""

    def losses(self, student: Any, batch: Forward) -> Tensor:
        """See `Objective.losses`."""
        return cross_entropy(target_logits(student, batch), batch)

    def parameters(self) -> list[nn.Parameter]:
        """None."""
        return []


class SoftTargets:
    """The teacher's distribution beside its tokens (Hinton et al. 2015, section 2).

    (1 - mix) * cross-entropy + mix * T^2 * D(teacher, student), both at temperature T. `teacher` is a model, or None
    where forwards carry its stored log-probabilities. `vocabulary` is the number of tokens both know: logits behind it
    pad the matrices and mean nothing.
    """

    def __init__(self, settings: LogitSection, vocabulary: int, teacher: Any | None) -> None:
        self._settings = settings
        self._vocabulary = vocabulary
        self._teacher = teacher

    def losses(self, student: Any, batch: Forward) -> Tensor:
        """See `Objective.losses`."""
        settings = self._settings
        logits = target_logits(student, batch)
        hard = cross_entropy(logits, batch)
        found = tempered(logits[:, : self._vocabulary], settings.temperature)
        if self._teacher is not None:
            with torch.no_grad():
                teacher = tempered(target_logits(self._teacher, batch)[:, : self._vocabulary], settings.temperature)
        elif batch.soft is not None:
            ids, log_probs = batch.soft
            teacher, found = with_rest(log_probs), with_rest(found.gather(1, ids))
        else:
            raise ValueError("there is neither a teacher nor a forward with what one stored")
        soft = divergence(teacher, found, settings.divergence) * settings.temperature**2
        return torch.lerp(hard, soft, settings.mix)

    def parameters(self) -> list[nn.Parameter]:
        """None."""
        return []


class Features:
    """The teacher's hidden states beside its tokens, through learned projections (FitNets, Romero et al. 2015).

    (1 - mix) * cross-entropy + mix * distance, the mean over pairs of layers. Distances are those of the states that
    predict targets: `cosine` is 1 - cos, `squared` the squared error over the mean square of the teacher's state.
    """

    def __init__(self, settings: FeatureSection, student_config: Any, teacher: Any, seed: int) -> None:
        self._settings = settings
        self._teacher = teacher
        for config, place, name in ((student_config, 0, "student"), (teacher.config, 1, "teacher")):
            _check_layers([pair[place] for pair in settings.layers], config.num_hidden_layers, name)
        generator = torch.Generator().manual_seed(seed)
        shape = (teacher.config.hidden_size, student_config.hidden_size)
        self._projections = [
            nn.Parameter((torch.randn(shape, generator=generator) / math.sqrt(shape[1])).to(teacher.device))
            for _ in settings.layers
        ]

    def losses(self, student: Any, batch: Forward) -> Tensor:
        """See `Objective.losses`."""
        settings = self._settings
        logits, states = target_hidden(student, batch, [pair[0] for pair in settings.layers])
        with torch.no_grad():
            _, wanted = target_hidden(self._teacher, batch, [pair[1] for pair in settings.layers])
        distances = [
            _distance(functional.linear(state.float(), projection), goal.float(), settings.distance)
            for state, goal, projection in zip(states, wanted, self._projections, strict=True)
        ]
        return torch.lerp(cross_entropy(logits, batch), torch.stack(distances).mean(dim=0), settings.mix)

    def parameters(self) -> list[nn.Parameter]:
        """The projections, teacher width by student width."""
        return self._projections


def tempered(logits: Tensor, temperature: float) -> Tensor:
    """Log-probabilities (M, V) at a temperature, in float32."""
    return functional.log_softmax(logits.float() / temperature, dim=-1)


def with_rest(log_probs: Tensor) -> Tensor:
    """Log-probabilities (M, k) of some tokens, and that of all others as one more: (M, k + 1)."""
    known = log_probs.float().exp().sum(dim=1, keepdim=True)
    return torch.cat([log_probs.float(), (1 - known).clamp_min(1e-6).log()], dim=1)


def divergence(teacher: Tensor, student: Tensor, kind: Divergence) -> Tensor:
    """How far two distributions (M, V), given as log-probabilities, are from each other, in nats: (M,).

    Forward KL is KL(teacher || student), reverse KL the other way round (as in MiniLLM, Gu et al. 2024), Jensen-Shannon
    the mean of both ways to their average (GKD, Agarwal et al. 2024, beta = 1/2). Token by token, on the teacher's
    chains: those two papers train on what the student samples.
    """
    if kind == "forward-kl":
        return _kl(teacher, student)
    if kind == "reverse-kl":
        return _kl(student, teacher)
    middle = torch.logaddexp(teacher, student) - math.log(2)
    return (_kl(teacher, middle) + _kl(student, middle)) / 2


def _kl(first: Tensor, second: Tensor) -> Tensor:
    return (first.exp() * (first - second)).sum(dim=-1)


def _distance(found: Tensor, wanted: Tensor, kind: str) -> Tensor:
    if kind == "cosine":
        return 1 - functional.cosine_similarity(found, wanted, dim=-1)
    return (found - wanted).square().mean(dim=-1) / wanted.square().mean(dim=-1).clamp_min(1e-12)


def _check_layers(layers: list[int], count: int, name: str) -> None:
    wrong = [layer for layer in layers if not -count - 1 <= layer <= count]
    if wrong:
        raise UserError(
            f"train.features.layers: the {name} has layers 0 (embeddings) to {count}, and none numbered {wrong[0]}"
        )
