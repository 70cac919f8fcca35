"""Energy: a figure above zero for work, and a name for where it comes from."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from steper_core.energy import _source, measure_energy


def test_work_takes_energy_and_nothing_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with measure_energy() as meter:
        end = time.perf_counter() + 0.3
        while time.perf_counter() < end:
            pass
    assert meter.energy is not None
    assert meter.energy.joules > 0
    assert meter.energy.estimated == ("estimate" in meter.energy.source)
    assert list(tmp_path.iterdir()) == []


def test_an_exception_of_the_work_comes_through_and_is_measured() -> None:
    with pytest.raises(ZeroDivisionError), measure_energy() as meter:
        raise ZeroDivisionError
    assert meter.energy is not None


@pytest.mark.parametrize(
    ("hardware", "source", "estimated"),
    [
        ([("RAM", ""), ("CPU", "intel_rapl")], "RAPL", False),
        ([("RAM", ""), ("CPU", "intel_rapl"), ("GPU", "")], "RAPL + NVML", False),
        ([("RAM", ""), ("CPU", "cpu_load"), ("GPU", "")], "NVML + estimate by codecarbon", True),
        ([("RAM", "")], "estimate by codecarbon", True),
    ],
)
def test_the_source_says_what_was_read_and_what_estimated(
    hardware: list[tuple[str, str]], source: str, estimated: bool
) -> None:
    assert _source(hardware) == (source, estimated)
