"""Scores of a final answer by the rules of each dataset's own evaluation script.

HotpotQA: hotpot_evaluate_v1.py. 2WikiMultiHopQA: its evaluate script v1.1. MuSiQue: evaluate_v1.0.py. They differ on
yes/no answers and on empty ones. Generated worlds follow 2WikiMultiHopQA.
"""

from __future__ import annotations

import difflib
import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from steper_core.errors import UserError
from steper_core.records import Chain

RULES = ("hotpotqa", "2wikimultihopqa", "musique", "worlds")

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_CLOSED_ANSWERS = frozenset({"yes", "no", "noanswer"})
_NOTHING = (0.0, 0.0, 0.0)


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


def normalise(text: str) -> str:
    """Lower case without ASCII punctuation and articles, blanks collapsed: the same in all three scripts."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def score_answer(prediction: str, golds: Sequence[str], rules: str) -> AnswerScore:
    """Compare a prediction with all accepted answers; each figure is the best over them by itself.

    A missing prediction is the empty text: the scripts count it as 0.

    Raises:
        UserError: no such rules.
        ValueError: there is no gold answer.
    """
    if rules not in RULES:
        near = difflib.get_close_matches(rules, RULES, n=1, cutoff=0.3)
        hint = f"; did you mean {near[0]!r}?" if near else f", only for {', '.join(RULES)}"
        raise UserError(f"there are no answer rules for {rules!r}{hint}")
    if not golds:
        raise ValueError("an answer cannot be scored without a gold answer")
    overlap = _musique_overlap if rules == "musique" else _closed_overlap
    said = normalise(prediction)
    accepted = [normalise(gold) for gold in golds]
    f1, precision, recall = (max(column) for column in zip(*(overlap(said, gold) for gold in accepted), strict=True))
    return AnswerScore(
        em=float(said in accepted),
        f1=f1,
        precision=None if rules == "musique" else precision,
        recall=None if rules == "musique" else recall,
        acc=float(any(gold in said if gold else not said for gold in accepted)),
        acc_bounded=float(any(contains(said, gold) for gold in accepted)),
    )


def acc_text(chain: Chain, golds: Sequence[str]) -> float:
    """The paper's Acc (StepER, Lee et al. 2025): 1 if a gold answer is contained in all text the chain generated."""
    written = normalise(" ".join(chain.rationales))
    accepted = [normalise(gold) for gold in golds]
    return float(any(gold in written if gold else not written for gold in accepted))


def contains(text: str, part: str) -> bool:
    """Whether normalised `part` stands in normalised `text` on token boundaries; nothing stands only in nothing."""
    return f" {part} " in f" {text} " if part else not text


def _closed_overlap(said: str, gold: str) -> tuple[float, float, float]:
    """F1, precision and recall where yes and no are all or nothing (HotpotQA, 2WikiMultiHopQA)."""
    if said != gold and (said in _CLOSED_ANSWERS or gold in _CLOSED_ANSWERS):
        return _NOTHING
    return _overlap(said.split(), gold.split())


def _musique_overlap(said: str, gold: str) -> tuple[float, float, float]:
    """F1, precision and recall without a rule for yes and no; two empty answers agree (MuSiQue)."""
    if not said or not gold:
        agree = float(said == gold)
        return agree, agree, agree
    return _overlap(said.split(), gold.split())


def _overlap(said: list[str], gold: list[str]) -> tuple[float, float, float]:
    left = Counter(gold)
    same = 0
    for token in said:
        if left.get(token, 0):
            left[token] -= 1
            same += 1
    if not same:
        return _NOTHING
    precision, recall = same / len(said), same / len(gold)
    return 2 * precision * recall / (precision + recall), precision, recall
