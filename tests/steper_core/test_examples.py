"""From chains to rows of tokens: cumulative targets, what a length limit cuts, and the same tokens as at inference."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steper_core.examples import Example, encode_chains, step_examples
from steper_core.lm_local import LocalModel
from steper_core.prompts import build_prompt
from steper_core.records import ABILITIES, Ability, Chain, Passage, Question, Retrieved, Step, StopReason, ability_of

PASSAGES = [Passage.of(f"Title {n}", f"Text {n} é.") for n in range(4)]
KNOWN = {passage.id: passage for passage in PASSAGES}
QUESTION = Question(id="q", dataset="d", text="Who?", answer="Tiv")
END = 0
INIT, EXP, AGG = 0, 1, 2


class ByteTokenizer:
    """One token a byte, shifted by one so that 0 is the end, and `opening` before every text if asked for."""

    def __init__(self, opening: str = "") -> None:
        self.opening = [byte + 1 for byte in opening.encode()]
        self.bos_token_id = self.opening[0] if opening else None

    def __call__(self, text: str, *, add_special_tokens: bool = True) -> Any:
        opening = self.opening if add_special_tokens else []
        return type("Encoding", (), {"input_ids": [*opening, *(byte + 1 for byte in text.encode())]})


def chain(*lines: str, passages: tuple[tuple[int, ...], ...] | None = None) -> Chain:
    """A chain that writes these lines and at step n newly retrieves passages[n]; by default one passage a step."""
    shown = passages or tuple((number,) for number in range(len(lines)))
    steps = tuple(
        Step(
            number=number,
            ability=ability_of(number, len(lines)),
            query="?",
            retrieved=tuple(
                Retrieved(passage_id=PASSAGES[n].id, rank=rank, score=1.0) for rank, n in enumerate(new, start=1)
            ),
            rationale=line,
            prompt_tokens=0,
            output_tokens=0,
            seconds=0.0,
        )
        for number, (line, new) in enumerate(zip(lines, shown, strict=True), start=1)
    )
    return Chain(question_id="q", steps=steps, answer="Tiv", stop_reason=StopReason.ANSWERED)


def text_of(ids: Iterable[int]) -> str:
    return bytes(int(number) - 1 for number in ids).decode()


FOUR = ("One.", "Two.", "Three.", "So the answer is: Tiv")


def test_targets_are_cumulative_and_prompts_hold_the_passages_so_far() -> None:
    examples = step_examples(QUESTION, chain(*FOUR, passages=((1, 0), (2,), (), (3,))), KNOWN)
    assert [example.task for example in examples] == [
        Ability.INITIALIZATION,
        Ability.EXPANSION,
        Ability.EXPANSION,
        Ability.AGGREGATION,
    ]
    assert [example.target for example in examples] == [
        "One.",
        "One.\nTwo.",
        "One.\nTwo.\nThree.",
        "One.\nTwo.\nThree.\nSo the answer is: Tiv",
    ]
    order = [1, 0, 2, 3]
    assert [example.prompt for example in examples] == [
        build_prompt("Who?", [PASSAGES[n] for n in order[:count]]).context for count in (2, 3, 3, 4)
    ]
    assert {example.question_id for example in examples} == {"q"}


def test_a_single_step_gives_one_aggregation_example() -> None:
    (example,) = step_examples(QUESTION, chain(FOUR[-1]), KNOWN)
    assert (example.task, example.target) == (Ability.AGGREGATION, "So the answer is: Tiv")


def test_vanilla_kd_is_the_aggregation_example_alone() -> None:
    everything = step_examples(QUESTION, chain(*FOUR), KNOWN)
    assert step_examples(QUESTION, chain(*FOUR), KNOWN, (Ability.AGGREGATION,)) == everything[-1:]


def test_each_row_is_prompt_target_and_end_with_weights_that_sum_to_one() -> None:
    examples = step_examples(QUESTION, chain(*FOUR), KNOWN)
    found = encode_chains([examples], ABILITIES, ByteTokenizer(), 10_000, END, row_tokens=0)
    (rows,) = found.chains
    assert (rows.question_id, found.examples, found.cut, found.left_out) == ("q", 4, 0, 0)
    for row, example, ability in zip(rows.rows, examples, (INIT, EXP, EXP, AGG), strict=True):
        length = len(example.target.encode()) + 1
        assert row.ids[-1] == END and END not in row.ids[:-1]
        assert text_of(row.ids[:-1]) == example.prompt + example.target
        assert row.sources.tolist() == list(range(len(row) - length - 1, len(row) - 1))
        assert row.targets.tolist() == row.ids[-length:].tolist()
        assert row.tasks.tolist() == [ability] * length
        assert row.weights.tolist() == pytest.approx([1 / length] * length)
        assert sum(row.weights) == pytest.approx(1)


def example(prompt: str, target: str) -> Example:
    return Example("q", Ability.AGGREGATION, prompt, target)


def test_a_long_prompt_loses_its_oldest_tokens_and_the_target_none() -> None:
    # A target of 3 bytes and the end leave 6 of 10 tokens to the prompt.
    examples = [[example("0123456789", "abc"), example("012345", "abc")]]
    found = encode_chains(examples, ABILITIES, ByteTokenizer(), 10, END, row_tokens=0)
    cut, whole = found.chains[0].rows
    assert text_of(cut.ids[:-1]) == "456789abc"
    assert cut.sources.tolist() == [5, 6, 7, 8]
    assert text_of(whole.ids[:-1]) == "012345abc"
    assert (found.examples, found.cut, found.left_out) == (2, 1, 0)


def test_the_token_that_opens_every_text_stays_where_a_prompt_is_cut() -> None:
    examples = [[example("0123456789", "abc"), example("01", "abc"), example("01", "abcdefghi")]]
    found = encode_chains(examples, ABILITIES, ByteTokenizer("^"), 10, END, row_tokens=0)
    assert [text_of(row.ids[:-1]) for row in found.chains[0].rows] == ["^56789abc", "^01abc"]
    assert (found.cut, found.left_out) == (1, 1)
    (packed,) = encode_chains(examples, ABILITIES, ByteTokenizer("^"), 99, END, row_tokens=99).chains[0].rows
    assert packed.ids.tolist().count(ord("^") + 1) == 1


def test_an_example_whose_target_fills_the_limit_is_left_out_and_counted() -> None:
    chains = [[example("prompt", "12345678"), example("prompt", "123456789")], [example("prompt", "1234567890")], []]
    found = encode_chains(chains, ABILITIES, ByteTokenizer(), 10, END, row_tokens=10)
    (rows,) = found.chains
    assert [text_of(row.ids[:-1]) for row in rows.rows] == ["t12345678"]
    assert (found.examples, found.cut, found.left_out) == (3, 1, 2)


def test_training_sees_the_same_tokens_as_inference(tiny_model: Path) -> None:
    model = LocalModel(tiny_model, device="cpu", dtype="float32", max_new_tokens=4)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    examples = step_examples(QUESTION, chain(*FOUR), KNOWN)
    (rows,) = encode_chains([examples], ABILITIES, tokenizer, 10_000, tokenizer.eos_token_id, row_tokens=0).chains
    for number, row in enumerate(rows.rows, start=1):
        last = number == len(FOUR)
        prompt = build_prompt("Who?", PASSAGES[:number], FOUR[: number - 1], force_answer=last)
        seen = model._encode(prompt)
        assert row.ids[: len(seen)].tolist() == seen
        line = tokenizer.decode(row.ids[len(seen) : -1])
        assert line == (" Tiv" if last else FOUR[number - 1])
        assert row.ids[-1] == tokenizer.eos_token_id


def test_a_chain_whose_cut_prompts_share_nothing_gets_rows_of_bounded_length() -> None:
    texts = ["0123456789abcdef"[: 8 + 2 * number] for number in range(5)]
    examples = [[example(text, "xyz"[: 1 + number % 3]) for number, text in enumerate(texts)]]
    found = encode_chains(examples, ABILITIES, ByteTokenizer(), 10, END, row_tokens=25)
    alone = encode_chains(examples, ABILITIES, ByteTokenizer(), 10, END, row_tokens=0)
    (packed,), (single,) = found.chains, alone.chains
    assert [len(row) for row in single.rows] == [10] * 5
    assert 1 < len(packed.rows) < 5 and all(len(row) <= 25 for row in packed.rows)
    # The same targets in the same order, wherever the rows end.
    for field in ("targets", "tasks", "weights"):
        both = [np.concatenate([getattr(row, field) for row in rows.rows]).tolist() for rows in (packed, single)]
        assert both[0] == both[1]
    # What is shared stays together, however long it is.
    (whole,) = encode_chains(examples, ABILITIES, ByteTokenizer(), 99, END, row_tokens=5).chains
    assert len(whole.rows) == 1
