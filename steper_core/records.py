"""The words of the field as frozen records: what every layer hands to the next.

A record is validated when it is read (`model_validate_json`) and never changes afterwards. Field names are the words
of ARCHITECTURE.md; a record written by one layer is read unchanged by all others.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

ANSWER_FLAG = "So the answer is:"
"""The words that end a chain (StepER, section 3; the flag is IRCoT's)."""


class Ability(StrEnum):
    """The reasoning ability a step exercises, decided by its place in the chain (StepER, table 1)."""

    INITIALIZATION = "initialization"
    EXPANSION = "expansion"
    AGGREGATION = "aggregation"


ABILITIES: tuple[Ability, ...] = tuple(Ability)


def ability_of(number: int, step_count: int) -> Ability:
    """Ability of step `number` (from 1) in a chain of `step_count` steps. S = 1 is one aggregation step."""
    if number == step_count:
        return Ability.AGGREGATION
    return Ability.INITIALIZATION if number == 1 else Ability.EXPANSION


class Record(BaseModel):
    """Base of all records: immutable, and an unknown field is an error rather than silently dropped."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Passage(Record):
    """A retrievable text. Its id is a digest of title and text, so equal passages of two files are one passage."""

    id: str
    title: str
    text: str

    @classmethod
    def of(cls, title: str, text: str) -> Passage:
        """The passage of a title and a text, with its id."""
        digest = hashlib.blake2b(f"{title}\n{text}".encode(), digest_size=8).hexdigest()
        return cls(id=digest, title=title, text=text)


class Hop(Record):
    """One gold sub-question with its answer and passage.

    `statement` says the hop in one line, as a teacher would write it. `depends_on` holds positions (from 0) of the hops
    whose answers this one needs. `answer` is None where the dataset has no sub-answers (HotpotQA), `passage_id` is None
    where the evidence names no labelled passage.
    """

    question: str
    answer: str | None
    statement: str
    passage_id: str | None
    depends_on: tuple[int, ...] = ()


class Question(Record):
    """A question of a dataset. `kind` is the dataset's own type (bridge, comparison, 2hop, ...)."""

    id: str = Field(min_length=1)
    dataset: str
    text: str = Field(min_length=1)
    answer: str = Field(min_length=1)
    aliases: tuple[str, ...] = ()
    kind: str = ""
    hops: tuple[Hop, ...] = ()

    @property
    def golds(self) -> tuple[str, ...]:
        """All accepted answers, the main one first."""
        return (self.answer, *self.aliases)

    @property
    def gold_passage_ids(self) -> tuple[str, ...]:
        """Ids of the gold passages, each once, in the order of the hops."""
        return tuple(dict.fromkeys(hop.passage_id for hop in self.hops if hop.passage_id))


class Retrieved(Record):
    """A passage newly retrieved at a step: its rank (from 1) among that step's new passages, and its score."""

    passage_id: str
    rank: int
    score: float


class Step(Record):
    """One turn of a chain.

    `query` found the `retrieved` passages; `rationale` is the line then written (on the last step the answer line).
    `seconds` is this step's share of the wall time of the batch it was computed in. `duplicates` counts the passages
    among the query's top K that an earlier step had retrieved already, None where that is not known. `cut`: the line
    ended at reasoning.max_new_tokens, not by itself.
    """

    number: int
    ability: Ability
    query: str
    retrieved: tuple[Retrieved, ...]
    rationale: str
    prompt_tokens: int
    output_tokens: int
    seconds: float
    duplicates: int | None = None
    cut: bool = False


class StopReason(StrEnum):
    """Why a chain ended."""

    ANSWERED = "answered"
    """A line carried the answer flag."""
    FORCED = "forced"
    """The flag was given to the writer at the last allowed step."""
    TOO_LONG = "too_long"
    """The prompt did not fit the writer's context."""
    REFUSED = "refused"
    """The writer gave no usable line (for example a server's content filter)."""


class Chain(Record):
    """All steps for one question by one system; `answer` is None when none was given."""

    question_id: str
    steps: tuple[Step, ...]
    answer: str | None
    stop_reason: StopReason

    @property
    def rationales(self) -> tuple[str, ...]:
        """The lines written, in order; the last is the answer line."""
        return tuple(step.rationale for step in self.steps)

    @property
    def passage_ids(self) -> tuple[str, ...]:
        """All retrieved passages in the order they were appended."""
        return tuple(hit.passage_id for step in self.steps for hit in step.retrieved)


LARGEST_SCORE = 1e12
ScoreValue = Annotated[float, Field(ge=-LARGEST_SCORE, le=LARGEST_SCORE)]
"""A measured number: finite, and small enough to be averaged and kept in single precision."""


class Score(Record):
    """A measured value of a chain (`step` None) or of one of its steps. None with a `reason` is unscored, never 0."""

    question_id: str
    step: int | None = Field(None, ge=1)
    name: str
    value: ScoreValue | None
    reason: str | None = None
    evaluator: str
    version: str


class Judgement(Record):
    """One vote of a judge on a chain (`step` None), on one of its steps, or on a pair of chains (`order`).

    `verdicts` are the rubric's figures by name, empty with a reason in `unscored` where the judge gave none that
    counts. `order` says which chain of a pair stood first. `key` is that of the call in the judge's cache.
    """

    question_id: str
    step: int | None = None
    rubric: str
    version: str
    judge: str
    vote: int
    order: Literal["", "ab", "ba"] = ""
    verdicts: dict[str, ScoreValue]
    tags: tuple[str, ...] = ()
    explanation: str = ""
    unscored: str | None = None
    key: str
    prompt_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
