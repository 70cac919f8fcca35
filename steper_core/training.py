"""From a collect run's kept chains to a trained student: choose examples by method, tokenise, train."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steper_core.config import Method, TrainSection
from steper_core.errors import UserError
from steper_core.examples import EncodedChains, encode_chains, step_examples
from steper_core.records import ABILITIES, Ability
from steper_core.rundir import RunDir
from steper_core.trainer import OnProgress, train_student

ABILITIES_OF: dict[Method, tuple[Ability, ...]] = {
    "vanilla-kd": (Ability.AGGREGATION,),
    "steper": ABILITIES,
}
"""Which step examples a method trains on (StepER, section 4: Vanilla-KD is the aggregation examples alone)."""


@dataclass(frozen=True)
class TrainingOutcome:
    """Measurements, and how many chains and examples went in, were cut or left out."""

    facts: dict[str, float]
    counts: dict[str, int]


def train_on_chains(
    base: Path,
    teacher_run: RunDir,
    settings: TrainSection,
    *,
    held_out: Set[str],
    banned: Set[str],
    seed: int,
    run: RunDir,
    device: str = "auto",
    on_progress: OnProgress = lambda _done, _all: None,
) -> TrainingOutcome:
    """Train on the kept chains of a collect run, measuring on those of the held-out question ids.

    Chains of `banned` ids (the evaluation questions) are left out and counted.

    Raises:
        UserError: no chain is left to train on, or the tokenizer has no end-of-sequence token.
    """
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(base)
    if tokenizer.eos_token_id is None:
        raise UserError(f"the tokenizer of {base} has no end-of-sequence token, so a student could not learn to stop")
    chains = {chain.question_id: chain for chain in teacher_run.chains()}
    questions = {question.id: question for question in teacher_run.questions()}
    passages = {passage.id: passage for passage in teacher_run.passages()}

    def encode(ids: list[str]) -> EncodedChains:
        examples = [step_examples(questions[i], chains[i], passages, ABILITIES_OF[settings.method]) for i in ids]
        return encode_chains(examples, tokenizer, settings.max_length, tokenizer.eos_token_id, packed=settings.packing)

    training = encode([i for i in chains if i not in held_out and i not in banned])
    measured = encode([i for i in chains if i in held_out and i not in banned])
    counts = {
        "chains": len(training.chains),
        "examples": training.examples - training.left_out,
        "cut": training.cut,
        "left_out": training.left_out,
        "held_out_chains": len(measured.chains),
        "also_in_evaluation": sum(i in banned for i in chains),
    }
    run.update(counts=counts)
    facts = train_student(
        base,
        training.chains,
        measured.chains,
        settings,
        seed=seed,
        run=run,
        device=device,
        on_progress=on_progress,
    )
    return TrainingOutcome(facts, counts)
