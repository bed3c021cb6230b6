"""What was found in one image, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bottomup.grouping.found import Floats, Found
from bottomup.skeletons import Skeleton


@dataclass(frozen=True)
class Prediction:
    """What was found in one image, in the px of ``size``: the fields of ``bottomup.Prediction``, as arrays."""

    instances: Found
    size: tuple[int, int]  # (H, W) of the frame the instances are in
    segmentation: Floats | None = None  # (H, W) probability of the foreground
    image_id: int | None = None
    skeleton: Skeleton | None = None  # of the instances; None: they have no keypoints
    keypoint_threshold: float = 0.0  # of presence: which keypoints are worth showing, those above it

    def numpy(self) -> dict[str, NDArray[Any]]:
        """The instances as named arrays; masks, where there are any, as (P, H, W) bool."""
        named = {f.name: getattr(self.instances, f.name) for f in fields(self.instances) if f.name != "masks"}
        found = {name: np.asarray(value) for name, value in named.items() if value is not None}
        return found if self.instances.masks is None else found | {"masks": self.instances.masks.draw(self.size)}
