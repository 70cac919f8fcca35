"""How the relations of a generated world are put into words: in questions, in sub-questions and in statements."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Relation:
    """The words of one relation from {x} to {y}.

    `nouns` name {y} inside a longer question and are empty where the value leads nowhere; `asks` end a question. Each
    has a wording that ends with {x}: only those can be nested deeply and still be read.
    `alias` is another way to give the value, for the relations that have one.
    """

    asks: tuple[str, ...]
    statement: str
    nouns: tuple[str, ...] = ()
    alias: str = ""


RELATIONS: dict[str, Relation] = {
    "director": Relation(
        ("Who directed {x}?", "Who is the director of {x}?"),
        "The director of {x} is {y}.",
        ("the director of {x}", "the person who directed {x}"),
    ),
    "star": Relation(
        ("Who played the leading role in {x}?", "Who is the star of {x}?"),
        "The star of {x} is {y}.",
        ("the star of {x}", "the actor with the leading role in {x}"),
    ),
    "producer": Relation(
        ("Which company produced {x}?",),
        "{x} was produced by {y}.",
        ("the company that produced {x}",),
    ),
    "filmed_in": Relation(
        ("In which town was {x} filmed?",),
        "{x} was filmed in {y}.",
        ("the town where {x} was filmed",),
    ),
    "performer": Relation(
        ("Who performed {x}?", "Who is the performer of {x}?"),
        "The performer of {x} is {y}.",
        ("the performer of {x}", "the singer who performed {x}"),
    ),
    "writer": Relation(
        ("Who wrote {x}?", "Who is the writer of {x}?"),
        "The writer of {x} is {y}.",
        ("the writer of {x}", "the person who wrote {x}"),
    ),
    "label": Relation(
        ("Which record label issued {x}?",),
        "{x} was issued by {y}.",
        ("the record label that issued {x}",),
    ),
    "author": Relation(
        ("Who wrote {x}?", "Who is the author of {x}?"),
        "The author of {x} is {y}.",
        ("the author of {x}", "the novelist who wrote {x}"),
    ),
    "publisher": Relation(
        ("Which company published {x}?",),
        "{x} was published by {y}.",
        ("the publisher of {x}", "the company that published {x}"),
    ),
    "set_in": Relation(
        ("In which town is {x} set?",),
        "{x} is set in {y}.",
        ("the town where {x} is set",),
    ),
    "released": Relation(("In which year was {x} released?",), "{x} was released in {y}."),
    "published": Relation(("In which year was {x} first published?",), "{x} was first published in {y}."),
    "birth": Relation(("When was {x} born?", "What is the date of birth of {x}?"), "{x} was born on {y}."),
    "death": Relation(("When did {x} die?", "What is the date of death of {x}?"), "{x} died on {y}."),
    "birthplace": Relation(
        ("In which town was {x} born?", "What is the birthplace of {x}?"),
        "{x} was born in {y}.",
        ("the birthplace of {x}", "the town where {x} was born"),
    ),
    "deathplace": Relation(
        ("In which town did {x} die?", "What is the place of death of {x}?"),
        "{x} died in {y}.",
        ("the place of death of {x}", "the town where {x} died"),
    ),
    "father": Relation(
        ("Who is the father of {x}?",),
        "The father of {x} is {y}.",
        ("the father of {x}",),
    ),
    "mother": Relation(
        ("Who is the mother of {x}?",),
        "The mother of {x} is {y}.",
        ("the mother of {x}",),
    ),
    "spouse": Relation(
        ("Whom did {x} marry?", "Who is the spouse of {x}?"),
        "The spouse of {x} is {y}.",
        ("the spouse of {x}", "the person married to {x}"),
    ),
    "employer": Relation(
        ("Which company did {x} work for?", "Which company employed {x}?"),
        "{x} worked for {y}.",
        ("the company that employed {x}", "the employer of {x}"),
    ),
    "founder": Relation(
        ("Who founded {x}?", "Who is the founder of {x}?"),
        "The founder of {x} is {y}.",
        ("the founder of {x}", "the person who founded {x}"),
    ),
    "founded": Relation(("In which year was {x} founded?",), "{x} was founded in {y}."),
    "headquarters": Relation(
        ("In which town does {x} have its headquarters?", "Where are the headquarters of {x}?"),
        "The headquarters of {x} are in {y}.",
        ("the headquarters town of {x}", "the town where {x} has its headquarters"),
    ),
    "country": Relation(
        ("In which country is {x}?", "Which country does {x} belong to?"),
        "{x} is a town in {y}.",
        ("the country of {x}", "the country to which {x} belongs"),
    ),
    "river": Relation(
        ("Which river flows through {x}?", "On which river does {x} stand?"),
        "{x} stands on the River {y}.",
        alias="River {y}",
    ),
    "capital": Relation(
        ("What is the capital of {x}?",),
        "The capital of {x} is {y}.",
        ("the capital of {x}",),
    ),
    "currency": Relation(("What is the currency of {x}?",), "The currency of {x} is the {y}."),
}

HEADS = {"film": "the film {name}", "song": "the song {name}", "novel": "the novel {name}"}
"""How a question names an entity; the others go by their bare name."""

FAMILY = frozenset({"father", "mother", "spouse"})

INFERENCES: dict[tuple[str, str], str] = {
    ("father", "father"): "paternal grandfather",
    ("father", "mother"): "paternal grandmother",
    ("mother", "father"): "maternal grandfather",
    ("mother", "mother"): "maternal grandmother",
    ("spouse", "father"): "father-in-law",
    ("spouse", "mother"): "mother-in-law",
}
INFERENCE_ASKS = ("Who is the {relative} of {x}?", "Who is {x}'s {relative}?")

COMPARISONS: tuple[tuple[str, str, str, str], ...] = (
    ("person", "birth", "Who was born first, {a} or {b}?", "Who was born later, {a} or {b}?"),
    ("person", "death", "Who died first, {a} or {b}?", "Who died later, {a} or {b}?"),
    ("film", "released", "Which film was released first, {a} or {b}?", "Which film was released later, {a} or {b}?"),
    ("song", "released", "Which song was released first, {a} or {b}?", "Which song was released later, {a} or {b}?"),
    ("novel", "published", "Which novel was published first, {a} or {b}?", "Which novel came out later, {a} or {b}?"),
    ("company", "founded", "Which company was founded first, {a} or {b}?", "Which company is younger, {a} or {b}?"),
)
"""Kind, relation, the question for the smaller value and the one for the larger."""

SAME: tuple[tuple[str, str, str], ...] = (
    ("town", "country", "Are {a} and {b} in the same country?"),
    ("person", "birthplace", "Were {a} and {b} born in the same town?"),
    ("company", "headquarters", "Do {a} and {b} have their headquarters in the same town?"),
)
"""Kind, relation and a question answered with yes or no."""

BRIDGE_COMPARISONS: tuple[tuple[str, str, str], ...] = (
    ("film", "director", "Which film has the director who {happened}, {a} or {b}?"),
    ("film", "star", "Which film has the star who {happened}, {a} or {b}?"),
    ("novel", "author", "Which novel has the author who {happened}, {a} or {b}?"),
    ("song", "performer", "Which song has the performer who {happened}, {a} or {b}?"),
    ("song", "writer", "Which song has the writer who {happened}, {a} or {b}?"),
    ("company", "founder", "Which company has the founder who {happened}, {a} or {b}?"),
)
"""Kind, the relation to a person, and the question about what happened to that person."""

EVENTS = (("birth", "was born first", "was born later"), ("death", "died first", "died later"))
"""Relation, the words for the smaller value and those for the larger."""
