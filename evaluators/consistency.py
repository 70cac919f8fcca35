"""Repetition and contradiction: a rationale compared with the earlier rationales of its chain, without a model.

ROSCOE (Golovneva et al., ICLR 2023) measures both with embeddings and an inference model (repetition-step,
self-consistency). Here only what can be told from the words counts: a reported case is nearly always one, and many go
unseen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evaluators.answers import normalise
from evaluators.values import Measure, Value
from evaluators.words import Kind, Word, read_words, word_set
from steper_core.records import Ability, Chain

REPETITION_OVERLAP = 0.8
"""The words shared by two lines over all their words (Jaccard) from which one says again what the other says."""

NO_EARLIER_LINE = "there is no earlier line"
EMPTY_LINE = "the line is empty"
ANSWER_NOT_COMPARED = "the answer line is not compared"

_NEGATIONS = frozenset({"no", "not", "never"})
_TURNING_WORDS = _NEGATIONS | {"after", "before", "over", "under", "without"}
_ARTICLES = frozenset({"a", "an", "the"})
_BEFORE_A_NAME = frozenset({"is", "was"})
_BEFORE_A_COUNT = frozenset({"has", "have", "had"})
_ONE_NAME = frozenset({"capit", "countri", "director", "father", "mother", "nation", "winner"})
"""Stems of relations that hold one name: "the capital of ... is ..."."""
_ONE_NUMBER = word_set(
    "age birth born build built date death die establish form found height incept popul public publish releas"
)
"""Stems of relations that hold one date or number."""
_ORDINAL = re.compile(r"(?<=\d)(?:st|nd|rd|th)$")
_MONTHS = word_set("january february march april may june july august september october november december")


def measure_consistency(chain: Chain) -> Iterator[Measure]:
    """`repetition` and `contradiction` of each step.

    repetition: 1 if the rationale says again what an earlier one said, else 0. It does if both are equal once
    normalised, or if they name the same names and numbers in the same order, agree in negations and in words such as
    "before", and share at least `REPETITION_OVERLAP` of their words. A rephrasing in another order is not seen.

    contradiction: 1 if the rationale contradicts an earlier one, else 0. It does if both use the same content words in
    the same order and either only one of them is negated, or one value differs while the words around it name a subject
    and a relation that has a single value: a date or number ("... was born in 1956", "... has 12 mills"), or a name
    behind "is", "was" or "directed by" ("The capital of ... is ..."). Values that may be the same thing (June 1956 and
    1956, a surname and a full name, initials) never contradict. Limits: another name for the same thing (an old name of
    a town) counts as a contradiction; what is said in other words, or of relations with many values (places, awards,
    casts), is not seen.

    Both are unscored on the first line, on empty lines and on the answer line.
    """
    earlier: list[_Line] = []
    for step in chain.steps:
        line = _Line.of(step.rationale)
        reason = None
        if step.ability is Ability.AGGREGATION:
            reason = ANSWER_NOT_COMPARED
        elif not line.words:
            reason = EMPTY_LINE
        elif not earlier:
            reason = NO_EARLIER_LINE
        repeats = any(_repeats(line, other) for other in earlier)
        contradicts = any(_contradicts(line, other) for other in earlier)
        yield Measure("repetition", Value(None if reason else float(repeats), reason), step.number)
        yield Measure("contradiction", Value(None if reason else float(contradicts), reason), step.number)
        if line.words:
            earlier.append(line)


@dataclass(frozen=True)
class _Line:
    """A rationale as it is compared. `content` holds the places among `words` of those that are no function words."""

    text: str
    normal: str
    words: tuple[Word, ...]
    content: tuple[int, ...]
    turning: frozenset[str]

    @classmethod
    def of(cls, text: str) -> _Line:
        words = tuple(read_words(text))
        function = {word.key for word in words if word.kind is Kind.FUNCTION}
        turning = {"not" if key.endswith("n't") else key for key in function}
        content = tuple(place for place, word in enumerate(words) if word.kind is not Kind.FUNCTION)
        return cls(text, normalise(text), words, content, frozenset(turning & _TURNING_WORDS))

    @property
    def keys(self) -> list[str]:
        return [self.words[place].key for place in self.content]

    @property
    def values(self) -> list[str]:
        return [word.key for word in self.words if word.kind in (Kind.NAME, Kind.NUMBER)]

    @property
    def vocabulary(self) -> set[str]:
        return {word.key for word in self.words} - _ARTICLES

    @property
    def negated(self) -> bool:
        return bool(self.turning & _NEGATIONS)


def _repeats(line: _Line, other: _Line) -> bool:
    if line.normal == other.normal:
        return True
    if line.turning != other.turning or line.values != other.values:
        return False
    one, two = line.vocabulary, other.vocabulary
    return len(one & two) >= REPETITION_OVERLAP * len(one | two)


def _contradicts(line: _Line, other: _Line) -> bool:
    one, two = line.keys, other.keys
    if one == two:
        return bool(one) and line.negated != other.negated
    if line.turning != other.turning:
        return False
    before = _common_start(one, two)
    after = _common_start(one[before:][::-1], two[before:][::-1])
    mine, theirs = _Part.of(line, before, after), _Part.of(other, before, after)
    if not mine.value or not theirs.value or not any(word.kind is Kind.NAME for word in mine.frame):
        return False
    if mine.holds_one_number and theirs.holds_one_number:
        return _other_number(mine.value, theirs.value)
    return mine.holds_one_name and theirs.holds_one_name and _other_name(mine.value, theirs.value)


def _common_start(one: Sequence[str], two: Sequence[str]) -> int:
    pairs = enumerate(zip(one, two, strict=False))
    return next((place for place, (mine, theirs) in pairs if mine != theirs), min(len(one), len(two)))


@dataclass(frozen=True)
class _Part:
    """The words of a line that another line has too (`frame`) and those in which it differs (`value`).

    `lead` holds the words before the value in their order, without articles. `attached`: the value follows a name
    directly. `ends`: no content word follows the value.
    """

    frame: tuple[Word, ...]
    value: tuple[Word, ...]
    lead: tuple[Word, ...]
    attached: bool
    ends: bool

    @classmethod
    def of(cls, line: _Line, before: int, after: int) -> _Part:
        end = len(line.content) - after
        places = line.content[before:end]
        frame = tuple(line.words[place] for place in (*line.content[:before], *line.content[end:]))
        value = tuple(line.words[place] for place in places)
        preceding = line.words[: places[0]] if places else ()
        attached = bool(preceding) and line.text[preceding[-1].end : value[0].start] == " " and _is_name(preceding[-1])
        lead = tuple(word for word in preceding if word.key not in _ARTICLES)
        return cls(frame, value, lead, attached, ends=not after)

    @property
    def relations(self) -> set[str]:
        return {word.key for word in self.frame if word.kind is Kind.WORD}

    @property
    def holds_one_number(self) -> bool:
        """Whether the value is a date or number of a relation that has one; "Part 2" holds a name's own number."""
        if self.attached or not all(word.kind is Kind.NUMBER or _is_month(word) for word in self.value):
            return False
        return bool(self.relations & _ONE_NUMBER) or self._led_by(_BEFORE_A_COUNT)

    @property
    def holds_one_name(self) -> bool:
        """Whether the value is the whole name at the end of a relation that has one."""
        if not self.ends or not all(_is_name(word) for word in self.value):
            return False
        if self._led_by(_BEFORE_A_NAME):
            return bool(self.relations & _ONE_NAME)
        return [word.key for word in self.lead[-2:]] == ["direct", "by"]

    def _led_by(self, words: frozenset[str]) -> bool:
        return bool(self.lead) and self.lead[-1].key in words


def _is_month(word: Word) -> bool:
    return word.kind is Kind.NAME and word.key in _MONTHS


def _is_name(word: Word) -> bool:
    return word.kind is Kind.NAME and word.key not in _MONTHS


def _other_number(one: Sequence[Word], two: Sequence[Word]) -> bool:
    """Whether year, month, day or another number stands in both and differs."""
    mine, theirs = _by_part(one), _by_part(two)
    return any(not (mine[part] <= theirs[part] or theirs[part] <= mine[part]) for part in mine.keys() & theirs.keys())


def _by_part(value: Sequence[Word]) -> dict[str, set[str]]:
    parts: dict[str, set[str]] = {}
    for word in value:
        key = _ORDINAL.sub("", word.key)
        part = "month" if word.kind is Kind.NAME else "number"
        if key.isdecimal():
            part = {1: "day", 2: "day", 4: "year"}.get(len(key), "number")
        parts.setdefault(part, set()).add(key)
    return parts


def _other_name(one: Sequence[Word], two: Sequence[Word]) -> bool:
    """Whether two names share no word and neither is the other's initials."""
    mine, theirs = [word.key for word in one], [word.key for word in two]
    return set(mine).isdisjoint(theirs) and not _abbreviates(mine, theirs) and not _abbreviates(theirs, mine)


def _abbreviates(short: Sequence[str], name: Sequence[str]) -> bool:
    initials = "".join(word[:1] for word in name)
    return len(short) == 1 and len(name) > 1 and (short[0].startswith(initials) or initials.startswith(short[0]))
