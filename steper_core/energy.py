"""How much energy a piece of work took: read from the hardware where it tells, else estimated and marked so."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_SECONDS_BETWEEN_READINGS = 5
_JOULES_PER_KWH = 3.6e6
_MEASURED = {"intel_rapl": "RAPL", "windows_emi": "RAPL", "intel_power_gadget": "Power Gadget"}
"""codecarbon's ways of reading a processor that are no estimates."""


@dataclass(frozen=True)
class Energy:
    """Joules of processor, memory and GPU, and where the figure comes from.

    `estimated`: the processor's share (and the GPU's, if there is one) was computed from load and a table of nominal
    powers. Memory is always a constant for its size.
    """

    joules: float = 0.0
    source: str = ""
    estimated: bool = True


class EnergyMeter:
    """Holds what was measured once its block has ended."""

    energy: Energy | None = None


@contextmanager
def measure_energy() -> Iterator[EnergyMeter]:
    """Measure the block with codecarbon, which reads NVML and RAPL where it may and estimates where not.

    The machine is measured as a whole: other work on it counts too. Nothing is written or sent anywhere. A machine on
    which nothing can be measured or estimated gives None.
    """
    meter = EnergyMeter()
    tracker = _start()
    try:
        yield meter
    finally:
        meter.energy = _stop(tracker) if tracker is not None else None


def _start() -> Any:
    from codecarbon import OfflineEmissionsTracker

    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
    try:
        # Which country only matters for grams of carbon, which nobody asks for here; given, nothing is looked up.
        tracker = OfflineEmissionsTracker(
            country_iso_code="FRA",
            measure_power_secs=_SECONDS_BETWEEN_READINGS,
            tracking_mode="machine",
            output_methods=[],
            allow_multiple_runs=True,
            log_level="critical",
        )
        tracker.start()
    except Exception:  # drivers fail in many ways, and a run is worth more than its energy figure
        return None
    return tracker


def _stop(tracker: Any) -> Energy | None:
    try:
        tracker.stop()
        joules = float(tracker.final_emissions_data.energy_consumed) * _JOULES_PER_KWH
        hardware = [(type(part).__name__, getattr(part, "_mode", "")) for part in tracker._hardware]
    except Exception:
        return None
    return Energy(joules, *_source(hardware))


def _source(hardware: list[tuple[str, str]]) -> tuple[str, bool]:
    """Where the figure comes from, and whether part of it is estimated; `hardware` are codecarbon's kinds and modes."""
    modes = [mode for kind, mode in hardware if kind == "CPU"]
    measured = [_MEASURED[mode] for mode in modes if mode in _MEASURED]
    gpus = ["NVML"] if any(kind == "GPU" for kind, _ in hardware) else []
    estimated = len(measured) < max(1, len(modes))
    return " + ".join([*measured, *gpus, *(["estimate by codecarbon"] if estimated else [])]), estimated
