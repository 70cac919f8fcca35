"""Questions about a generated world, as streams that never ask the same thing twice.

A stream goes round: it asks once about every entity (or pair) before it asks a second time about one, so that few
questions already cover the whole world. It ends when the world has nothing left to ask.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from steper_core.records import Hop
from steper_core.world_draw import Draw
from steper_core.world_facts import Entity, Value
from steper_core.world_relations import (
    BRIDGE_COMPARISONS,
    COMPARISONS,
    EVENTS,
    FAMILY,
    HEADS,
    INFERENCE_ASKS,
    INFERENCES,
    RELATIONS,
    SAME,
)
from steper_core.world_texts import MONTHS, Written, show

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Draft:
    """A question that has no id and belongs to no split yet."""

    kind: str
    text: str
    answer: str
    aliases: tuple[str, ...]
    hops: tuple[Hop, ...]


class Asker:
    """Asks about what the passages of a world state, and about nothing else."""

    def __init__(self, written: list[Written], seed: int) -> None:
        self._draw = Draw("worlds", "questions", seed)
        self._entities = [item.entity for item in written]
        self._passages = {item.entity: item.passage.id for item in written}
        self._stated = {item.entity: [name for name in item.entity.facts if name in item.stated] for item in written}
        self._asked: set[str] = set()

    def bridges(self, hop_count: int) -> Iterator[Draft]:
        """Questions along a path of `hop_count` relations."""
        visits = deque((head, list[tuple[str, ...]]()) for head in self._draw.shuffled(self._entities))
        fresh = len(visits)
        while visits:
            head, paths = visits.popleft()
            if fresh:
                fresh -= 1
                paths = self._draw.shuffled(list(self._paths(head, hop_count, (head,), ())))
            if not paths:
                continue
            draft = self._bridge(head, paths.pop())
            if paths:
                visits.append((head, paths))
            if draft:
                yield draft

    def inferences(self) -> Iterator[Draft]:
        """Questions for a relative whose relation no passage states."""
        people = [entity for entity in self._entities if entity.kind == "person"]
        return _in_turn([self._relatives(people, *path) for path in INFERENCES])

    def comparisons(self) -> Iterator[Draft]:
        """Questions which of two entities comes first."""
        return _in_turn([self._compared(*row) for row in COMPARISONS])

    def same(self) -> Iterator[Draft]:
        """Comparisons answered with yes and no in turn."""
        return _in_turn([self._alike(*row) for row in SAME])

    def bridge_comparisons(self) -> Iterator[Draft]:
        """Questions which of two entities has the person for whom something happened first."""
        return _in_turn([self._compared_people(*row, *event) for row in BRIDGE_COMPARISONS for event in EVENTS])

    def _paths(
        self, head: Entity, hop_count: int, visited: tuple[Entity, ...], path: tuple[str, ...]
    ) -> Iterator[tuple[str, ...]]:
        last = len(path) + 1 == hop_count
        for relation in self._stated[head]:
            if path and path[-1] in FAMILY and relation in FAMILY:
                continue  # these are the inference questions
            value = head.facts[relation]
            if isinstance(value, Entity) and value in visited:
                continue
            if last:
                yield (*path, relation)
            elif isinstance(value, Entity):
                yield from self._paths(value, hop_count, (*visited, value), (*path, relation))

    def _bridge(self, head: Entity, path: tuple[str, ...]) -> Draft | None:
        mention = _mention(head)
        for depth, relation in enumerate(path[:-1]):
            mention = self._worded(RELATIONS[relation].nouns, mention, nested=depth > 0)
        text = self._worded(RELATIONS[path[-1]].asks, mention, nested=len(path) > 2)
        return self._draft_path("bridge", text, head, path)

    def _worded(self, wordings: tuple[str, ...], mention: str, *, nested: bool) -> str:
        easy = [wording for wording in wordings if wording.rstrip("?").endswith("{x}")] if nested else []
        return self._draw.pick(easy or wordings).format(x=mention)

    def _relatives(self, people: list[Entity], first: str, second: str) -> Iterator[Draft]:
        for person in self._draw.shuffled(people):
            between = person.facts.get(first)
            if first in self._stated[person] and isinstance(between, Entity) and second in self._stated[between]:
                ask = self._draw.pick(INFERENCE_ASKS)
                text = ask.format(relative=INFERENCES[first, second], x=person.name)
                draft = self._draft_path("inference", text, person, (first, second))
                if draft:
                    yield draft

    def _draft_path(self, kind: str, text: str, head: Entity, path: tuple[str, ...]) -> Draft | None:
        hops: list[Hop] = []
        subject = head
        for relation in path:
            hops.append(self._hop(subject, relation, (len(hops) - 1,) if hops else ()))
            value = subject.facts[relation]
            if isinstance(value, Entity):
                subject = value
        answer = show(value)
        if answer in text:  # North Velm names Velm: such a question would give its answer away
            return None
        return self._draft(kind, text, answer, _aliases(path[-1], value), hops)

    def _compared(self, kind: str, relation: str, ask_smaller: str, ask_larger: str) -> Iterator[Draft]:
        for a, b in self._pairs(self._all(kind, relation)):
            order = _order(a.facts[relation]) - _order(b.facts[relation])
            if order:
                smaller = self._draw.chance(0.5)
                text = (ask_smaller if smaller else ask_larger).format(a=a.name, b=b.name)
                answer = a if (order < 0) == smaller else b
                hops = [self._hop(a, relation), self._hop(b, relation)]
                draft = self._draft("comparison", text, answer.name, answer.aliases, hops)
                if draft:
                    yield draft

    def _alike(self, kind: str, relation: str, ask: str) -> Iterator[Draft]:
        entities = self._all(kind, relation)
        groups: dict[str, list[Entity]] = {}
        for entity in entities:
            groups.setdefault(show(entity.facts[relation]), []).append(entity)
        alike = _in_turn([self._pairs(group) for group in groups.values()])
        unlike = ((a, b) for a, b in self._pairs(entities) if a.facts[relation] is not b.facts[relation])
        # Taken in twos, so that yes and no stay equally frequent until one of them runs out.
        for pairs in zip(alike, unlike, strict=False):
            for answer, (a, b) in zip(("yes", "no"), pairs, strict=True):
                hops = [self._hop(a, relation), self._hop(b, relation)]
                draft = self._draft("comparison", ask.format(a=a.name, b=b.name), answer, (), hops)
                if draft:
                    yield draft

    def _compared_people(self, kind: str, role: str, ask: str, event: str, first: str, later: str) -> Iterator[Draft]:
        people = {
            entity: person
            for entity in self._all(kind, role)
            if isinstance(person := entity.facts[role], Entity) and event in self._stated[person]
        }
        for a, b in self._pairs(list(people)):
            order = _order(people[a].facts[event]) - _order(people[b].facts[event])
            if order:
                smaller = self._draw.chance(0.5)
                text = ask.format(happened=first if smaller else later, a=a.name, b=b.name)
                answer = a if (order < 0) == smaller else b
                hops = [self._hop(a, role), self._hop(b, role)]
                hops += [self._hop(people[a], event, (0,)), self._hop(people[b], event, (1,))]
                draft = self._draft("bridge-comparison", text, answer.name, answer.aliases, hops)
                if draft:
                    yield draft

    def _all(self, kind: str, relation: str) -> list[Entity]:
        return [entity for entity in self._entities if entity.kind == kind and relation in self._stated[entity]]

    def _pairs(self, entities: list[Entity]) -> Iterator[tuple[Entity, Entity]]:
        """Every unordered pair once, in turns in which every entity has its share."""
        order = self._draw.shuffled(entities)
        count = len(order)
        for distance in range(1, count // 2 + 1):
            # Half way round, an even circle meets every pair from both ends.
            starts = count // 2 if distance * 2 == count else count
            for start in range(starts):
                a, b = order[start], order[(start + distance) % count]
                yield (a, b) if self._draw.chance(0.5) else (b, a)

    def _hop(self, subject: Entity, relation: str, depends_on: tuple[int, ...] = ()) -> Hop:
        words = RELATIONS[relation]
        answer = show(subject.facts[relation])
        return Hop(
            question=self._draw.pick(words.asks).format(x=_mention(subject)),
            answer=answer,
            statement=words.statement.format(x=subject.name, y=answer),
            passage_id=self._passages[subject],
            depends_on=depends_on,
        )

    def _draft(self, kind: str, text: str, answer: str, aliases: tuple[str, ...], hops: list[Hop]) -> Draft | None:
        """The question, unless its words were used before."""
        if text in self._asked:
            return None
        self._asked.add(text)
        return Draft(kind, text, answer, aliases, tuple(hops))


def _in_turn(streams: Iterable[Iterator[Item]]) -> Iterator[Item]:
    """One item of each stream after the other, until all have ended."""
    waiting = deque(streams)
    while waiting:
        stream = waiting.popleft()
        for item in stream:
            yield item
            waiting.append(stream)
            break


def _mention(entity: Entity) -> str:
    return HEADS.get(entity.kind, "{name}").format(name=entity.name)


def _order(value: Value) -> int:
    if isinstance(value, date):
        return value.toordinal()
    return int(show(value))


def _aliases(relation: str, value: Value) -> tuple[str, ...]:
    """Other ways to write an answer."""
    if isinstance(value, Entity):
        return value.aliases
    if isinstance(value, date):
        return (f"{MONTHS[value.month - 1]} {value.day}, {value.year}", value.isoformat())
    alias = RELATIONS[relation].alias
    return (alias.format(y=value),) if alias else ()
