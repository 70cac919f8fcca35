"""The words of a text with their places, told apart into function words, names, numbers and content words.

The rules are made for English, without a model: what a rationale, a passage and a question are compared by.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import Stemmer

_MARKS = "\u0300-\u036f"
_WORD = re.compile(rf"\d+(?:[.,]\d+)*[\w{_MARKS}]*|[\w{_MARKS}]+(?:['’](?![sS]\b)[\w{_MARKS}]+)*")
_SENTENCE_END = re.compile(r"[.!?]")
_POSSESSIVE = re.compile(r"['’][sS]\b")


def word_set(words: str) -> frozenset[str]:
    """The words of a list that is written with blanks between them."""
    return frozenset(words.split())


_FUNCTION_WORDS = word_set(
    """
    a an the this that these those such
    i me my mine we us our ours you your yours he him his she her hers it its they them their theirs
    himself herself itself themselves one ones there here
    who whom whose which what when where why how
    and or but nor so if as than then because since although though while whereas however
    therefore thus hence also too both either neither each all any some only just
    of in on at by for from to with without into onto over under between among about after before during until
    through per via upon within
    am is are was were be been being has have had having do does did doing done
    can could may might must shall should will would
    not no yes never don't doesn't didn't isn't aren't wasn't weren't hasn't haven't hadn't s
    """
)
_NAMES_TOO = frozenset({"may", "us", "will"})
_NAME_IS_FOLLOWED_BY = frozenset({"is", "was", "has", "had"})


class Kind(StrEnum):
    """What a word is for the comparison of texts."""

    FUNCTION = "function"
    WORD = "word"
    NAME = "name"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Word:
    """A word at text[start:end]. Words of equal `key` are the same word; that of a content word is its stem."""

    start: int
    end: int
    key: str
    kind: Kind


def read_words(text: str, start: int = 0) -> list[Word]:
    """The words of `text` from position `start`.

    A number begins with a digit ("1956", "12,000", "4th"). A name is a capitalised word within a sentence; at its start
    it must be followed directly by another capitalised word, by "is", "was", "has" or "had", or by a possessive s. So a
    lone name before another verb ("Tiv lies ...") counts as a content word, a capitalised noun ("Football is ...") as a
    name. "May", "Will" and "US" are names only within a sentence. Scripts without capitals have no names.
    """
    stem = Stemmer.Stemmer("english").stemWord
    matches = list(_WORD.finditer(text, start))
    tokens = [match.group() for match in matches]
    folded = [_fold(token) for token in tokens]
    words = []
    for place, (match, token, key) in enumerate(zip(matches, tokens, folded, strict=True)):
        if not key:  # nothing but accents
            continue
        within = token[0].isupper() and not _starts_sentence(text, matches, place, start)
        if token[0].isdigit():
            kind = Kind.NUMBER
        elif key in _FUNCTION_WORDS and not (within and key in _NAMES_TOO):
            kind = Kind.FUNCTION
        elif within or (token[0].isupper() and _is_named(text, matches, folded, place)):
            kind = Kind.NAME
        else:
            kind = Kind.WORD
            key = stem(key)
        words.append(Word(match.start(), match.end(), key, kind))
    return words


def word_keys(text: str) -> frozenset[str]:
    """All keys that a word of another text can match in this one: its words as they are, and their stems."""
    if text.isascii():
        folded = [_join_digits(token) for token in _WORD.findall(text.lower())]
    else:
        folded = [_fold(token) for token in _WORD.findall(text)]
    return frozenset(folded).union(Stemmer.Stemmer("english").stemWords(folded))


def _fold(token: str) -> str:
    """Lower case without accents, typographic apostrophes and thousands separators."""
    if token.isascii():
        return _join_digits(token.lower())
    letters = unicodedata.normalize("NFKD", token.replace("’", "'")).casefold()
    return _join_digits("".join(letter for letter in letters if not unicodedata.combining(letter)))


def _join_digits(token: str) -> str:
    return token.replace(",", "") if "," in token else token


def _starts_sentence(text: str, matches: Sequence[re.Match[str]], place: int, start: int) -> bool:
    if place == 0:
        return start == 0
    before = matches[place - 1]
    if not _SENTENCE_END.search(text, before.end(), matches[place].start()):
        return False
    # The dot of an initial or of "Dr." ends no sentence.
    return not (before.end() - before.start() <= 2 and text[before.start()].isupper())


def _is_named(text: str, matches: Sequence[re.Match[str]], folded: Sequence[str], place: int) -> bool:
    """Whether what follows a capitalised first word shows that it is a name."""
    end = matches[place].end()
    if _POSSESSIVE.match(text, end):
        return True
    if place + 1 == len(matches) or text[end : matches[place + 1].start()] not in (" ", "-"):
        return False
    follower = matches[place + 1].group()
    if folded[place + 1] in _NAME_IS_FOLLOWED_BY:
        return True
    return follower[0].isupper() and folded[place + 1] not in _FUNCTION_WORDS
