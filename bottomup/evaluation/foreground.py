"""The IoU of one class's pixels at every threshold on its probability, counted in one pass."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))


class ThresholdedOverlap:
    """Pixels of the class and others, by the highest of ``thresholds``, ascending, that their probability exceeds."""

    def __init__(self, thresholds: tuple[float, ...] = THRESHOLDS) -> None:
        self.thresholds = thresholds
        self._counts = np.zeros((2, len(thresholds) + 1), np.int64)  # of others and of the class; above how many thresholds

    def add(self, probability: NDArray[np.float32], true: NDArray[np.bool_], counted: NDArray[np.bool_]) -> None:
        """Count one image (H, W): which pixels are of the class, and which count at all."""
        above = np.searchsorted(np.asarray(self.thresholds, np.float32), probability[counted], side="left")
        levels = len(self.thresholds) + 1
        self._counts += np.bincount(true[counted] * levels + above, minlength=2 * levels).reshape(2, levels)

    def iou(self) -> dict[float, float]:
        """The IoU of all that was counted by threshold; NaN where no pixel is of the class."""
        kept = self._counts[:, ::-1].cumsum(1)[:, ::-1][:, 1:]  # (2, T) above each threshold
        positives = int(self._counts[1].sum())
        union = kept[0] + positives
        overlap = kept[1] / union if positives else np.full(len(self.thresholds), np.nan)
        return dict(zip(self.thresholds, overlap.tolist(), strict=True))
