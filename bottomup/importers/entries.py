"""Published layers whose inputs or outputs stand in another order than ours, or are more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bottomup.importers.published import Published

_OUTPUTS = 0  # the axis of a weight that its bias has, too


@dataclass(frozen=True, eq=False)
class Entries:
    """Of ``count`` entries along an axis of a published layer's weight those that ours has, in its order.

    Where the axis is the first, that of outputs, they are those of the bias as well.
    """

    axis: int
    index: Tensor  # (n,) int64
    count: int

    @property
    def left_out(self) -> list[int]:
        """The entries that ours does not have."""
        return sorted(set(range(self.count)) - set(self.index.tolist()))


def rearranged(published: Published, layers: Mapping[str, Entries]) -> tuple[Published, list[str]]:
    """The same network with the entries that ours has, in its order, of the layers of these names; and what was left out.

    That is told as ``NAME[ENTRIES]``. CheckpointError where a layer is not there, or has another number of entries.
    """
    tensors, left_out = dict(published.tensors), list[str]()
    for layer, entries in layers.items():
        for part in ("weight", "bias") if entries.axis == _OUTPUTS else ("weight",):
            name = f"{layer}.{part}"
            found = published.size(name, entries.axis)
            if found != entries.count:
                raise published.differs(name, f"{entries.count} along axis {entries.axis}", found)
            tensors[name] = tensors[name].index_select(entries.axis, entries.index)
            if entries.left_out:
                left_out.append(f"{published.wrapping}{name}[{','.join(map(str, entries.left_out))}]")
    return replace(published, tensors=tensors), left_out


def permuted(shape: tuple[int, ...], order: tuple[int, ...]) -> Tensor:
    """Where entries that are laid out by the axes of ``shape`` in ``order`` lie among those laid out by ``shape``: (n,)."""
    return torch.arange(torch.Size(shape).numel()).view(shape).permute(order).flatten()
