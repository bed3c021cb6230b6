"""Heatmaps: what they give before they have learned anything."""

from __future__ import annotations

import pytest
import torch

from bottomup.contracts import Level, Source, probability
from bottomup.errors import ConfigError
from bottomup.geometry import Grid
from bottomup.heads.heatmap import Criterion, Heatmap
from bottomup.skeletons import COCO
from bottomup.types import Task

SOURCE = Source({"stack": Level(128, Grid.centred(4))})


@pytest.mark.parametrize(("criterion", "value"), [("mse", 0.0), ("logistic", 0.01)])
def test_started_as_background_it_sees_next_to_nothing_in_large_features(criterion: Criterion, value: float) -> None:
    torch.manual_seed(0)
    features = {"stack": torch.randn(2, 128, 8, 8)}

    def away(head: Heatmap) -> float:
        return float((probability(head(features, {}), "heatmap") - value).detach().abs().max())

    assert away(Heatmap(SOURCE, Task(COCO), criterion=criterion, start="background")) < 0.06
    assert away(Heatmap(SOURCE, Task(COCO), criterion=criterion)) > 0.4


def test_an_unknown_start_is_refused() -> None:
    with pytest.raises(ConfigError, match="start"):
        Heatmap(SOURCE, Task(COCO), start="backgrund")  # type: ignore[arg-type]  # the fault
