"""Step-tree packing: the step examples of a chain in one row, what they share computed once.

The examples of a chain begin with the same passages: step s reads those of step s - 1 and some more. As sequences of
tokens they form a tree. A row holds the tokens of such a tree in preorder; each token sees its ancestors alone and has
the position it would have in its own example, so every target gets the logits that its example alone would give it, and
one forward serves all steps. Trees follow each other in a row without seeing each other; an example alone is a tree of
a single path, and then a row is what it always was. There are no pads.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from steper_core.path_attention import TokenPath, paths_of

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TokenExample:
    """One example as tokens: a prompt, then the target, whose tokens are of one task."""

    prompt: Sequence[int]
    target: Sequence[int]
    task: int


@dataclass(frozen=True, eq=False)
class Row:
    """N tokens of one or more trees in preorder, and the M targets that they predict.

    `depths` are the tokens' distances from the roots of their trees; in preorder they tell who is above whom. Target m
    is the token `targets[m]`, predicted from place `sources[m]`, of the task `tasks[m]`; `weights[m]` is one over the
    number of target tokens of its example.
    """

    ids: Ints
    depths: Ints
    sources: Ints
    targets: Ints
    tasks: Ints
    weights: Floats
    soft: tuple[Ints, Floats] | None = None
    """(M, k) tokens and their log-probabilities, as a teacher stored them for these targets."""

    def __len__(self) -> int:
        """The number of tokens."""
        return len(self.ids)


@dataclass(frozen=True)
class Forward:
    """What a model reads, (1, N) ids and positions, with the paths of its attention, and M targets."""

    ids: Tensor
    positions: Tensor
    paths: tuple[TokenPath, ...]
    sources: Tensor
    targets: Tensor
    tasks: Tensor
    weights: Tensor
    soft: tuple[Tensor, Tensor] | None = None


def pack(examples: Sequence[TokenExample]) -> Row:
    """The examples as one row: tokens that two of them begin with stand in it once.

    Raises:
        ValueError: an example has no prompt, so that nothing could predict its first target.
    """
    children: list[dict[int, int]] = [{}]
    tokens, depths = [-1], [-1]
    found: list[tuple[int, int, int, float]] = []
    for example in examples:
        if not example.prompt:
            raise ValueError("an example needs a prompt to predict its first target from")
        node = 0
        for place, token in enumerate([*example.prompt, *example.target]):
            if place >= len(example.prompt):
                found.append((node, token, example.task, 1 / len(example.target)))
            below = children[node].get(token)
            if below is None:
                below = children[node][token] = len(tokens)
                tokens.append(token)
                depths.append(place)
                children.append({})
            node = below
    order = _preorder(children)[1:]
    places = np.empty(len(tokens), np.int32)
    places[order] = np.arange(len(order))
    sources, targets, tasks, weights = zip(*found, strict=True) if found else ((), (), (), ())
    return Row(
        ids=np.array(tokens, np.int32)[order],
        depths=np.array(depths, np.int32)[order],
        sources=places[list(sources)],
        targets=np.array(targets, np.int32),
        tasks=np.array(tasks, np.int32),
        weights=np.array(weights, np.float32),
    )


def _preorder(children: Sequence[dict[int, int]]) -> list[int]:
    """All nodes, above before below; the child with the longest path first, so that long paths stay in one piece.

    A node's children have higher numbers than it has.
    """
    heights = np.zeros(len(children), np.int32)
    for node in range(len(children) - 1, -1, -1):
        heights[node] = 1 + max((heights[child] for child in children[node].values()), default=0)
    order: list[int] = []
    stack = [0]
    while stack:
        node = stack.pop()
        order.append(node)
        stack += sorted(children[node].values(), key=lambda child: heights[child])
    return order


def silenced(row: Row) -> Row:
    """The row with no weight on any target: a model reads it and learns nothing from it."""
    return dataclasses.replace(row, weights=np.zeros_like(row.weights))


def split_rows(rows: Sequence[Row], limit: int, at_least: int = 1) -> list[list[Row]]:
    """Rows in as few parts as first-fit finds, each of at most `limit` tokens (a longer row alone).

    There are `at_least` parts: where no part holds several rows that could be divided, the shortest row comes again,
    silenced.
    """
    parts: list[list[Row]] = []
    sizes: list[int] = []
    for row in sorted(rows, key=len, reverse=True):
        place = next((place for place, size in enumerate(sizes) if size + len(row) <= limit), None)
        if place is None:
            parts.append([row])
            sizes.append(len(row))
        else:
            parts[place].append(row)
            sizes[place] += len(row)
    while len(parts) < at_least and len(fullest := max(parts, key=len, default=[])) > 1:
        parts.append([fullest.pop()])
    while rows and len(parts) < at_least:
        parts.append([silenced(min(rows, key=len))])
    return parts


def collate(rows: Sequence[Row], device: torch.device) -> Forward:
    """Rows one after the other, as tensors."""
    starts = np.cumsum([0, *(len(row) for row in rows[:-1])])
    depths = np.concatenate([row.depths for row in rows])
    sources = np.concatenate([row.sources + start for row, start in zip(rows, starts, strict=True)])

    def whole(arrays: Sequence[Ints]) -> Tensor:
        return torch.from_numpy(np.concatenate(arrays)).to(device, torch.long)

    def reals(arrays: Sequence[Floats]) -> Tensor:
        return torch.from_numpy(np.concatenate(arrays)).to(device)

    soft = [row.soft for row in rows if row.soft is not None]

    return Forward(
        ids=whole([row.ids for row in rows])[None],
        positions=whole([depths])[None],
        paths=paths_of(depths),
        sources=whole([sources]),
        targets=whole([row.targets for row in rows]),
        tasks=whole([row.tasks for row in rows]),
        weights=reals([row.weights for row in rows]),
        soft=(whole([ids for ids, _ in soft]), reals([log_probs for _, log_probs in soft])) if soft else None,
    )
