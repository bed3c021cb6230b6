"""One process or several: rank, world size, and what they must agree on; started by torchrun."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")

_PATIENCE = datetime.timedelta(hours=12)  # the first rank validates while all others wait; torch's 10 to 30 minutes end the run


@dataclass(frozen=True)
class Ranks:
    """This process's place among all."""

    rank: int = 0
    world: int = 1
    device: torch.device = torch.device("cpu")

    @property
    def first(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait until every rank has come here."""
        if self.world > 1:
            dist.barrier()

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any rank."""
        if self.world == 1:
            return flag
        shared = torch.tensor(int(flag))  # of the host, which waits for the others' hosts, but for no device
        dist.all_reduce(shared, op=dist.ReduceOp.MAX)
        return bool(shared.item())

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """The mean over ranks."""
        if self.world > 1:
            dist.all_reduce(values)
            values = values / self.world
        return values

    def gather(self, value: T) -> list[T]:
        """The values of all ranks, in their order, on every rank."""
        values = [value] * self.world
        if self.world > 1:
            dist.all_gather_object(values, value)
        return values


@contextmanager
def ranks(device: str) -> Iterator[Ranks]:
    """Join the processes that torchrun started (RANK, WORLD_SIZE, LOCAL_RANK); alone, a world of one.

    Inside another such context they stay joined, as several trainings of a chain are: they can meet once only.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Ranks(device=torch.device(device))
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    place = torch.device("cuda", local) if device == "cuda" else torch.device(device)
    if place.type == "cuda":
        torch.cuda.set_device(place)
    if dist.is_initialized():
        yield Ranks(dist.get_rank(), world, place)
        dist.barrier()
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield Ranks(dist.get_rank(), world, place)
        dist.barrier()  # a rank that leaves first breaks the others' connections
    finally:
        dist.destroy_process_group()
