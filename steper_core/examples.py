"""From a teacher's chain to what a student is trained on: step examples, and their rows of tokens.

Targets are cumulative: the example of step s has the prompt of step s and all lines up to it (PAPER.md, Method). Each
target ends with the end-of-sequence token, so that the student learns to stop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
class Row:
    """One row of token ids with its target tokens.

    For M target tokens: `positions` are where they stand in `ids`, `abilities` their ability (index into ABILITIES),
    `weights` one over the number of target tokens of their example. So a row may hold one example or many.
    """

    ids: list[int]
    positions: list[int]
    abilities: list[int]
    weights: list[float]


@dataclass(frozen=True)
class ChainRows:
    """All rows of one chain: the unit of a batch."""

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
    chains: Sequence[Sequence[StepExample]], tokenizer: Any, max_length: int, end_token: int
) -> EncodedChains:
    """Tokenise the examples of each chain. A prompt that is too long loses its first tokens, the oldest passages.

    An example whose target alone reaches the limit is left out.
    """
    encoded, cut, left_out = [], 0, 0
    for examples in chains:
        rows = []
        for example in examples:
            prompt = tokenizer(example.prompt, add_special_tokens=False).input_ids
            target = [*tokenizer(example.target, add_special_tokens=False).input_ids, end_token]
            room = max_length - len(target)
            if room < 1:
                left_out += 1
                continue
            cut += len(prompt) > room
            rows.append(_row(prompt[-room:], target, ABILITIES.index(example.ability)))
        if rows:
            encoded.append(ChainRows(examples[0].question_id, tuple(rows)))
    return EncodedChains(tuple(encoded), sum(map(len, chains)), cut, left_out)


def _row(prompt: list[int], target: list[int], ability: int) -> Row:
    return Row(
        ids=prompt + target,
        positions=list(range(len(prompt), len(prompt) + len(target))),
        abilities=[ability] * len(target),
        weights=[1.0 / len(target)] * len(target),
    )


def split_rows(rows: Sequence[Row], limit: int) -> list[list[Row]]:
    """Rows of similar length together, each part at most `limit` padded tokens (a longer row alone)."""
    parts: list[list[Row]] = []
    for row in sorted(rows, key=lambda row: len(row.ids)):
        if parts and len(row.ids) * (len(parts[-1]) + 1) <= limit:
            parts[-1].append(row)
        else:
            parts.append([row])
    return parts
