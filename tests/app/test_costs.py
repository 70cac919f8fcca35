"""What an evaluation cost, from chains worked out by hand."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from app.costs import costs_of, energy_recorded
from steper_core.config import FrameworkName, ModelSection, ReasoningSection
from steper_core.energy import Energy, EnergyMeter
from steper_core.errors import UserError
from steper_core.records import Chain, Retrieved, Step, StopReason, ability_of
from steper_core.run_records import RunInfo, RunKind
from steper_core.rundir import RunDir, open_run

MODEL = ModelSection(batch_size=8)
REASONING = ReasoningSection(window=4)


def chain(key: str, seconds: Sequence[float], prompt: int = 100, output: int = 10) -> Chain:
    steps = tuple(
        Step(
            number=number,
            ability=ability_of(number, len(seconds)),
            query="q",
            retrieved=(Retrieved(passage_id=f"{key}{number}", rank=1, score=1.0),),
            rationale="r",
            prompt_tokens=prompt,
            output_tokens=output,
            seconds=own,
            duplicates=0,
        )
        for number, own in enumerate(seconds, start=1)
    )
    return Chain(question_id=key, steps=steps, answer="x", stop_reason=StopReason.ANSWERED)


def test_costs_are_means_a_question_and_quantiles_of_seconds() -> None:
    costs = costs_of([chain("a", [1.0, 2.0]), chain("b", [5.0])], MODEL, REASONING, {})
    assert costs == {
        "steps_per_question": 1.5,
        "retrievals_per_question": 1.5,
        "passages_per_question": 1.5,
        "prompt_tokens_per_question": 150.0,
        "output_tokens_per_question": 15.0,
        "seconds_per_question": 4.0,
        "seconds_p50": 4.0,
        "seconds_p95": 4.9,  # 3 + 0.95 x (5 - 3)
        "batch_size": 4.0,  # no more than advance together
    }


@pytest.mark.parametrize(("framework", "retrievals"), [("rag", 1.0), ("closed-book", 0.0)])
def test_a_question_answered_without_retrieval_costs_none(framework: FrameworkName, retrievals: float) -> None:
    costs = costs_of([chain("a", [1.0]), chain("b", [2.0])], MODEL, ReasoningSection(framework=framework), {})
    assert costs["retrievals_per_question"] == retrievals


def test_a_servers_requests_at_once_are_its_concurrency() -> None:
    costs = costs_of([chain("a", [1.0])], ModelSection(backend="openai", batch_size=2), REASONING, {})
    assert costs["concurrency"] == 2.0 and "batch_size" not in costs


@pytest.mark.parametrize(
    ("facts", "operations"),
    [
        # Three calls for two questions, each of 110 tokens of 2 x 10^6 operations.
        ({"parameters_active": 1e6}, 1.5 * 2 * 1e6 * 110),
        ({"parameters_active": 1e6, "parameters_multiplied": 6e5}, 1.5 * 2 * 6e5 * 110),
        ({"parameters_active": 1e6, "layers": 2.0, "width": 8.0}, 1.5 * 2 * 1e6 * 110),
        # Tokens look at 110 x 111 / 2 tokens, each look 4 x layers x width of the attention.
        (
            {"parameters_active": 1e6, "layers": 2.0, "width": 8.0, "attention_width": 16.0},
            1.5 * (2 * 1e6 * 110 + 6_105 * 4 * 2 * 16),
        ),
    ],
)
def test_operations_are_of_the_parameters_multiplied_and_of_attention(
    facts: dict[str, float], operations: float
) -> None:
    costs = costs_of([chain("a", [1.0]), chain("b", [1.0, 1.0])], MODEL, REASONING, facts)
    assert costs["flops_per_question"] == operations


def test_no_chain_costs_nothing() -> None:
    assert costs_of([], MODEL, REASONING, {}) == {}


@contextmanager
def fifteen_joules() -> Iterator[EnergyMeter]:
    meter = EnergyMeter()
    try:
        yield meter
    finally:
        meter.energy = Energy(15.0, "a fake")


def session(folder: Path, questions: int, error: BaseException | None = None) -> RunInfo:
    """What a run says after one more session of 15 joules, which ends with `error`, if any."""
    with (
        suppress(KeyboardInterrupt),
        open_run(folder, kind=RunKind.EVALUATE, config={}, dataset="d", model="m") as run,
        energy_recorded(run, questions, fifteen_joules),
    ):
        if error:
            raise error
    return RunDir(folder).info


def test_energy_of_all_sessions_adds_up_and_that_of_a_question_is_of_the_one_that_ended(tmp_path: Path) -> None:
    interrupted = session(tmp_path / "r", 8, KeyboardInterrupt())
    assert interrupted.facts == {"joules": 15.0, "energy_estimated": 1.0}
    resumed = session(tmp_path / "r", 4)
    assert resumed.facts == {"joules": 30.0, "joules_per_question": 3.75, "energy_estimated": 1.0}
    assert resumed.hardware["energy_source"] == "a fake"


class FullDisk(RunDir):
    def update(self, **changes: object) -> RunInfo:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_where_energy_cannot_be_written_the_first_error_is_the_one_to_tell(tmp_path: Path) -> None:
    session(tmp_path / "r", 0)
    full = FullDisk(tmp_path / "r")
    with pytest.raises(UserError, match="make room"), energy_recorded(full, 0, fifteen_joules):
        raise UserError("make room")
    with pytest.raises(OSError, match="No space"), energy_recorded(full, 0, fifteen_joules):
        pass


def test_a_block_that_answers_no_questions_has_no_energy_of_one(tmp_path: Path) -> None:
    assert session(tmp_path / "r", 0).facts == {"joules": 15.0, "energy_estimated": 1.0}
