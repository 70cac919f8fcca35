"""One reader for each official format: a row in, a question with its labelled passages out.

The formats are HotpotQA's (Yang et al. 2018), 2WikiMultiHopQA's (Ho et al. 2020), MuSiQue's (Trivedi et al. 2022), in
their published files or as the hub's column layout of HotpotQA, and our own questions, one record a line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from steper_core import jsonl
from steper_core.records import Hop, Passage, Question
from steper_core.relations import end_sentence, relation_question, relation_statement
from steper_core.texts import one_line

Row = Mapping[str, Any]

_WORD = re.compile(r"\w+")
_REFERENCE = re.compile(r"(?<![\w#])#(\d{1,3})(?!\w)")
_LOOSE_PUNCTUATION = re.compile(r" +([,;.?!)](?!\w)|'s\b)")
_QUALIFIER = re.compile(r"\s*\([^()]*\)$|,.*$")


class RowError(Exception):
    """A row cannot be used; the message says why."""


class Parsed(NamedTuple):
    """What a row gives."""

    question: Question
    passages: tuple[Passage, ...]


Reader = Callable[[Row], Parsed]


class _Paragraph(NamedTuple):
    passage: Passage
    sentences: tuple[str, ...]


def match_key(text: str) -> str:
    """The text's words in lower case: equal keys mean the same title, entity or question."""
    return " ".join(_WORD.findall(text.casefold())) or text.casefold()


def recognise(row: Row) -> Reader:
    """The reader of the format a row is written in, told by its keys.

    Raises:
        RowError: no reader knows these keys.
    """
    if "question_decomposition" in row or "paragraphs" in row:
        return read_musique
    if "evidences" in row:
        return read_2wikimultihopqa
    if "question" in row and "context" in row:
        return read_hotpotqa
    if "dataset" in row and "text" in row:
        return read_own
    if "title" in row and "text" in row:
        raise RowError("this is a passage, not a question: give the file as a corpus")
    keys = ", ".join(sorted(map(repr, row))[:8]) or "none"
    raise RowError(f"not a row of HotpotQA, 2WikiMultiHopQA, MuSiQue or our own questions (its keys: {keys})")


def read_own(row: Row) -> Parsed:
    """A question written as a record (generated worlds); its passages stand in a corpus file of their own."""
    try:
        question = Question.model_validate(row)
    except ValidationError as error:
        raise RowError(jsonl.explain(error)) from error
    for position, hop in enumerate(question.hops):
        if any(not 0 <= other < len(question.hops) or other == position for other in hop.depends_on):
            raise RowError(f"field 'hops.{position}.depends_on' names no other hop of the question")
    return Parsed(question, ())


def read_hotpotqa(row: Row) -> Parsed:
    """A row of HotpotQA. It has no sub-answers and no order: one hop a supporting passage, without an answer."""
    paragraphs = _context(row)
    facts: dict[str, list[int]] = {}
    for title, sentence in _supporting_facts(row, paragraphs):
        facts.setdefault(title, []).append(sentence)
    hops = []
    for title, numbers in facts.items():
        paragraph = next(each for each in paragraphs if each.passage.title == title)
        # Published files hold sentence numbers past the passage's end.
        chosen = [paragraph.sentences[number] for number in sorted(set(numbers)) if number < len(paragraph.sentences)]
        hop = Hop(
            question=f"What does the passage {title} say?",
            answer=None,
            statement=one_line(" ".join(chosen)) or paragraph.passage.text,
            passage_id=paragraph.passage.id,
        )
        hops.append(hop)
    question = _question(row, "hotpotqa", kind=_optional(row, "type"), hops=hops)
    return Parsed(question, tuple(paragraph.passage for paragraph in paragraphs))


def read_2wikimultihopqa(row: Row) -> Parsed:
    """A row of 2WikiMultiHopQA: one hop an evidence triple. Its answer aliases live in a file of their own."""
    paragraphs = _context(row)
    titles = {title for title, _ in _supporting_facts(row, paragraphs)}
    supporting = [_keyed(each.passage) for each in paragraphs if each.passage.title in titles]
    others = [each.passage for each in paragraphs if each.passage.title not in titles]
    triples = [_triple(value) for value in _list(row, "evidences")]
    ids = _ids(row, len(triples))
    hops = []
    for position, (subject, relation, object_) in enumerate(triples):
        passage = _passage_of(subject, object_, supporting) or _passage_of(subject, object_, map(_keyed, others))
        hop = Hop(
            question=relation_question(subject, relation),
            answer=object_,
            statement=relation_statement(subject, relation, object_),
            passage_id=passage.id if passage else None,
            depends_on=_objects_named(triples, ids, position),
        )
        hops.append(hop)
    question = _question(row, "2wikimultihopqa", kind=_optional(row, "type"), hops=hops)
    return Parsed(question, tuple(paragraph.passage for paragraph in paragraphs))


def read_musique(row: Row) -> Parsed:
    """A row of MuSiQue: one hop an entry of `question_decomposition`, references to earlier answers resolved."""
    if row.get("answerable") is False:
        raise RowError("the row is marked unanswerable")
    passages: dict[str, Passage] = {}
    for paragraph in _list(row, "paragraphs"):
        if not isinstance(paragraph, Mapping):
            raise RowError("field 'paragraphs' must hold objects")
        passage = Passage.of(_text(paragraph, "title"), _text(paragraph, "paragraph_text"))
        passages[str(paragraph.get("idx"))] = passage
    hops: list[Hop] = []
    for part in _list(row, "question_decomposition"):
        if not isinstance(part, Mapping):
            raise RowError("field 'question_decomposition' must hold objects")
        support = str(part.get("paragraph_support_idx"))
        if support not in passages:
            raise RowError(f"the supporting paragraph {support} is not in the row")
        hops.append(_decomposed_hop(part, [hop.answer or "" for hop in hops], passages[support]))
    identity = _text(row, "id")
    kind = identity.split("__")[0] if "__" in identity else ""
    question = _question(row, "musique", kind=kind, hops=hops)
    return Parsed(question, tuple(passages.values()))


def _decomposed_hop(part: Row, answers: Sequence[str], passage: Passage) -> Hop:
    answer = _text(part, "answer")
    depends_on: list[int] = []

    def resolve(reference: re.Match[str]) -> str:
        position = int(reference[1]) - 1
        # A number sign may also be meant as one ("the #1 hit"): only earlier answers are references.
        if not 0 <= position < len(answers):
            return reference[0]
        depends_on.append(position)
        return answers[position]

    text = _REFERENCE.sub(resolve, _text(part, "question"))
    # The files set references apart with blanks: "#1 's", "(#1 )".
    text = _LOOSE_PUNCTUATION.sub(r"\1", text)
    subject, separator, relation = text.rpartition(" >> ")
    if separator:
        question = relation_question(subject, relation)
        statement = relation_statement(subject, relation, answer)
    else:
        question = text[0].upper() + text[1:] + ("" if text.endswith(("?", ".")) else "?")
        statement = end_sentence(f"{question} {answer}")
    return Hop(
        question=question,
        answer=answer,
        statement=statement,
        passage_id=passage.id,
        depends_on=tuple(sorted(set(depends_on))),
    )


class _Keyed(NamedTuple):
    passage: Passage
    title: str
    plain_title: str
    words: str


def _keyed(passage: Passage) -> _Keyed:
    title = match_key(passage.title)
    words = f" {title} {match_key(passage.text)} "
    return _Keyed(passage, title, match_key(_QUALIFIER.sub("", passage.title)), words)


def _passage_of(subject: str, object_: str, passages: Iterable[_Keyed]) -> Passage | None:
    """The passage about the subject: by its title, else by its title's plain form, else by what it contains.

    Called for the supporting passages first: a distractor may bear exactly the name that the right one qualifies.
    """
    wanted, plain, found = match_key(subject), match_key(_QUALIFIER.sub("", subject)), match_key(object_)
    best: tuple[tuple[int, bool], Passage] | None = None
    for passage, title, plain_title, words in passages:
        has_object = f" {found} " in words
        if title == wanted:
            rank = (0, not has_object)
        elif wanted == plain_title or title == plain:
            rank = (1, not has_object)
        elif plain == plain_title:
            rank = (2, not has_object)
        elif has_object and f" {wanted} " in words:
            rank = (3, False)
        else:
            continue
        if best is None or rank < best[0]:
            best = rank, passage
    return best[1] if best else None


def _objects_named(
    triples: Sequence[tuple[str, str, str]], ids: Sequence[tuple[str, str]], position: int
) -> tuple[int, ...]:
    """Positions of the earlier triples whose object is this triple's subject; ids decide where the row has them."""
    if ids:
        return tuple(earlier for earlier in range(position) if ids[earlier][1] == ids[position][0])
    subject = triples[position][0]
    names = {match_key(subject), match_key(_QUALIFIER.sub("", subject))}
    return tuple(earlier for earlier in range(position) if match_key(triples[earlier][2]) in names)


def _ids(row: Row, count: int) -> list[tuple[str, str]]:
    """The ids of each triple's subject and object; none where the row has no ids, or not all of them."""
    values = row.get("evidences_id")
    if not isinstance(values, list) or len(values) != count:
        return []
    if not all(isinstance(each, list | tuple) and len(each) == 3 and all(each) and _all_text(each) for each in values):
        return []
    return [(each[0], each[2]) for each in values]


def _question(row: Row, dataset: str, *, kind: str, hops: Iterable[Hop]) -> Question:
    answer = _text(row, "answer")
    given = row.get("answer_aliases")
    if not isinstance(given, list | None):
        raise RowError("field 'answer_aliases' must be a list of texts")
    aliases = [one_line(alias) for alias in given or () if isinstance(alias, str)]
    return Question(
        id=_text(row, "_id" if "_id" in row else "id"),
        dataset=dataset,
        text=_text(row, "question"),
        answer=answer,
        aliases=tuple(alias for alias in dict.fromkeys(aliases) if alias and alias != answer),
        kind=kind,
        hops=tuple(hops),
    )


def _context(row: Row) -> list[_Paragraph]:
    paragraphs: dict[str, _Paragraph] = {}
    for title, sentences in _table(row, "context", ("title", "sentences")):
        if not isinstance(title, str) or not isinstance(sentences, Sequence) or not _all_text(sentences):
            raise RowError("field 'context' must hold titles, each with a list of sentences")
        passage = Passage.of(one_line(title), one_line(" ".join(sentences)))
        paragraphs.setdefault(passage.id, _Paragraph(passage, tuple(sentences)))
    return list(paragraphs.values())


def _supporting_facts(row: Row, paragraphs: Iterable[_Paragraph]) -> list[tuple[str, int]]:
    titles = {paragraph.passage.title for paragraph in paragraphs}
    facts = []
    for title, sentence in _table(row, "supporting_facts", ("title", "sent_id")):
        if not isinstance(title, str) or not isinstance(sentence, int) or sentence < 0:
            raise RowError("field 'supporting_facts' must hold titles, each with a sentence number")
        if one_line(title) not in titles:
            raise RowError(f"the supporting fact {title!r} names no passage of the row")
        facts.append((one_line(title), sentence))
    return facts


def _table(row: Row, key: str, columns: tuple[str, str]) -> list[tuple[Any, Any]]:
    """Pairs, as the published files give them ([a, b] each) or as the hub does (one list a column)."""
    value = row.get(key)
    pairs: list[Any]
    if isinstance(value, Mapping):
        first, second = (value.get(column) for column in columns)
        if not isinstance(first, list) or not isinstance(second, list) or len(first) != len(second):
            raise RowError(f"field {key!r} must hold two lists of one length: {' and '.join(columns)}")
        pairs = list(zip(first, second, strict=True))
    else:
        pairs = list(_list(row, key))
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        raise RowError(f"field {key!r} must hold pairs")
    return [(pair[0], pair[1]) for pair in pairs]


def _triple(value: object) -> tuple[str, str, str]:
    if not isinstance(value, list | tuple) or len(value) != 3 or not _all_text(value):
        raise RowError("an evidence must be three texts: subject, relation, object")
    subject, relation, object_ = (one_line(part) for part in value)
    if not (subject and relation and object_):
        raise RowError("an evidence has an empty part")
    return subject, relation, object_


def _all_text(values: Iterable[object]) -> bool:
    return not isinstance(values, str) and all(isinstance(value, str) for value in values)


def _list(row: Row, key: str) -> list[Any]:
    value = row.get(key)
    if not isinstance(value, list):
        raise RowError(f"field {key!r} is missing or no list")
    return value


def _text(row: Row, key: str) -> str:
    value = row.get(key)
    text = one_line(value) if isinstance(value, str) else ""
    if not text:
        raise RowError(f"field {key!r} is missing, empty or no text")
    return text


def _optional(row: Row, key: str) -> str:
    value = row.get(key)
    return one_line(value) if isinstance(value, str) else ""
