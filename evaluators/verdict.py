"""What a comparison shows and does not show, in one sentence.

Sentences are plain text. The names of runs and scores stand in them as they were given: whoever shows a sentence shows
it as text. Differences of shares are in points (100 x share), of counts in the counted unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from evaluators.significance import ALPHA, POWER, Flow, PairedResult, SeedsResult, holm

Unit = Literal["share", "count"]

_RIGHTNESS = frozenset({"em", "acc", "acc_bounded", "acc_text"})
"""Scores that are 1 where the answer is right."""


def verdict(
    name_a: str,
    name_b: str,
    score: str,
    result: PairedResult,
    *,
    unit: Unit = "share",
    adjusted_p: float | None = None,
    comparisons: int = 1,
) -> str:
    """Whether system b differs from system a by a score; if not, what these questions could not have shown.

    The exact McNemar test decides for values of 0 and 1, even where few differing questions make the bootstrap's
    interval too narrow; the paired bootstrap decides for others. Where this is one of several `comparisons`,
    `adjusted_p` (from `holm`) decides, and both p stand in the sentence.

    Raises:
        ValueError: several comparisons without an adjusted p, although there is a p.
    """
    if comparisons > 1 and adjusted_p is None and result.p is not None:
        raise ValueError("one of several comparisons needs its adjusted p")
    p = adjusted_p if comparisons > 1 else result.p
    if p is None or result.p is None or result.difference is None:
        return (
            f"no question is scored by {score} for both {name_a} and {name_b}: nothing can be said{_left_out(result)}"
        )
    if result.n == 1:
        size = signed(result.difference, unit)
        return f"1 question is too few to compare {name_a} and {name_b} by {score}: {size}{_left_out(result)}"
    power = _power(result, unit, comparisons)
    if not result.differing:
        return f"{name_a} and {name_b} have the same {score} on each of {result.n} questions{power}{_left_out(result)}"
    evidence = _evidence(result.difference, result.low, result.high, unit)
    tested = f"{evidence}, {result.test} {format_p(result.p)}{_correction(adjusted_p, comparisons)}"
    if p < ALPHA:
        return f"{_claim(name_a, name_b, score, result)}: {tested}{_left_out(result)}"
    once = f" once {comparisons} comparisons are allowed for" if result.p < ALPHA else ""
    apart = f"{result.n} questions cannot tell {name_a} and {name_b} apart by {score}{once}"
    return f"{apart}: {tested}{power}{_left_out(result)}"


def verdict_over_seeds(name_a: str, name_b: str, score: str, result: SeedsResult, *, unit: Unit = "share") -> str:
    """Whether system b differs from system a over the seeds that both were trained with."""
    if result.p is None or result.difference is None:
        return f"no question is scored by {score} in every run of {name_a} and {name_b}: nothing can be said"
    systems = [f"{name_b} ({_count(result.seeds_b, 'seed')})", f"{name_a} ({_count(result.seeds_a, 'seed')})"]
    evidence = _evidence(result.difference, result.low, result.high, unit)
    tested = f"{evidence}, {format_p(result.p)} ({_resampled(result)})"
    single = [name for name, seeds in ((name_a, result.seeds_a), (name_b, result.seeds_b)) if seeds == 1]
    caution = f"; how other seeds of {' and '.join(single)} would do is not in it" if single else ""
    if result.p < ALPHA:
        direction = "higher" if result.difference > 0 else "lower"
        claim = f"mean {score} of {systems[0]} is {direction} than that of {systems[1]} on {_questions(result.n)}"
    else:
        claim = f"{_questions(result.n)} cannot tell {systems[1]} and {systems[0]} apart by {score}"
    return f"{claim}: {tested}{caution}"


def matrix_note(results: Sequence[PairedResult], *, units: Sequence[Unit] | None = None) -> str:
    """One line on a table of comparisons: how many hold after Holm's correction, and what the others do not show.

    `units` tells which comparisons are of counts (default: none is): no points are named for those.

    Raises:
        ValueError: there is not one unit a comparison.
    """
    adjusted = holm([result.p for result in results])
    made = [p for p in adjusted if p is not None]
    if not made:
        return "no comparison could be made: no question is scored in both runs of any"
    alone = sum(1 for result in results if result.p is not None and result.p < ALPHA)
    hold = sum(1 for p in made if p < ALPHA)
    corrected = " after Holm's correction" if len(made) > 1 else ""
    shows = "shows" if 1 in (hold, len(made)) else "show"
    parts = [f"{hold} of {_count(len(made), 'comparison')} {shows} a difference{corrected}"]
    if alone > hold:
        parts.append(f"{alone - hold} more would alone, but not among so many")
    if len(made) > hold:
        missed = sorted(
            result.detectable
            for result, p, unit in zip(results, adjusted, units or ["share"] * len(results), strict=True)
            if unit == "share" and p is not None and p >= ALPHA and result.detectable is not None
        )
        reach = f": a true difference below {_range(missed, 'share')} is likely to be missed" if missed else ""
        parts.append(f"{_others(len(made) - hold, hold)} not show that the runs are equal{reach}")
    if len(made) < len(results):
        parts.append(f"{len(results) - len(made)} could not be made for want of questions scored in both runs")
    return "; ".join(parts)


def format_p(p: float) -> str:
    """A p value as people write it: p = .004, p = .63, p < .001."""
    if p < 0.001:
        return "p < .001"
    if p > 0.99:
        return "p > .99"
    # Three digits would show .0496 as .050, which reads as not significant.
    digits = 4 if abs(p - ALPHA) < 0.0005 else 3 if p < 0.1 else 2
    return "p = " + f"{p:.{digits}f}".removeprefix("0")


def signed(difference: float, unit: Unit = "share") -> str:
    """A difference with its sign: +14.3 points for a share, +0.40 for a count."""
    return f"{100 * difference:+.1f} points" if unit == "share" else f"{difference:+.2f}"


def _resampled(result: SeedsResult) -> str:
    one_each = result.seeds_a == result.seeds_b == 1
    return "bootstrap over questions" if one_each else "bootstrap over questions, Student's t over seeds"


def _claim(name_a: str, name_b: str, score: str, result: PairedResult) -> str:
    direction = "higher" if (result.difference or 0) > 0 else "lower"
    if result.flow is None:
        return f"mean {score} of {name_b} is {direction} than that of {name_a} on {_questions(result.n)}"
    more = _more(result.flow)
    if score in _RIGHTNESS:
        return f"{name_b} is right ({score}) on {more} than {name_a} of {result.n}"
    return f"{score} is 1 for {name_b} on {more} than for {name_a} of {result.n}"


def _more(flow: Flow) -> str:
    gained = flow.fixed - flow.broken
    return f"{_questions(abs(gained))} {'more' if gained > 0 else 'fewer'}"


def _evidence(difference: float, low: float | None, high: float | None, unit: Unit) -> str:
    if low is None or high is None:
        return signed(difference, unit)
    bounds = f"[{100 * low:.1f}, {100 * high:.1f}]" if unit == "share" else f"[{low:.2f}, {high:.2f}]"
    return f"{signed(difference, unit)} {bounds}"


def _correction(adjusted_p: float | None, comparisons: int) -> str:
    if comparisons == 1 or adjusted_p is None:
        return ""
    return f" ({format_p(adjusted_p)} after Holm's correction for {comparisons} comparisons)"


def _power(result: PairedResult, unit: Unit, comparisons: int) -> str:
    if result.detectable is None:
        return ""
    alone = " by this comparison alone" if comparisons > 1 else ""
    size = _range([result.detectable], unit)
    return f"; a true difference of {size} would be found with {100 * POWER:.0f} % power{alone}"


def _range(differences: Sequence[float], unit: Unit) -> str:
    low, high = (_size(difference, unit) for difference in (differences[0], differences[-1]))
    points = " points" if unit == "share" else ""
    return f"about {low}{points}" if low == high else f"about {low} to {high}{points}"


def _size(difference: float, unit: Unit) -> str:
    if unit == "count":
        return f"{difference:.2f}"
    return f"{100 * difference:.1f}" if difference < 0.1 else f"{100 * difference:.0f}"


def _others(number: int, hold: int) -> str:
    if number == 1:
        return "the other does" if hold else "it does"
    return f"the other {number} do" if hold else f"these {number} do"


def _left_out(result: PairedResult) -> str:
    return f"; {_questions(result.dropped)} not scored in both left out" if result.dropped else ""


def _questions(number: int) -> str:
    return _count(number, "question")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
