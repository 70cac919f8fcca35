"""Which device and number format to compute with."""

from __future__ import annotations

from pathlib import Path

import torch

from steper_core.errors import UserError


def pick_device(name: str) -> torch.device:
    """The named device; `auto` is CUDA where there is one, else the CPU.

    Raises:
        UserError: the device is unknown, or not on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"unknown device {name!r}; use auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"device {name!r} asked for, but torch sees no GPU here; use device=cpu or auto")
    return device


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """The named format; `auto` is bfloat16 where the hardware computes in it, else float32."""
    if name == "auto":
        name = "bfloat16" if device.type == "cuda" or _cpu_has_bfloat16() else "float32"
    return {"bfloat16": torch.bfloat16, "float32": torch.float32}[name]


def number_format(dtype: str, device: str) -> str:
    """What a named format is on a named device of this machine: bfloat16 or float32."""
    return str(pick_dtype(dtype, pick_device(device))).removeprefix("torch.")


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given, so that clocks can be read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def forget_peak_memory(device: torch.device) -> None:
    """Begin anew to watch for the most device memory in use."""
    # Before the first use of the device there is nothing to forget, and asking for it fails.
    if device.type == "cuda" and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory_bytes(device: torch.device) -> int | None:
    """The most device memory in use since it was last forgotten; None on a CPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


def _cpu_has_bfloat16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
