"""From a teacher's chain to what a student is trained on: examples by task, and their rows of tokens.

A task is what an example teaches and has a loss of its own: one of the three abilities, or a rationale, or an answer.
Each target ends with the end-of-sequence token, so that the student learns to stop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steper_core.checkpoints import opening_ids
from steper_core.packing import Row, TokenExample, pack
from steper_core.prompts import Task, build_prompt
from steper_core.records import ABILITIES, Ability, Chain, Passage, Question

_FEW_MORE = 1.1
"""How many times as many tokens the rows of a chain may have in all, for none of them to be longer than it should."""
RATIONALE, ANSWER = "rationale", "answer"
"""The tasks of examples that teach no single step."""


@dataclass(frozen=True)
class Example:
    """One training example: which task it belongs to, its prompt, and its target lines joined by line breaks."""

    question_id: str
    task: str
    prompt: str
    target: str


@dataclass(frozen=True)
class ChainRows:
    """All rows of one chain, one if it is packed and not too long: the unit of a batch."""

    question_id: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class EncodedChains:
    """Chains as rows, with how many examples were cut at the length limit, and how many left out altogether.

    `by_task` counts those that are not left out; a task without any stands in it with 0.
    """

    chains: tuple[ChainRows, ...]
    cut: int
    left_out: int
    by_task: Mapping[str, int]

    @property
    def examples(self) -> int:
        """All examples, those that were left out too."""
        return sum(self.by_task.values()) + self.left_out


def step_examples(
    question: Question,
    chain: Chain,
    passages: Mapping[str, Passage],
    abilities: Sequence[Ability] = ABILITIES,
    expansion_steps: int | None = None,
) -> list[Example]:
    """The examples of a chain, one a step, for the steps with one of these abilities.

    Targets are cumulative: the example of step s has the prompt of step s and all lines up to it (StepER, section 3).
    Vanilla-KD is the aggregation examples alone (section 4). `expansion_steps` keeps the first so many expansion steps
    (1 in a variant of figure 3).
    """
    examples = []
    seen: list[Passage] = []
    # Step 1 is the initialization: an expansion step is the (number - 1)-th of its chain.
    last = expansion_steps + 1 if expansion_steps else len(chain.steps)
    for step in chain.steps:
        seen += [passages[hit.passage_id] for hit in step.retrieved]
        if step.ability in abilities and (step.number <= last or step.ability is not Ability.EXPANSION):
            target = "\n".join(chain.rationales[: step.number])
            examples.append(Example(question.id, step.ability, build_prompt(question.text, seen).context, target))
    return examples


def answer_examples(question: Question, chain: Chain, passages: Mapping[str, Passage]) -> list[Example]:
    """The last line alone, from all passages: a teacher's answers without its reasoning."""
    prompt = build_prompt(question.text, _all_passages(chain, passages)).context
    return [Example(question.id, ANSWER, prompt, chain.rationales[-1])]


def task_examples(question: Question, chain: Chain, passages: Mapping[str, Passage]) -> list[Example]:
    """The lines before the answer and the answer, from all passages, as two tasks that do not see each other.

    This is distilling step by step (Hsieh et al. 2023). Its prefixes end the prompts here, for the two to share their
    passages. A chain of one line has no rationale. A rationale ends with a line break before the end token: there the
    student is asked for the next line, and has to know that there is none.
    """
    seen = _all_passages(chain, passages)
    parts: list[tuple[str, Task, Sequence[str]]] = [
        (RATIONALE, "reasoning", [f"{line}\n" for line in chain.rationales[:-1]]),
        (ANSWER, "answer", chain.rationales[-1:]),
    ]
    return [
        Example(question.id, name, build_prompt(question.text, seen, task=task).context, "".join(lines))
        for name, task, lines in parts
        if lines
    ]


def _all_passages(chain: Chain, passages: Mapping[str, Passage]) -> list[Passage]:
    return [passages[hit.passage_id] for step in chain.steps for hit in step.retrieved]


def encode_chains(
    chains: Sequence[Sequence[Example]],
    tasks: Sequence[str],
    tokenizer: Any,
    max_length: int,
    end_token: int,
    *,
    row_tokens: int,
) -> EncodedChains:
    """Tokenise the examples of each chain, packed into one row (0 `row_tokens`: a row an example).

    Of a chain that takes more than `row_tokens`, examples that share little have rows of their own. Rows number tasks
    by their place in `tasks`.

    A prompt that is too long loses its first tokens, the oldest passages. An example whose target alone reaches the
    limit is left out.
    """
    opening = opening_ids(tokenizer)
    encoded, cut, left_out = [], 0, 0
    by_task = dict.fromkeys(map(str, tasks), 0)
    for examples in chains:
        found = []
        for example in examples:
            prompt = opening + tokenizer(example.prompt, add_special_tokens=False).input_ids
            target = [*tokenizer(example.target, add_special_tokens=False).input_ids, end_token]
            room = max_length - len(target)
            if room <= len(opening):
                left_out += 1
                continue
            cut += len(prompt) > room
            by_task[example.task] += 1
            kept = prompt if len(prompt) <= room else opening + prompt[len(prompt) - room + len(opening) :]
            found.append(TokenExample(kept, target, tasks.index(example.task)))
        if found:
            encoded.append(ChainRows(examples[0].question_id, tuple(_packed(found, row_tokens))))
    return EncodedChains(tuple(encoded), cut, left_out, by_task)


def _packed(examples: Sequence[TokenExample], limit: int) -> list[Row]:
    """The examples in one row; a longer one in several, if that costs few tokens: cut prompts share nothing."""
    if not limit:
        return [pack([example]) for example in examples]
    row = pack(examples)
    if len(row) <= limit or len(examples) == 1:
        return [row]
    places = range(1, len(examples))
    cut = min(places, key=lambda place: len(pack(examples[:place])) + len(pack(examples[place:])))
    parts = [*_packed(examples[:cut], limit), *_packed(examples[cut:], limit)]
    return parts if sum(map(len, parts)) <= _FEW_MORE * len(row) else [row]
