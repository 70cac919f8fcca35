"""Generated multi-hop worlds: fictional people, places, works and companies, passages about them and questions.

The same settings give the same bytes on every machine, so a world stands in for a dataset where none can be had, and
because everything in it is invented, no answer can be known from pre-training.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from steper_core.errors import UserError
from steper_core.records import Passage, Question, Record
from steper_core.world_draw import Draw
from steper_core.world_facts import invent
from steper_core.world_questions import Asker, Draft
from steper_core.world_texts import LONGEST, write_passages

DATASET = "worlds"
Kind = Literal["bridge", "comparison", "bridge-comparison", "inference"]
KINDS: tuple[Kind, ...] = ("bridge", "comparison", "bridge-comparison", "inference")
HOPS: dict[Kind, tuple[int, ...]] = {
    "bridge": (2, 3, 4),
    "comparison": (2,),
    "bridge-comparison": (4,),
    "inference": (2,),
}
"""The numbers of hops a question of each kind can have."""
SHARES: dict[Kind, float] = {"bridge": 0.5, "comparison": 0.2, "bridge-comparison": 0.15, "inference": 0.15}
YES_NO_SHARE = 0.25
"""The part of the comparisons answered with yes or no..."""
YES_NO_LIMIT = 0.1
"""...and the part of a split they may be at most."""

FILES = ("corpus.jsonl", "train.jsonl", "held_out.jsonl", "test.jsonl")


class WorldConfig(Record):
    """Settings of a world; equal settings give equal bytes."""

    seed: int = Field(default=0, ge=0, description="Another seed gives another world with other names.")
    passages: int = Field(default=400, ge=20, le=100_000, description="Size of the corpus: one passage an entity.")
    train_questions: int = Field(default=300, ge=0, le=1_000_000, description="Questions of the training split.")
    held_out_questions: int = Field(default=50, ge=0, le=1_000_000, description="Questions to choose settings by.")
    test_questions: int = Field(default=50, ge=0, le=1_000_000, description="Questions to report figures on.")
    kinds: tuple[Kind, ...] = Field(
        default=KINDS,
        min_length=1,
        description="Kinds of questions. A kind whose number of hops lies outside `hops` is left out.",
    )
    hops: tuple[int, int] = Field(
        default=(2, 4),
        description="Least and most hops of a question. Comparison and inference have 2, bridge-comparison 4.",
    )
    sentences: int = Field(
        default=2,
        ge=1,
        le=LONGEST,
        description="Sentences of a passage. More sentences state more facts first (family, employer), then details.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        least, most = self.hops
        if not 2 <= least <= most <= 4:
            raise ValueError(f"hops {self.hops} must be two numbers from 2 to 4, the smaller first")
        if len(set(self.kinds)) < len(self.kinds):
            raise ValueError(f"kinds {self.kinds} names a kind twice")
        if not any(least <= count <= most for kind in self.kinds for count in HOPS[kind]):
            raise ValueError(f"no kind of {self.kinds} has between {least} and {most} hops")
        return self


@dataclass(frozen=True)
class World:
    """A generated corpus and its questions; the splits share no question."""

    passages: tuple[Passage, ...]
    train: tuple[Question, ...]
    held_out: tuple[Question, ...]
    test: tuple[Question, ...]


def generate(config: WorldConfig) -> World:
    """The world of these settings.

    Raises:
        UserError: more questions are asked for than the world has; the message says how many it has.
    """
    written = write_passages(invent(config.seed, config.passages), config.sentences, config.seed)
    sizes = (config.train_questions, config.held_out_questions, config.test_questions)
    splits = _ask(config, Asker(written, config.seed), sizes)
    draw = Draw(DATASET, "splits", config.seed)
    train, held_out, test = (
        tuple(
            _question(draft, f"w{config.seed}-{name}-{number:05d}")
            for number, draft in enumerate(draw.shuffled(drafts))
        )
        for name, drafts in zip(("train", "held_out", "test"), splits, strict=True)
    )
    return World(tuple(item.passage for item in written), train, held_out, test)


def write(world: World, folder: Path) -> None:
    """Write corpus.jsonl, train.jsonl, held_out.jsonl and test.jsonl: one record a line.

    A killed write leaves at least one of the four names missing, never a mixture of two worlds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents: tuple[Sequence[BaseModel], ...] = (world.passages, world.train, world.held_out, world.test)
    for name, records in zip(FILES, contents, strict=True):
        with (folder / f"{name}.part").open("wb") as file:
            file.writelines(record.model_dump_json().encode() + b"\n" for record in records)
            file.flush()
            os.fsync(file.fileno())
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
    for name in FILES:
        (folder / f"{name}.part").replace(folder / name)


def _ask(config: WorldConfig, asker: Asker, sizes: tuple[int, ...]) -> list[list[Draft]]:
    """The drafts of each split; every split has about the same mixture of kinds."""
    sources = _sources(config, asker)
    splits: list[list[Draft]] = [[] for _ in sizes]
    if "comparison" in config.kinds and config.hops[0] == 2:
        share = SHARES["comparison"] / sum(weight for weight, _ in sources)
        yes_or_no = asker.same()
        for split, size in zip(splits, sizes, strict=True):
            split += islice(yes_or_no, int(size * min(share * YES_NO_SHARE, YES_NO_LIMIT)))
    rooms = [size - len(split) for size, split in zip(sizes, splits, strict=True)]
    drafts = _gather(sources, sum(rooms))
    if len(drafts) < sum(rooms):
        raise UserError(
            f"{sum(sizes)} questions were asked for, but a world of {config.passages} passages can give {len(drafts)} "
            f"with kinds {', '.join(config.kinds)}, hops from {config.hops[0]} to {config.hops[1]} and sentences "
            f"{config.sentences}: raise `passages` or `sentences`, allow more `kinds` or `hops`, or lower "
            "`train_questions`, `held_out_questions` or `test_questions`"
        )
    # Places are spread evenly, so that neighbours (one kind, one number of hops) fall into all splits.
    places = sorted(((number + 0.5) / room, split) for split, room in enumerate(rooms) for number in range(room))
    for (_, split_index), draft in zip(places, drafts, strict=True):
        splits[split_index].append(draft)
    return splits


def _sources(config: WorldConfig, asker: Asker) -> list[tuple[float, Iterator[Draft]]]:
    """The streams of questions the settings allow, each with its share."""
    least, most = config.hops
    streams: dict[Kind, Callable[[int], Iterator[Draft]]] = {
        "bridge": asker.bridges,
        "comparison": lambda _: asker.comparisons(),
        "bridge-comparison": lambda _: asker.bridge_comparisons(),
        "inference": lambda _: asker.inferences(),
    }
    sources = []
    for kind in KINDS:
        counts = [count for count in HOPS[kind] if kind in config.kinds and least <= count <= most]
        sources += [(SHARES[kind] / len(counts), streams[kind](count)) for count in counts]
    return sources


def _gather(sources: list[tuple[float, Iterator[Draft]]], wanted: int) -> list[Draft]:
    """So many drafts by shares; what a source cannot give, the others give. Fewer only if all have ended."""
    taken: list[list[Draft]] = [[] for _ in sources]
    live = list(range(len(sources)))
    while live and (missing := wanted - sum(map(len, taken))):
        total = sum(sources[index][0] for index in live)
        before = reached = 0.0
        for index in list(live):
            before, reached = reached, reached + sources[index][0]
            count = int(missing * reached / total) - int(missing * before / total)
            drafts = list(islice(sources[index][1], count))
            taken[index] += drafts
            if len(drafts) < count:
                live.remove(index)
    return [draft for drafts in taken for draft in drafts]


def _question(draft: Draft, name: str) -> Question:
    return Question(
        id=name,
        dataset=DATASET,
        text=draft.text,
        answer=draft.answer,
        aliases=draft.aliases,
        kind=draft.kind,
        hops=draft.hops,
    )
