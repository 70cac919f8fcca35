"""Passages of a generated world: what is written about an entity, sentence by sentence.

A fact exists for questions only if a sentence of its passage states it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from string import Formatter

from steper_core.records import Passage
from steper_core.world_draw import Draw
from steper_core.world_facts import Entity, Facts, Value

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

SENTENCES: dict[str, tuple[tuple[str, ...], ...]] = {
    "country": (
        (
            "{name}, officially the {formal}, is a country whose capital is {capital}.",
            "{name} is a country governed from its capital, {capital}, and is officially called the {formal}.",
        ),
        (
            "The currency of {name} is the {currency}, and most of its people live by {trade}.",
            "{name} pays with the {currency} and is known abroad for its {trade}.",
        ),
    ),
    "town": (
        (
            "{name} is a town in {country}, on the River {river}.",
            "{name} is a {size} town on the River {river} in {country}.",
        ),
        (
            "{name} has about {thousands},000 inhabitants and is known for its {craft}.",
            "The {thousands},000 inhabitants of {name} live mainly from {craft} and {trade}.",
        ),
    ),
    "company": (
        (
            "{name} is {a_type} founded in {founded} by {founder} and headquartered in {headquarters}.",
            "{name} is {a_type} based in {headquarters}, where {founder} founded it in {founded}.",
        ),
        (
            "At its height {name} employed {hundreds}00 people and became known for its {quality} management.",
            "After a {quality} start {name} grew to {hundreds}00 employees.",
        ),
    ),
    "film": (
        (
            "{name} is {an} {released} {genre} film directed by {director} and starring {star}.",
            "{name} is {a_genre} film by {director}, released in {released}, with {star} in the leading role.",
            "{name} is {an} {released} {genre} film directed by {director}.",
        ),
        (
            "It was produced by {producer} and filmed in {filmed_in}.",
            "Filmed in {filmed_in}, it was a production of {producer}.",
            "It was filmed in {filmed_in}.",
        ),
    ),
    "song": (
        (
            "{name} is {an} {released} {genre} song performed by {performer} and written by {writer}.",
            "{name} is {a_genre} song recorded by {performer} and released in {released}; {writer} wrote it.",
            "{name} is {an} {released} {genre} song performed by {performer}.",
        ),
        (
            "It was issued by {label} and stayed in the charts for {weeks} weeks.",
            "{label} issued it as the title song of a {quality} album.",
            "It stayed in the charts for {weeks} weeks.",
        ),
    ),
    "novel": (
        (
            "{name} is {a_genre} novel by {author}, first published in {published} by {publisher}.",
            "{name} is {an} {published} {genre} novel written by {author} and published by {publisher}.",
            "{name} is {a_genre} novel by {author}, first published in {published}.",
        ),
        (
            "Its story is set in {set_in} and deals with {theme}.",
            "Set in {set_in}, it tells of {theme}.",
        ),
    ),
    "person": (
        (
            "{name} ({birth} – {death}) was {role} born in {birthplace}.",
            "{name} ({birth} – {death}), a native of {birthplace}, was {role}.",
        ),
        (
            "{he} was the {child} of {father} and {mother}, and married {spouse}.",
            "{he} was born to {father} and {mother} and was married to {spouse}.",
            "{he} was the {child} of {father} and {mother}.",
            "{he} was married to {spouse}.",
        ),
        (
            "{he} worked for {employer} for {weeks} years and died in {deathplace}.",
            "{he} was long employed by {employer} and spent the last years in {deathplace}, dying there.",
            "{he} worked for {employer} for {weeks} years.",
        ),
    ),
    "living person": (
        (
            "{name} (born {birth} in {birthplace}) is {role}.",
            "Born in {birthplace} on {birth}, {name} is {role}.",
        ),
        (
            "{he} is the {child} of {father} and {mother}, and is married to {spouse}.",
            "{he} was born to {father} and {mother} and is married to {spouse}.",
            "{he} is the {child} of {father} and {mother}.",
            "{he} is married to {spouse}.",
        ),
        ("{he} worked for {employer} for {weeks} years.",),
    ),
}
"""By kind: the sentences in order, each in several wordings. The wordings that state most facts are drawn from."""

MORE: dict[str, tuple[str, ...]] = {
    "country": (
        "Its {quality} coast draws visitors in early summer.",
        "About {weeks} percent of its land is forest.",
        "Its flag shows a {colour} field and a single star.",
        "It keeps a {quality} school system.",
    ),
    "town": (
        "A {colour} clock tower stands on the market square.",
        "The yearly fair lasts {weeks} days.",
        "Its old quarter burned down once and was rebuilt in {colour} stone.",
        "A {quality} library is open to all.",
    ),
    "company": (
        "Its emblem is a {colour} wheel.",
        "For {weeks} years it was led by the same board.",
        "Its archive is kept in a {colour} brick warehouse.",
        "Its workers have a {quality} orchestra of their own.",
    ),
    "film": (
        "Critics called its photography {quality}.",
        "The shooting took {weeks} weeks.",
        "Its story deals with {theme}.",
        "A restored copy with a {colour} tint was shown later.",
    ),
    "song": (
        "Its words deal with {theme}.",
        "Reviewers praised the {quality} arrangement.",
        "The single came in a {colour} sleeve.",
        "It was recorded in {weeks} takes.",
    ),
    "novel": (
        "Reviewers called its style {quality}.",
        "It has {weeks} chapters.",
        "The first edition had a {colour} cover.",
        "It was read aloud on the radio in {weeks} parts.",
    ),
    "person": (
        "Friends spoke of a {quality} sense of humour.",
        "Letters from these years fill {weeks} boxes.",
        "A {colour} memorial bench recalls these years.",
        "A {quality} memoir of {weeks} chapters remained unfinished.",
        "Collecting {craft} was a lifelong hobby.",
    ),
}
"""By kind: sentences without a fact, for longer passages."""

WORDS: dict[str, tuple[str, ...]] = {
    "trade": ("fishing", "forestry", "farming", "mining", "sheep breeding", "fruit growing", "river trade"),
    "craft": ("glassware", "clocks", "ceramics", "woollen cloth", "carved furniture", "paper", "copperware", "lace"),
    "size": ("small", "quiet", "busy", "walled", "hilly"),
    "quality": ("modest", "remarkable", "careful", "cheerful", "stubborn", "unusual", "patient", "quiet"),
    "colour": ("grey", "green", "dark red", "pale blue", "white", "yellow"),
    "theme": (
        "a lost inheritance",
        "two rival families",
        "a long winter",
        "a secret friendship",
        "a journey home",
        "an unsolved theft",
        "growing old",
        "a broken promise",
    ),
    "weeks": tuple(str(number) for number in range(6, 32)),
    "thousands": tuple(str(number) for number in range(3, 96)),
    "hundreds": tuple(str(number) for number in range(2, 60)),
}
"""Words that no question asks for, drawn afresh wherever a sentence needs one."""

LONGEST = 6


def _fields(template: str) -> tuple[str, ...]:
    return tuple(name for _, name, _, _ in Formatter().parse(template) if name)


_FIELDS = {
    template: _fields(template)
    for wordings in (*(slot for slots in SENTENCES.values() for slot in slots), *MORE.values())
    for template in wordings
}


@dataclass(frozen=True, slots=True)
class Written:
    """An entity's passage and the relations it states."""

    entity: Entity
    passage: Passage
    stated: frozenset[str]


def show(value: Value) -> str:
    """A value as it stands in passages and answers."""
    if isinstance(value, Entity):
        return value.name
    return f"{value.day} {MONTHS[value.month - 1]} {value.year}" if isinstance(value, date) else value


def write_passages(facts: Facts, sentences: int, seed: int) -> list[Written]:
    """The passage of every entity, in an order that tells nothing about its kind."""
    draw = Draw("worlds", "texts", seed)
    return [_write(draw, entity, sentences) for entity in draw.shuffled(facts.entities)]


def _write(draw: Draw, entity: Entity, sentences: int) -> Written:
    living = entity.kind == "person" and "death" not in entity.facts
    slots = list(SENTENCES["living person" if living else entity.kind])
    if entity.kind == "person" and "father" not in entity.facts and draw.chance(0.5):
        # Without parents the family sentence says little; so some short passages tell of the career instead.
        slots[1], slots[2] = slots[2], slots[1]
    lines: list[str] = []
    stated: set[str] = set()
    for wordings in slots:
        if len(lines) == sentences:
            break
        possible = [template for template in wordings if _can_say(entity, template)]
        if possible:
            most = max(len(_known(entity, template)) for template in possible)
            template = draw.pick([template for template in possible if len(_known(entity, template)) == most])
            lines.append(_say(draw, entity, template))
            stated.update(_known(entity, template))
    if len(lines) < sentences:
        lines += [_say(draw, entity, line) for line in draw.shuffled(MORE[entity.kind])[: sentences - len(lines)]]
    return Written(entity, Passage.of(entity.name, " ".join(lines)), frozenset(stated))


def _can_say(entity: Entity, template: str) -> bool:
    known = (entity.facts, entity.words, WORDS)
    return all(name == "name" or any(name in source for source in known) for name in _FIELDS[template])


def _known(entity: Entity, template: str) -> list[str]:
    return [name for name in _FIELDS[template] if name in entity.facts]


def _say(draw: Draw, entity: Entity, template: str) -> str:
    values = {}
    for name in _FIELDS[template]:
        if name == "name":
            values[name] = entity.name
        elif name in entity.facts:
            values[name] = show(entity.facts[name])
        else:
            values[name] = entity.words.get(name) or draw.pick(WORDS[name])
    return template.format_map(values)
