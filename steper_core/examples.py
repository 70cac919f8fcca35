"""From a teacher's chain to what a student is trained on: step examples, and their rows of tokens.

Targets are cumulative: the example of step s has the prompt of step s and all lines up to it (PAPER.md, Method). Each
target ends with the end-of-sequence token, so that the student learns to stop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steper_core.packing import Row, TokenExample, pack
from steper_core.prompts import build_prompt
from steper_core.records import ABILITIES, Ability, Chain, Passage, Question


@dataclass(frozen=True)
class StepExample:
    """One training example: which ability it teaches, its prompt, and its target lines joined by line breaks."""

    question_id: str
    ability: Ability
    prompt: str
    target: str


@dataclass(frozen=True)
class ChainRows:
    """All rows of one chain, one if it is packed: the unit of a batch."""

    question_id: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class EncodedChains:
    """Chains as rows, with how many examples were cut at the length limit, and how many left out altogether."""

    chains: tuple[ChainRows, ...]
    examples: int
    cut: int
    left_out: int


def step_examples(
    question: Question, chain: Chain, passages: Mapping[str, Passage], abilities: Sequence[Ability] = ABILITIES
) -> list[StepExample]:
    """The examples of a chain, one a step, for the steps with one of these abilities.

    Vanilla-KD is the aggregation examples alone (StepER, section 4).
    """
    examples = []
    seen: list[Passage] = []
    for step in chain.steps:
        seen += [passages[hit.passage_id] for hit in step.retrieved]
        if step.ability in abilities:
            target = "\n".join(chain.rationales[: step.number])
            prompt = build_prompt(question.text, seen).context
            examples.append(StepExample(question.id, step.ability, prompt, target))
    return examples


def encode_chains(
    chains: Sequence[Sequence[StepExample]],
    tokenizer: Any,
    max_length: int,
    end_token: int,
    *,
    packed: bool = True,
) -> EncodedChains:
    """Tokenise the examples of each chain: all in one row (`packed`), or each in a row of its own.

    A prompt that is too long loses its first tokens, the oldest passages. An example whose target alone reaches the
    limit is left out.
    """
    encoded, cut, left_out = [], 0, 0
    for examples in chains:
        found = []
        for example in examples:
            prompt = tokenizer(example.prompt, add_special_tokens=False).input_ids
            target = [*tokenizer(example.target, add_special_tokens=False).input_ids, end_token]
            room = max_length - len(target)
            if room < 1:
                left_out += 1
                continue
            cut += len(prompt) > room
            found.append(TokenExample(prompt[-room:], target, ABILITIES.index(example.ability)))
        if found:
            rows = (pack(found),) if packed else tuple(pack([example]) for example in found)
            encoded.append(ChainRows(examples[0].question_id, rows))
    return EncodedChains(tuple(encoded), sum(map(len, chains)), cut, left_out)
