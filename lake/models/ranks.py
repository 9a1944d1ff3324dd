"""Ranks: the processes that train together, and the few words that they exchange."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Generator
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from lake.models import chip


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those that train together."""

    rank: int
    world: int
    local_world: int
    device: torch.device

    def total(self, *values: float) -> list[float]:
        """The sums over all ranks."""
        if self.world == 1:
            return list(values)
        together = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(together)
        return together.tolist()

    def from_first(self, *values: float) -> list[float]:
        """What rank 0 has."""
        if self.world == 1:
            return list(values)
        told = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.broadcast(told, 0)
        return told.tolist()

    def gathered(self, rows: Tensor, most: int) -> Tensor:
        """The rows of all ranks, one rank after the other; each has `most` at most. Rows that begin with -1 fall out."""
        if self.world == 1:
            return rows
        padded = torch.full((most, rows.shape[1]), -1, dtype=rows.dtype, device=self.device)
        padded[: len(rows)] = rows.to(self.device)
        parts = [torch.empty_like(padded) for _ in range(self.world)]
        dist.all_gather(parts, padded)
        together = torch.cat(parts).cpu()
        return together[together[:, 0] >= 0]

    def wait(self) -> None:
        """Go on when all are here."""
        if self.world > 1:
            dist.barrier()


@contextlib.contextmanager
def joined() -> Generator[Ranks]:
    """The process group that the launcher's environment describes; no group when this process is alone."""
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    local, local_world = int(os.environ.get("LOCAL_RANK", rank)), int(os.environ.get("LOCAL_WORLD_SIZE", world))
    device = chip.device(local)
    if device.type == "cuda" and torch.cuda.device_count() < local_world:
        device = torch.device("cpu")  # NCCL wants a GPU for each process of a machine; whoever launched us asked for too many
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if world > 1:
        # 10 minutes: longer than any evaluation or save of one rank, shorter than a night
        limit = datetime.timedelta(minutes=10)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=limit)
    try:
        yield Ranks(rank, world, local_world, device)
    finally:
        if world > 1:
            dist.destroy_process_group()
