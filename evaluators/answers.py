"""Scores of a final answer by the rules of each dataset's own evaluation script.

HotpotQA: hotpot_evaluate_v1.py. 2WikiMultiHopQA: its evaluate script v1.1. MuSiQue: evaluate_v1.0.py. They differ on
yes/no answers and on empty ones. Generated worlds follow 2WikiMultiHopQA.
"""

from __future__ import annotations

import difflib
import itertools
import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from steper_core.errors import UserError
from steper_core.records import Chain

RULES = ("hotpotqa", "2wikimultihopqa", "musique", "worlds")

_Figures = tuple[float, float, float, float, float, float]
"""The fields of an `AnswerScore` in their order, as bare numbers."""

_PUNCTUATION = re.compile(f"[{re.escape(string.punctuation)}]+")
_ASCII_PUNCTUATION = string.punctuation.encode()
_ASCII_LOWER = bytes(range(128)).lower() + bytes(range(128, 256))
# Begins with a set of two letters, which the engine can search for; what precedes the word is checked afterwards.
_ARTICLES = re.compile(r"(?:a(?<!\wa)n?|t(?<!\wt)he)\b")
_SEPARATOR = "\0"
_CLOSED_ANSWERS = frozenset({"yes", "no", "noanswer"})
_NOTHING = (0.0, 0.0, 0.0)
_WRONG: _Figures = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
_RIGHT: _Figures = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
_RIGHT_WITHOUT_TOKENS: _Figures = (1.0, 0.0, 0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class AnswerScore:
    """Fractions. `acc`: a gold answer is contained in the prediction; `acc_bounded`: the same on token boundaries.

    Precision and recall are None for MuSiQue, whose script defines none.
    """

    em: float
    f1: float
    precision: float | None
    recall: float | None
    acc: float
    acc_bounded: float


def without_punctuation(text: str) -> str:
    """Lower case without ASCII punctuation."""
    if text.isascii():
        return text.encode().translate(_ASCII_LOWER, _ASCII_PUNCTUATION).decode()
    return _PUNCTUATION.sub("", text.lower())


def normalise(text: str) -> str:
    """Lower case without ASCII punctuation and articles, blanks collapsed: the same in all three scripts."""
    return " ".join(_ARTICLES.sub(" ", without_punctuation(text)).split())


def normalise_all(texts: Sequence[str]) -> list[str]:
    """What `normalise` makes of each text, in a fraction of the time: all are joined and go through it as one."""
    # No word and no blank reaches across the separator, and no change of case looks across it.
    pieces = _ARTICLES.sub(" ", without_punctuation(_SEPARATOR.join(texts))).split(_SEPARATOR)
    if len(pieces) != len(texts):  # a text holds the separator itself, or there are none
        return [normalise(text) for text in texts]
    return [" ".join(piece.split()) for piece in pieces]


def score_answer(prediction: str | None, golds: Sequence[str], rules: str) -> AnswerScore:
    """Compare a prediction with all accepted answers; each figure is the best over them by itself.

    None is a missing prediction: the scripts count it as 0, even where a gold answer normalises to nothing.

    Raises:
        UserError: no such rules.
        ValueError: there is no gold answer.
    """
    check_rules(rules)
    if not golds:
        raise ValueError("an answer cannot be scored without a gold answer")
    is_musique = rules == "musique"
    if prediction is None:
        em, f1, precision, recall, acc, acc_bounded = _WRONG
    else:
        accepted = [normalise(gold) for gold in golds]
        em, f1, precision, recall, acc, acc_bounded = _best(normalise(prediction), accepted, is_musique)
    return AnswerScore(
        em=em,
        f1=f1,
        precision=None if is_musique else precision,
        recall=None if is_musique else recall,
        acc=acc,
        acc_bounded=acc_bounded,
    )


def score_answers(
    predictions: Sequence[str | None], golds: Sequence[Sequence[str]], rules: Sequence[str]
) -> dict[str, npt.NDArray[np.float64]]:
    """What `score_answer` gives for many questions at once, a column for each figure, in a fraction of the time.

    None is a missing prediction: all its figures are 0, even where the gold answer normalises to nothing. NaN stands
    for precision and recall under MuSiQue's rules.

    Raises:
        UserError: no such rules.
        ValueError: a question has no gold answer, or the three are of different lengths.
    """
    for name in dict.fromkeys(rules):
        check_rules(name)
    if not all(golds):
        raise ValueError("an answer cannot be scored without a gold answer")
    said = normalise_all([prediction or "" for prediction in predictions])
    every = iter(normalise_all(list(itertools.chain.from_iterable(golds))))
    accepted = [list(itertools.islice(every, len(answers))) for answers in golds]
    rows = [
        _WRONG if prediction is None else _best(text, answers, name == "musique")
        for prediction, text, answers, name in zip(predictions, said, accepted, rules, strict=True)
    ]
    names = ("em", "f1", "precision", "recall", "acc", "acc_bounded")
    table = np.fromiter(itertools.chain.from_iterable(rows), np.float64).reshape(-1, len(names))
    columns = dict(zip(names, table.T, strict=True))
    is_musique = np.array([name == "musique" for name in rules], dtype=bool)
    for name in ("precision", "recall"):
        columns[name][is_musique] = np.nan
    return columns


def check_rules(rules: str) -> None:
    """Make sure that there are answer rules of this name.

    Raises:
        UserError: there are none; the message names the nearest.
    """
    if rules not in RULES:
        near = difflib.get_close_matches(rules, RULES, n=1, cutoff=0.3)
        hint = f"; did you mean {near[0]!r}?" if near else f", only for {', '.join(RULES)}"
        raise UserError(f"there are no answer rules for {rules!r}{hint}")


def acc_text(chain: Chain, golds: Sequence[str]) -> float:
    """The paper's Acc (StepER, Lee et al. 2025): 1 if a gold answer is contained in all text the chain generated.

    A chain that wrote nothing and gave no answer has none, even where a gold answer normalises to nothing.
    """
    written = normalise(" ".join(chain.rationales))
    if not written and chain.answer is None:
        return 0.0
    accepted = [normalise(gold) for gold in golds]
    return float(any(gold in written if gold else not written for gold in accepted))


def contains(text: str, part: str) -> bool:
    """Whether normalised `part` stands in normalised `text` on token boundaries; nothing stands only in nothing."""
    return f" {part} " in f" {text} " if part else not text


def _best(said: str, accepted: Sequence[str], is_musique: bool) -> _Figures:
    if said and said in accepted:
        return _RIGHT
    if len(accepted) == 1:
        return _compare(said, accepted[0], is_musique)
    columns = zip(*(_compare(said, gold, is_musique) for gold in accepted), strict=True)
    em, f1, precision, recall, acc, acc_bounded = map(max, columns)
    return em, f1, precision, recall, acc, acc_bounded


def _compare(said: str, gold: str, is_musique: bool) -> _Figures:
    """The figures of two normalised texts that differ, or have no token."""
    if not said and not gold:
        # Two answers without tokens agree for MuSiQue alone.
        return _RIGHT if is_musique else _RIGHT_WITHOUT_TOKENS
    if not said or not gold:
        return _WRONG
    # Elsewhere yes and no are all or nothing.
    is_closed = not is_musique and (said in _CLOSED_ANSWERS or gold in _CLOSED_ANSWERS)
    f1, precision, recall = _NOTHING if is_closed else _overlap(said.split(), gold.split())
    if gold not in said:
        return (0.0, f1, precision, recall, 0.0, 0.0) if f1 else _WRONG
    return 0.0, f1, precision, recall, 1.0, float(contains(said, gold))


def _overlap(said: Sequence[str], gold: Sequence[str]) -> tuple[float, float, float]:
    """F1, precision and recall of the tokens of two texts, each token as often as it occurs."""
    shared = set(said).intersection(gold)
    if not shared:
        return _NOTHING
    # Where neither repeats a token, each shared one counts once.
    has_repeats = len(set(said)) < len(said) or len(set(gold)) < len(gold)
    same = (Counter(said) & Counter(gold)).total() if has_repeats else len(shared)
    precision, recall = same / len(said), same / len(gold)
    return 2 * precision * recall / (precision + recall), precision, recall
