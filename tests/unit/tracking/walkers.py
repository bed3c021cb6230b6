"""People who walk through frames, as a decoder would find them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from bottomup.skeletons import COCO
from bottomup.types import Instances, Prediction

SIZE = (200, 600)
BODY = torch.from_numpy(np.random.default_rng(1).uniform((-15, -50), (15, 50), (len(COCO), 2))).float()

Path = Callable[[int], float | None]  # a frame to the x of somebody; None: hidden


def person(x: float, y: float = 100.0, seed: int = 0, tremble: float = 0.5) -> Tensor:
    """The keypoints (K, 2) of somebody, each a little off."""
    rng = np.random.default_rng((seed, round(abs(x) * 10)))
    return BODY + torch.tensor([x, y]) + torch.from_numpy(rng.normal(0, tremble, BODY.shape)).float()


def found(points: Sequence[Tensor], tags: Sequence[float] | None = None) -> Instances:
    """Instances of keypoints (K, 2) each, NaN = not found, with tags."""
    keypoints = torch.stack(list(points)) if points else torch.zeros(0, len(COCO), 2)
    instances = Instances.of_keypoints(keypoints, keypoints[..., 0].isfinite().float(), torch.ones(len(keypoints)))
    own = None if tags is None else torch.tensor(list(tags)).view(-1, 1)
    return Instances(**{**vars(instances), "tags": own})


def clip(paths: Sequence[Path], frames: int, tags: Sequence[float] | None = None) -> list[tuple[list[int], Prediction]]:
    """Of each frame who is there, and the prediction that holds them in this order."""
    shown = []
    for frame in range(frames):
        there = [(who, x) for who, path in enumerate(paths) if (x := path(frame)) is not None]
        ids = [who for who, _ in there]
        points = [person(x, seed=who) for who, x in there]
        shown.append((ids, Prediction(found(points, None if tags is None else [tags[who] for who in ids]), SIZE)))
    return shown
