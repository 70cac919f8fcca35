"""How a relation of a knowledge base reads as a sub-question and as a statement.

2WikiMultiHopQA gives its evidence as (subject, relation, object) and MuSiQue a part of its sub-questions as
`subject >> relation`; the relations of both are Wikidata's. Most read well as "the country of X"; the tables hold those
that do not.
"""

from __future__ import annotations

_QUESTION = "What is the {relation} of {subject}?"
_STATEMENT = "The {relation} of {subject} is {object}."

_PEOPLE = frozenset(
    {
        "author",
        "child",
        "composer",
        "creator",
        "director",
        "doctoral advisor",
        "editor",
        "father",
        "founder",
        "head of government",
        "head of state",
        "mother",
        "performer",
        "producer",
        "screenwriter",
        "sibling",
        "spouse",
    }
)

_FORMS = {
    "applies to jurisdiction": ("Which jurisdiction does {subject} apply to?", "{subject} applies to {object}."),
    "award received": ("Which award did {subject} receive?", "{subject} received the award {object}."),
    "based on": ("What is {subject} based on?", "{subject} is based on {object}."),
    "capital of": ("What is {subject} the capital of?", "{subject} is the capital of {object}."),
    "cast member": ("Who is a cast member of {subject}?", "A cast member of {subject} is {object}."),
    "conflict": ("Which conflict did {subject} take part in?", "{subject} took part in {object}."),
    "contains administrative territorial entity": (
        "Which administrative territorial entity does {subject} contain?",
        "{subject} contains {object}.",
    ),
    "distributed by": ("Who distributed {subject}?", "{subject} was distributed by {object}."),
    "educated at": ("Where was {subject} educated?", "{subject} was educated at {object}."),
    "employer": ("Who employed {subject}?", "{subject} was employed by {object}."),
    "followed by": ("What was {subject} followed by?", "{subject} was followed by {object}."),
    "follows": ("What does {subject} follow?", "{subject} follows {object}."),
    "founded by": ("Who founded {subject}?", "{subject} was founded by {object}."),
    "has part": ("What is a part of {subject}?", "A part of {subject} is {object}."),
    "inception": ("When was {subject} founded?", "The date of inception of {subject} is {object}."),
    "influenced by": ("Who influenced {subject}?", "{subject} was influenced by {object}."),
    "instance of": ("What is {subject} an instance of?", "{subject} is an instance of {object}."),
    "killed by": ("Who killed {subject}?", "{subject} was killed by {object}."),
    "licensed to broadcast to": (
        "Where is {subject} licensed to broadcast to?",
        "{subject} is licensed to broadcast to {object}.",
    ),
    "located in or next to body of water": (
        "Which body of water is {subject} located in or next to?",
        "{subject} is located in or next to {object}.",
    ),
    "located in the administrative territorial entity": (
        "Which administrative territorial entity is {subject} located in?",
        "{subject} is located in {object}.",
    ),
    "located on terrain feature": (
        "Which terrain feature is {subject} located on?",
        "{subject} is located on {object}.",
    ),
    "member of": ("What is {subject} a member of?", "{subject} is a member of {object}."),
    "member of political party": (
        "Which political party is {subject} a member of?",
        "{subject} is a member of the political party {object}.",
    ),
    "member of sports team": (
        "Which sports team is {subject} a member of?",
        "{subject} is a member of the sports team {object}.",
    ),
    "named after": ("What is {subject} named after?", "{subject} is named after {object}."),
    "nominated for": ("What was {subject} nominated for?", "{subject} was nominated for {object}."),
    "owned by": ("Who owns {subject}?", "{subject} is owned by {object}."),
    "part of": ("What is {subject} a part of?", "{subject} is a part of {object}."),
    "participant of": ("What did {subject} take part in?", "{subject} took part in {object}."),
    "place of birth": ("Where was {subject} born?", "{subject} was born in {object}."),
    "place of burial": ("Where was {subject} buried?", "{subject} was buried in {object}."),
    "place of death": ("Where did {subject} die?", "{subject} died in {object}."),
    "position held": ("Which position did {subject} hold?", "{subject} held the position {object}."),
    "residence": ("Where did {subject} live?", "{subject} lived in {object}."),
    "shares border with": ("What does {subject} share a border with?", "{subject} shares a border with {object}."),
    "student of": ("Whose student was {subject}?", "{subject} was a student of {object}."),
    "work location": ("Where did {subject} work?", "{subject} worked in {object}."),
}


def relation_question(subject: str, relation: str) -> str:
    """The sub-question that asks for the object of a triple."""
    template = "Who is the {relation} of {subject}?" if relation in _PEOPLE else _QUESTION
    template = _FORMS.get(relation, (template,))[0]
    return template.format(subject=subject, relation=relation)


def relation_statement(subject: str, relation: str, object_: str) -> str:
    """The line that states a triple."""
    template = _FORMS[relation][1] if relation in _FORMS else _STATEMENT
    return end_sentence(template.format(subject=subject, relation=relation, object=object_).removesuffix("."))


def end_sentence(text: str) -> str:
    """The text with one full stop at its end, also after an abbreviation that brings its own."""
    return text if text.endswith(".") else text + "."
