"""Linear layers whose weights are read as whole numbers of eight bits, a quarter of what float32 takes to read."""

from __future__ import annotations

from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

_LARGEST = 127  # of eight bits, the same on both sides of 0
_AT_ONCE = 32  # inputs that PyTorch's kernels read at a time, the last of fewer from what lies behind them in memory
_FEW = 16  # rows that a processor without instructions for products of eight bits is faster with from rounded weights


class Int8Linear(nn.Linear):
    """A linear layer that predicts, on a CPU, from weights that are rounded to eight bits.

    Every output has a scale of its own: the greatest of its weights is 127. Where the processor has instructions for it (VNNI) the
    inputs are rounded so as well, each row anew, and products are added up exactly. Elsewhere few rows meet the rounded weights as
    bfloat16, and for more than 16 those of float32 are as fast. The rounded weights are kept beside those of float32, where no copy
    and no pickle has them, and made anew where these have changed or gradients were asked for in between, unless in place of
    ``weight.data``: torch does not count those. In training and wherever a gradient is asked for, of weights that are not float32,
    were made in inference mode or whose inputs are no multiple of 32, on other devices and in exported graphs the layer is
    ``nn.Linear``.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self._rounded: tuple[tuple[object, ...], Tensor, Tensor] | None = None  # of which, (out, in) int8, (out,) scales

    def train(self, mode: bool = True) -> Self:
        """Into training, in which fused optimisers change weights without torch's counting it, or out of it."""
        if mode:
            self._rounded = None
        return super().train(mode)

    def forward(self, input: Tensor) -> Tensor:
        """(…, in) to (…, out)."""
        if not self._predicts(input):
            if torch.is_grad_enabled() and not torch.compiler.is_compiling():  # who asks for gradients may take a step
                self._rounded = None
            return F.linear(input, self.weight, self.bias)
        rows = input.reshape(-1, self.in_features).float()
        if torch.cpu._is_vnni_supported():
            found = self._exact_sums(rows)
        elif len(rows) <= _FEW:
            found = self._from_rounded(rows)
        else:
            found = F.linear(rows, self.weight, self.bias)
        return found.view(*input.shape[:-1], self.out_features)

    def _predicts(self, input: Tensor) -> bool:
        """Whether eight bits will do: rounding has no gradient."""
        if self.training or torch.compiler.is_compiling() or input.device.type != "cpu":
            return False
        if self.weight.dtype != torch.float32 or self.in_features % _AT_ONCE:
            return False
        if self.weight.is_inference():  # which does not count its changes
            return False
        return not (torch.is_grad_enabled() and (input.requires_grad or self.weight.requires_grad))

    def _exact_sums(self, rows: Tensor) -> Tensor:
        """Of weights and rows (N, in) of eight bits."""
        weight, scales = self._weights()
        values, row_scales = rounded(rows)
        return torch._int_mm(values, weight.t()).float().mul_(row_scales).mul_(scales).add_(self.bias)

    def _from_rounded(self, rows: Tensor) -> Tensor:
        """Of weights of eight bits and rows (N, in) as they are, but for bfloat16."""
        weight, scales = self._weights()
        found = torch._weight_int8pack_mm(rows.bfloat16().contiguous(), weight, torch.ones_like(scales, dtype=torch.bfloat16))
        return found.float().mul_(scales).add_(self.bias)

    def _weights(self) -> tuple[Tensor, Tensor]:
        memory = StorageWeakRef(self.weight.untyped_storage())  # an address would be that of the next weights, once these are freed
        of = (memory, self.weight.storage_offset(), self.weight.stride(), self.weight._version)
        kept = self._rounded  # once: another thread may forget it
        if kept is None or kept[0] != of:
            values, scales = rounded(self.weight.detach())
            self._rounded = kept = of, values, scales[:, 0]
        return kept[1:]

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles have."""
        return vars(self) | {"_rounded": None}


def rounded(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (N, D) as int8 and what each counts, (N, 1): ``values * scales`` is the rows, but for half a scale.

    Of a row of zeros it is 1 / 127; of one that is not finite it is not, either.
    """
    most = rows.abs().amax(1, keepdim=True)
    scales = torch.where(most == 0, 1.0, most) / _LARGEST
    return (rows / scales).round().to(torch.int8), scales
