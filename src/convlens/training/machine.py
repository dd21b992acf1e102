"""What this machine is, and how much of it this process may use."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import torch

from convlens.data import Batches, memory_bytes, usable_cpus
from convlens.errors import UsageError

BF16_FLAGS = ("amx_bf16", "avx512_bf16")


def cpu_flags() -> frozenset[str]:
    """Those instruction sets that decide about speed, as /proc/cpuinfo names them; empty where it is unknown."""
    interesting = {"avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8"}
    return frozenset(interesting & set(_cpuinfo("flags").split()))


def _cpuinfo(name: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")


def has_fast_bf16() -> bool:
    """Without these units a bf16 convolution is several times slower than a float32 one (oneDNN's data-type notes)."""
    return any(flag in cpu_flags() for flag in BF16_FLAGS)


def choose_device(asked: str) -> torch.device:
    """auto, cpu, cuda, cuda:1, mps … Raises UsageError when this machine does not have it."""
    if asked == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(asked)
        torch.zeros(1, device=device).item()  # on the meta device there is nothing to read
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"--device {asked} cannot be used here ({reason}); try --device auto") from error
    return device


def device_bytes(device: torch.device) -> int:
    """Memory of a device: the CPU's is what this process may use."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return memory_bytes()


def nearest_to(device: torch.device, batches: Batches) -> Batches:
    """Made by a GPU itself where the set is no more than a quarter of its memory."""
    is_there = device.type == "cuda" and batches.num_bytes <= device_bytes(device) // 4
    return batches.on(device) if is_there else batches


def describe_machine() -> dict[str, Any]:
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _cpuinfo("model name") or platform.processor() or "unknown",
        "cpus": usable_cpus(),
        "flags": sorted(cpu_flags()),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
