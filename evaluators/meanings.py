"""What each score means, in one line: for pages, tables and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal

from evaluators.rubric import RUBRICS, load_rubric

Level = Literal["chain", "step"]
Unit = Literal["share", "count"]


@dataclass(frozen=True)
class ScoreMeaning:
    """A score in words.

    `higher_is_better` is None where neither direction is better by itself. A share lies between 0 and 1 (a yes or no
    is 1 or 0, its mean the share of cases), a count is a number of things.
    """

    meaning: str
    higher_is_better: bool | None
    unit: Unit
    levels: tuple[Level, ...]


_CHAIN: tuple[Level, ...] = ("chain",)
_STEP: tuple[Level, ...] = ("step",)
_BOTH: tuple[Level, ...] = ("chain", "step")

MEANINGS: Mapping[str, ScoreMeaning] = MappingProxyType(
    {
        "em": ScoreMeaning("the final answer equals a gold answer once both are normalised", True, "share", _CHAIN),
        "f1": ScoreMeaning("overlap of the final answer's words with a gold answer's", True, "share", _CHAIN),
        "precision": ScoreMeaning("share of the final answer's words that a gold answer has", True, "share", _CHAIN),
        "recall": ScoreMeaning("share of a gold answer's words that the final answer has", True, "share", _CHAIN),
        "acc": ScoreMeaning("a gold answer is contained in the final answer", True, "share", _CHAIN),
        "acc_bounded": ScoreMeaning("a gold answer stands in the final answer as whole words", True, "share", _CHAIN),
        "acc_text": ScoreMeaning("a gold answer is contained in all text the chain wrote", True, "share", _CHAIN),
        "gold_recall": ScoreMeaning("share of the gold passages retrieved so far", True, "share", _BOTH),
        "hops_reached": ScoreMeaning("share of the gold hops that the rationales state", True, "share", _CHAIN),
        "steps_before_error": ScoreMeaning(
            "share of the rationale steps before the first one that states no gold hop", True, "share", _CHAIN
        ),
        "extra_steps": ScoreMeaning(
            "steps taken minus steps needed: one a gold hop and one for the answer", None, "count", _CHAIN
        ),
        "premature_answer": ScoreMeaning(
            "the chain answered although a gold hop or passage was still missing", False, "share", _CHAIN
        ),
        "right_by_wrong_path": ScoreMeaning(
            "of the right answers: a gold hop or passage was still missing", False, "share", _CHAIN
        ),
        "gold_passage": ScoreMeaning(
            "the passage of the hop that the step states, or should, was retrieved by then", True, "share", _STEP
        ),
        "sub_answer": ScoreMeaning("the step states a gold hop not stated before", True, "share", _STEP),
        "passage_precision": ScoreMeaning("share of the newly retrieved passages that are gold", True, "share", _BOTH),
        "new_passages": ScoreMeaning("passages retrieved for the first time", None, "count", _STEP),
        "duplicate_passages": ScoreMeaning(
            "passages among the top K that an earlier step had retrieved", False, "count", _STEP
        ),
        "duplicate_share": ScoreMeaning(
            "share of the passages found that an earlier step had retrieved", False, "share", _CHAIN
        ),
        "answer_reachable": ScoreMeaning("a gold answer stands in the passages retrieved so far", True, "share", _BOTH),
        "grounding": ScoreMeaning(
            "share of the line's content words, names and numbers in its passages or the question",
            True,
            "share",
            _STEP,
        ),
        "ungrounded_names": ScoreMeaning(
            "names and numbers written that stand in no passage and not in the question", False, "count", _CHAIN
        ),
        "repetition": ScoreMeaning("the line says again what an earlier one said", False, "share", _STEP),
        "contradiction": ScoreMeaning(
            "the line gives another value or a denial of what an earlier one said", False, "share", _STEP
        ),
    }
)
"""Every score that `evaluators.scoring.default_scorers` gives, by name, in the order in which pages list them."""

_UNKNOWN = ScoreMeaning("", None, "count", ("chain", "step"))


def meaning_of(name: str) -> ScoreMeaning:
    """What a score means, also a judge's (name@judge:model); an unknown one is a number without direction."""
    own = name.partition("@")[0]
    return MEANINGS.get(own) or _judged().get(own) or _UNKNOWN


@cache
def _judged() -> Mapping[str, ScoreMeaning]:
    """The figures of the built-in rubrics. A rating from -1 to 1 is no share: it is told as a number."""
    return {
        rubric.score_name(figure): ScoreMeaning(
            f"a judge's verdict: {figure.replace('_', ' ')}",
            True,
            "share" if rubric.is_share(figure) else "count",
            ("step",) if rubric.scope == "step" else ("chain",),
        )
        for rubric in map(load_rubric, RUBRICS.names())
        for figure in rubric.figures
    }
