"""What of a prediction is worth showing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from bottomup.grouping import shown as grouping
from bottomup.thresholds import Thresholds
from bottomup.types import Instances, Prediction


def shown(prediction: Prediction, thresholds: Thresholds, sigmas: Sequence[float]) -> Prediction:
    """The instances worth showing, in boxes around what is to be seen of them, ``grouping.shown.shown``."""
    left = grouping.shown(prediction.instances.found(), prediction.size, thresholds, sigmas)
    return replace(prediction, instances=Instances.of(left))


def repeated(instances: Instances, thresholds: Thresholds, sigmas: Sequence[float]) -> Tensor:
    """(P,) bool: which of instances, best first and in the boxes of ``shown``, show the person of a better one once more."""
    return torch.from_numpy(grouping.repeated(instances.found(), thresholds, sigmas))
