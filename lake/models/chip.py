"""What this machine computes well: bf16 or not, on which device, with how many threads."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

import torch


def device(local_rank: int = 0) -> torch.device:
    """The GPU of this local rank, or the CPU."""
    return torch.device("cuda", local_rank % torch.cuda.device_count()) if torch.cuda.is_available() else torch.device("cpu")


@cache
def has_bf16(kind: str) -> bool:
    """Whether the device multiplies bf16 in hardware; elsewhere autocast to it is slower than fp32."""
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if platform.system() == "Linux" and (facts := Path("/proc/cpuinfo")).is_file():
        flags = next(
            (line.split() for line in facts.read_text().splitlines() if line.lower().startswith(("flags", "features"))),
            [],
        )
        return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags))  # the last is ARM's word
    return False


def threads(processes_here: int) -> int:
    """Threads for each of the processes on this machine: more of them than cores wait for each other at every layer."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // max(1, processes_here))
