"""Linear layers whose weights are read as whole numbers of eight bits, a quarter of what float32 takes to read."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LARGEST = 127  # of eight bits, the same on both sides of 0


class Int8Linear(nn.Linear):
    """A linear layer that predicts, on a CPU, from weights and inputs that are rounded to eight bits.

    Every output has a scale of its own, and so has every row of the input, found anew: the greatest of either is 127. Products are
    added up exactly. The rounded weights are kept beside those of float32, and made anew where these have changed. In training, on
    other devices and in exported graphs the layer is ``nn.Linear``.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self._rounded: tuple[tuple[int, int], Tensor, Tensor] | None = None  # of which weights, (in, out) int8, (out,) scales

    def forward(self, input: Tensor) -> Tensor:
        """(…, in) to (…, out)."""
        if self.training or input.device.type != "cpu" or torch.compiler.is_compiling():
            return F.linear(input, self.weight, self.bias)
        weight, scales = self._weights()
        rows, row_scales = rounded(input.reshape(-1, self.in_features).float())
        found = torch._int_mm(rows, weight).float().mul_(row_scales).mul_(scales).add_(self.bias)
        return found.view(*input.shape[:-1], self.out_features)

    def _weights(self) -> tuple[Tensor, Tensor]:
        of = (self.weight.data_ptr(), self.weight._version)
        if self._rounded is None or self._rounded[0] != of:
            values, scales = rounded(self.weight.detach())
            self._rounded = of, values.t(), scales[:, 0]
        return self._rounded[1:]


def rounded(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (N, D) as int8 and what each counts, (N, 1): ``values * scales`` is the rows, but for half a scale; of zeros it is 1."""
    most = rows.abs().amax(1, keepdim=True)
    scales = torch.where(most > 0, most, 1.0) / _LARGEST
    return (rows / scales).round().to(torch.int8), scales
