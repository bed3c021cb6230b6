"""One process or several: rank, world size, and what they must agree on; started by torchrun."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn

from bottomup.ending import end_with_parent
from bottomup.errors import RankError

T = TypeVar("T")

_PATIENCE = datetime.timedelta(hours=12)  # one rank judges, or writes, while all others wait; torch's 10 to 30 minutes end the run
_SOON = datetime.timedelta(seconds=5)
_SAID = "bottomup/said"  # in the store of the processes that were started together: how many had something to say


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
            with _met():
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
            with _met():
                dist.all_gather_object(values, value)
        return values

    def shared(self, value: T) -> T:
        """What the first rank has, on every rank; what others give is left alone."""
        if self.world == 1:
            return value
        values = [value]
        with _met():
            dist.broadcast_object_list(values, src=0)
        return values[0]

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """Every ``world``-th of the items, from the ``rank``-th on: each is one rank's."""
        return items[self.rank :: self.world]

    def in_turn(self, own: Iterable[T], count: int) -> Iterator[T]:
        """What all ranks made of their ``share`` of ``count`` items, one after the other in the items' order, on the first rank.

        Every rank goes through it, at the end of which others have given what they made, and nothing comes there. A rank is at most
        one item ahead, so that no more is held than one of each.
        """
        if self.world == 1:
            yield from own
            return
        made = iter(own)
        for start in range(0, count, self.world):
            mine = [next(made)] if start + self.rank < count else []
            everybodys: list[list[T]] | None = [[] for _ in range(self.world)] if self.first else None
            with _met():
                dist.gather_object(mine, everybodys, dst=0)
            for one in everybodys or []:
                yield from one

    def same(self, module: nn.Module) -> None:
        """Give a module the first rank's weights and buffers: those of batch norm are each rank's own between two steps."""
        if self.world > 1:
            with _met(), torch.no_grad():
                for tensor in (*module.parameters(), *module.buffers()):
                    sent = tensor.contiguous()  # which weights that lie channels last are not
                    dist.broadcast(sent, src=0)
                    tensor.copy_(sent)


@contextmanager
def _met() -> Iterator[None]:
    """Say in one sentence that a rank is gone which this one wants to meet: RankError."""
    try:
        yield
    except RuntimeError as error:  # gloo and NCCL, of the connection
        raise RankError("another rank has ended, and what it said is the reason; this one ends with it") from error


def first_to_say() -> bool:
    """Whether no other of the processes that torchrun started has said why the run ends: one sentence is enough.

    Where something else started them, everybody says it.
    """
    if not from_torchrun():
        return True
    run = f"{_SAID}/{os.environ.get('TORCHELASTIC_RUN_ID')}/{os.environ.get('TORCHELASTIC_RESTART_COUNT')}"
    with contextlib.suppress(Exception):  # torchrun itself may be gone
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        store = dist.TCPStore(address, port, is_master=False, timeout=_SOON)  # type: ignore[attr-defined]
        return bool(store.add(run, 1) == 1)
    return True


def from_torchrun() -> bool:
    """Whether torchrun started this process, with others: it keeps what they tell each other, and says which one failed."""
    return os.environ.get("WORLD_SIZE", "1") != "1" and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


@contextmanager
def ranks(device: str) -> Iterator[Ranks]:
    """Join the processes that torchrun started (RANK, WORLD_SIZE, LOCAL_RANK); alone, a world of one.

    Inside another such context they stay joined, as several trainings of a chain are: they can meet once only.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Ranks(device=torch.device(device))
        return
    if from_torchrun():
        end_with_parent()  # which may be killed, and then ends nobody
    local = int(os.environ.get("LOCAL_RANK", "0"))
    place = torch.device("cuda", local % torch.cuda.device_count()) if device == "cuda" else torch.device(device)
    if place.type == "cuda":
        torch.cuda.set_device(place)
    if dist.is_initialized():
        yield Ranks(dist.get_rank(), world, place)
        dist.barrier()
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        joined = Ranks(dist.get_rank(), world, place)
        yield joined
        joined.wait()  # a rank that leaves first breaks the others' connections
    finally:
        dist.destroy_process_group()
