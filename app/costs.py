"""What an evaluation cost: tokens, retrievals, seconds and joules a question."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress

import numpy as np

from evaluators.efficiency import transformer_flops
from steper_core.config import ModelSection, ReasoningSection
from steper_core.energy import EnergyMeter, measure_energy
from steper_core.frameworks import framework_named
from steper_core.records import Chain
from steper_core.rundir import RunDir


@contextmanager
def energy_recorded(
    run: RunDir, questions: int = 0, measure: Callable[[], AbstractContextManager[EnergyMeter]] = measure_energy
) -> Iterator[None]:
    """Add the energy of the block to what earlier sessions of the run took, unless this one is killed.

    Where the block ends without an exception, also what each of the `questions` took that it computed. An interrupted
    one has spent energy on chains that it did not finish; resuming computes their whole window again.
    """
    meter, ended = None, False
    try:
        with measure() as meter:
            yield
        ended = True
    finally:
        if meter is not None and meter.energy is not None:
            info, joules = run.info, meter.energy.joules
            facts = {**info.facts, "joules": info.facts.get("joules", 0.0) + joules}
            if ended and questions:
                facts["joules_per_question"] = round(joules / questions, 3)
            facts["energy_estimated"] = float(meter.energy.estimated)
            # Where the disk is full this cannot be written either: the first error is the one to tell.
            with nullcontext() if ended else suppress(OSError):
                run.update(facts=facts, hardware={**info.hardware, "energy_source": meter.energy.source})


def costs_of(
    chains: Sequence[Chain], model: ModelSection, reasoning: ReasoningSection, facts: dict[str, float]
) -> dict[str, float]:
    """Facts of an evaluation run, from its chains and the `facts` known of its model (energy: `energy_recorded`).

    Seconds are each chain's share of the wall time of the batches it was computed in: what a question costs at this
    batch size, not how long a single one would wait.
    """
    count = len(chains)
    if not count:
        return {}
    steps = [step for chain in chains for step in chain.steps]
    # Every step of a framework that retrieves searches once, even where it finds nothing new.
    searches = len(steps) if framework_named(reasoning.framework).retrieves else 0
    seconds = [sum(step.seconds for step in chain.steps) for chain in chains]
    prompts = sum(step.prompt_tokens for step in steps) / count
    outputs = sum(step.output_tokens for step in steps) / count
    p50, p95 = (round(float(value), 4) for value in np.percentile(seconds, [50, 95]))
    costs = {
        "steps_per_question": round(len(steps) / count, 3),
        "retrievals_per_question": round(searches / count, 3),
        "passages_per_question": round(sum(len(step.retrieved) for step in steps) / count, 3),
        "prompt_tokens_per_question": round(prompts, 1),
        "output_tokens_per_question": round(outputs, 1),
        "seconds_per_question": round(sum(seconds) / count, 4),
        "seconds_p50": p50,
        "seconds_p95": p95,
        "batch_size" if model.backend == "local" else "concurrency": float(min(model.batch_size, reasoning.window)),
    }
    if multiplied := facts.get("parameters_multiplied", facts.get("parameters_active")):
        layers, width = facts.get("layers"), facts.get("attention_width")
        shape = (layers, width) if layers and width else ()
        flops = (transformer_flops(multiplied, step.prompt_tokens, step.output_tokens, *shape) for step in steps)
        costs["flops_per_question"] = sum(flops) / count
    return costs
