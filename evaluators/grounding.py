"""Grounding: which words of a line stand in the passages retrieved so far, or in the question.

The word-by-word counterpart of the faithfulness of a step to its source that ROSCOE (Golovneva et al., ICLR 2023)
measures with embeddings: no model, and each word can be shown in its place. Limits: it compares words and not what is
said, so a grounded line can still be wrong; a synonym or another word class ("director", "directed") counts as
ungrounded, an inflection ("film", "films") does not; names are told by their capitals.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from evaluators.lookup import NO_TEXT
from evaluators.values import Measure, Value
from evaluators.words import Kind, Word, read_words, word_keys
from steper_core.records import ANSWER_FLAG, Chain, Passage, Question

NO_PASSAGES = "no passage was retrieved"
NO_CONTENT = "the line has no content word, name or number"

Keys = frozenset[str]

_FLAG = re.compile(re.escape(ANSWER_FLAG), re.IGNORECASE)
_LONGEST_INITIALS = 2


@dataclass(frozen=True)
class GroundedWord:
    """A content word, name or number at rationale[start:end], and where it stands.

    `passage_id` is the passage that holds it; of several the one that holds the most words of the line, then the one
    retrieved first. It is None where no passage holds the word; `in_question` says whether the question does.
    """

    start: int
    end: int
    kind: Kind
    passage_id: str | None
    in_question: bool

    @property
    def grounded(self) -> bool:
        """Whether the word stands in a passage or in the question."""
        return self.passage_id is not None or self.in_question


@dataclass(frozen=True)
class Grounding:
    """The words of a line that can be grounded (not its function words), in their order."""

    words: tuple[GroundedWord, ...]

    @property
    def share(self) -> float | None:
        """Share of the words that are grounded; None where there is no word."""
        return sum(word.grounded for word in self.words) / len(self.words) if self.words else None


def ground(rationale: str, passages: Iterable[Passage], question: str) -> Grounding:
    """Find the words of a rationale, or of the answer behind the answer flag, in passages and question.

    Spans are positions in `rationale` as it is given.
    """
    texts = {passage.id: passage_keys(passage) for passage in passages}
    return _ground(_content(rationale), texts, word_keys(question))


def passage_keys(passage: Passage) -> Keys:
    """What words are looked up in: the keys of a passage's title and text."""
    return word_keys(f"{passage.title}\n{passage.text}")


def measure_grounding(chain: Chain, question: Question, keys_of: Callable[[str], Keys | None]) -> Iterator[Measure]:
    """`grounding` of each step, then `ungrounded_names` of the chain; `keys_of` gives `passage_keys` by passage id.

    grounding: share of the content words, names and numbers of the step's line (of the answer line: of the answer) that
    stand in the passages retrieved by then or in the question. ungrounded_names: how many different names and numbers
    in all lines stand together in none of the chain's passages and not in the question; a name is a run of
    capitalised words, and one text must hold all of them ("Ona Vask" is not grounded by "Ona Brell" and "Tor Vask" in
    two passages). Both are unscored where nothing was retrieved.
    """
    asked = word_keys(question.text)
    texts: dict[str, Keys] = {}
    unknown = False
    names: set[tuple[str, ...]] = set()
    for step in chain.steps:
        for hit in step.retrieved:
            keys = keys_of(hit.passage_id)
            if keys is None:
                unknown = True
            else:
                texts[hit.passage_id] = keys
        words = _content(step.rationale)
        names.update(_names(step.rationale, words))
        reason = _why_unscored(texts, unknown) or (None if words else NO_CONTENT)
        share = None if reason else _ground(words, texts, asked).share
        yield Measure("grounding", Value(share, reason), step.number)
    yield Measure("ungrounded_names", _ungrounded(names, [*texts.values(), asked], _why_unscored(texts, unknown)))


def _why_unscored(texts: Mapping[str, Keys], unknown: bool) -> str | None:
    if unknown:
        return NO_TEXT
    return None if texts else NO_PASSAGES


def _content(rationale: str) -> list[Word]:
    flag = _FLAG.search(rationale)
    return [word for word in read_words(rationale, flag.end() if flag else 0) if word.kind is not Kind.FUNCTION]


def _ground(words: Sequence[Word], texts: Mapping[str, Keys], asked: Keys) -> Grounding:
    keys = {word.key for word in words}
    found = {passage_id: keys & text for passage_id, text in texts.items()}
    likeliest_first = sorted(found, key=lambda passage_id: -len(found[passage_id]))
    return Grounding(
        tuple(
            GroundedWord(
                word.start,
                word.end,
                word.kind,
                next((passage_id for passage_id in likeliest_first if word.key in found[passage_id]), None),
                word.key in asked,
            )
            for word in words
        )
    )


def _names(text: str, words: Sequence[Word]) -> Iterator[tuple[str, ...]]:
    """The names (runs of name words) and numbers of a line, as their keys."""
    run: list[Word] = []
    for word in words:
        if run and not (word.kind is Kind.NAME and _joined(text, run[-1], word)):
            yield tuple(each.key for each in run)
            run = []
        if word.kind is Kind.NAME:
            run.append(word)
        elif word.kind is Kind.NUMBER:
            yield (word.key,)
    if run:
        yield tuple(each.key for each in run)


def _joined(text: str, one: Word, next_one: Word) -> bool:
    """Whether two name words are parts of one name, also across the dot of an initial."""
    gap = text[one.end : next_one.start]
    return gap in (" ", "-") or (gap in (". ", ".") and one.end - one.start <= _LONGEST_INITIALS)


def _ungrounded(names: Iterable[tuple[str, ...]], texts: Sequence[Keys], reason: str | None) -> Value:
    if reason:
        return Value(None, reason)
    return Value(float(sum(not any(text.issuperset(name) for text in texts) for name in names)))
