"""What a score costs: score per parameter, second and joule, and how many times cheaper a run is than another.

Costs are the facts of a run (`RunInfo.facts`), measured where the run was made; a fact that is missing, or not a
positive number, leaves what depends on it None with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from evaluators.values import Value

Facts = Mapping[str, float]

COSTS: Mapping[str, str] = {
    "parameters_total": "parameters",
    "parameters_active": "active parameters",
    "prompt_tokens_per_question": "prompt tokens a question",
    "output_tokens_per_question": "output tokens a question",
    "retrievals_per_question": "retrievals a question",
    "seconds_per_question": "seconds a question",
    "seconds_p50": "seconds of the median question",
    "seconds_p95": "seconds of the 95th percentile",
    "flops_per_question": "floating point operations a question",
    "joules_per_question": "joules a question",
}
"""Facts of which less is better, with their meaning."""

NO_SCORE = "the run has no score"

_LOADS = ("batch_size", "concurrency")
"""How many questions a model worked on at once, in this process or on a server: seconds depend on it."""


@dataclass(frozen=True)
class Efficiency:
    """A mean score (a share) over a cost: per 10^9 parameters (all of them), per second and per joule of a question."""

    per_billion_parameters: Value
    per_second: Value
    per_joule: Value


@dataclass(frozen=True)
class Ratios:
    """A run against a reference run, normally the teacher.

    `times_less[fact]` is the reference's cost over the run's for each of COSTS: 2 is half the parameters, or twice as
    fast. `remarks` say what makes a ratio less than a fair one, by what it is a ratio of: "seconds" or "energy".
    """

    times_less: dict[str, Value]
    remarks: dict[str, str]


def efficiency(facts: Facts, score: float | None) -> Efficiency:
    """A run's mean score (a share, such as EM) over what it cost."""
    return Efficiency(
        per_billion_parameters=_per(score, facts, "parameters_total", 1e9),
        per_second=_per(score, facts, "seconds_per_question"),
        per_joule=_per(score, facts, "joules_per_question"),
    )


def ratios(run: Facts, reference: Facts) -> Ratios:
    """How many times less a run costs than the reference, fact by fact."""
    return Ratios({name: _ratio(reference, run, name) for name in COSTS}, _remarks(run, reference))


def pareto(points: Mapping[str, tuple[float | None, float | None]]) -> set[str]:
    """The names of points (cost, gain) that no other point beats: none costs as little and gains as much, and one more.

    Equal points do not beat each other: both stay. A point without cost or gain (None, not finite) is left out.
    """
    known = {
        name: (cost, gain)
        for name, (cost, gain) in points.items()
        if cost is not None and gain is not None and math.isfinite(cost) and math.isfinite(gain)
    }
    return {
        name
        for name, (cost, gain) in known.items()
        if not any(
            other_cost <= cost and other_gain >= gain and (other_cost, other_gain) != (cost, gain)
            for other_cost, other_gain in known.values()
        )
    }


def transformer_flops(
    parameters: float,
    prompt_tokens: float,
    output_tokens: float,
    layers: float | None = None,
    width: float | None = None,
) -> float:
    """Estimated floating point operations of one call of a decoder with a key-value cache.

    2 N a token for the N parameters that a token passes through (a multiplication and an addition each), and where
    `layers` and `width` (of the attention: heads x head size) are given 4 x layers x width for each earlier token that
    a token looks at, itself included: queries by keys and weights by values. Kaplan et al. 2020 ("Scaling Laws for
    Neural Language Models", section 2.1 and table 1): C = 2 N + 2 layers context width a token, whose factor is the
    mean over a causal context. With T = prompt + output tokens: 2 N T + 2 layers width T (T + 1).

    It is an estimate: norms, softmax and position encodings are left out, the last output token is counted though it is
    never fed back, and prompt tokens whose states were kept from an earlier call are counted again. N should leave out
    the embedding table unless it is also the output layer. Attention grows faster than its tokens: sum over the calls
    of a chain, not over their tokens.

    Raises:
        ValueError: a negative number, or only one of layers and width.
    """
    if (layers is None) != (width is None):
        raise ValueError("attention needs both layers and width")
    if min(parameters, prompt_tokens, output_tokens, layers or 0, width or 0) < 0:
        raise ValueError("parameters, tokens, layers and width cannot be negative")
    tokens = prompt_tokens + output_tokens
    return 2 * parameters * tokens + 2 * (layers or 0) * (width or 0) * tokens * (tokens + 1)


def _per(score: float | None, facts: Facts, name: str, scale: float = 1.0) -> Value:
    if score is None:
        return Value(None, NO_SCORE)
    why = _why_unusable(facts, name)
    return Value(None, f"the run {why}") if why else Value(score / facts[name] * scale)


def _ratio(reference: Facts, run: Facts, name: str) -> Value:
    for owner, facts in (("run", run), ("reference", reference)):
        if why := _why_unusable(facts, name):
            return Value(None, f"the {owner} {why}")
    return Value(reference[name] / run[name])


def _why_unusable(facts: Facts, name: str) -> str | None:
    value = facts.get(name)
    if value is None:
        return f"does not say its {COSTS[name]}"
    if not math.isfinite(value) or value < 0:
        return f"has no usable number for its {COSTS[name]}"
    return None if value else f"has no {COSTS[name]}"


def _remarks(run: Facts, reference: Facts) -> dict[str, str]:
    remarks = {}
    if _load(run) != _load(reference):
        remarks["seconds"] = f"seconds at {_load(run)} against {_load(reference)}"
    owners = (("run", run), ("reference", reference))
    estimated = [owner for owner, facts in owners if facts.get("energy_estimated")]
    if estimated:
        remarks["energy"] = f"energy of the {' and of the '.join(estimated)} is an estimate"
    return remarks


def _load(facts: Facts) -> str:
    known = [f"{name.replace('_', ' ')} {facts[name]:g}" for name in _LOADS if name in facts]
    return ", ".join(known) or "an unknown load"
