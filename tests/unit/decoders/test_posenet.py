"""On Google's own maps, what Google's own decoder found."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from bottomup.decoders.posenet import Posenet
from bottomup.errors import ConfigError
from bottomup.geometry import Grid
from bottomup.plan.composing import load_config
from bottomup.plan.model import ModelPlan
from bottomup.skeletons import COCO
from bottomup.types import Frame, Task

GRID = Grid.cornered(16)
EVERYWHERE = torch.tensor([[-1e4, -1e4, 1e4, 1e4]])  # Google's keypoints may lie outside the image


def read(folder: Path, name: str) -> Tensor:
    """A map (h, w, C) as (C, h, w)."""
    return torch.from_numpy(np.load(folder / f"{name}.npy")).permute(2, 0, 1)


def offsets(folder: Path, name: str) -> Tensor:
    """All y before all x, as fields (C, 2, h, w) of x, y."""
    y, x = read(folder, name).chunk(2)
    return torch.stack((x, y), dim=1)


@pytest.mark.parametrize("image", ["coco197388", "coco40083", "coco785"])
def test_google_s_poses_come_out(image: str, shared: Path) -> None:
    folder = shared / f"reference/posenet_{image}_513"
    outputs = {
        "heatmap_logits": read(folder, "heatmap")[None],
        "short_offsets": offsets(folder, "offset")[None],
        "mid_offsets": torch.cat((offsets(folder, "fwd"), offsets(folder, "bwd")))[None],
    }
    reference = json.loads((folder / "poses.json").read_text())
    options = reference["config"]
    decoder = Posenet(
        Task(COCO),
        max_people=options["maxDetections"],
        detection_threshold=options["scoreThreshold"],
        nms_radius=options["nmsRadius"],
    )
    (prediction,) = decoder(outputs, Frame(dict.fromkeys(outputs, GRID), (513, 513), EVERYWHERE))
    instances = prediction.instances
    poses = sorted(reference["poses_network_coords"], key=lambda pose: -pose["score"])
    assert len(instances) == len(poses)
    for index, pose in enumerate(poses):
        points = torch.tensor([[k["position"]["x"] + 0.5, k["position"]["y"] + 0.5] for k in pose["keypoints"]])  # indices
        scores = torch.tensor([k["score"] for k in pose["keypoints"]])
        torch.testing.assert_close(instances.keypoints[index], points, atol=0.01, rtol=0)
        torch.testing.assert_close(instances.keypoint_scores[index], scores, atol=1e-5, rtol=0)
        assert float(instances.scores[index]) == pytest.approx(pose["score"], abs=1e-5)


def test_nothing_gives_nobody() -> None:
    outputs = {
        "heatmap_logits": torch.full((2, 17, 5, 7), -10.0),
        "short_offsets": torch.zeros(2, 17, 2, 5, 7),
        "mid_offsets": torch.zeros(2, 32, 2, 5, 7),
    }
    found = Posenet(Task(COCO))(outputs, Frame(dict.fromkeys(outputs, GRID), (65, 97), torch.tensor([[0.0, 0, 97, 65]] * 2)))
    assert [len(prediction.instances) for prediction in found] == [0, 0]


def test_mid_offsets_that_are_refined_already_are_refused_when_the_model_is_composed() -> None:
    """The remedy that the error names is one, for a model by name as for a checkpoint's."""
    overrides = ["method=personlab", "backbone=mobilenet_v1", "decoder=posenet"]
    with pytest.raises(ConfigError, match=r"refines mid_offsets itself.*; set heads\.mid_offsets\.refine=0"):
        ModelPlan.of(load_config("train", overrides)).compose(Task(COCO))
    _, decoder = ModelPlan.of(load_config("train", [*overrides, "heads.mid_offsets.refine=0"])).compose(Task(COCO))
    assert isinstance(decoder, Posenet)
    saved = load_config("train", overrides[:2])
    for refine, refused in (([], True), (["heads.mid_offsets.refine=0"], False)):
        asked = [overrides[2], *refine]
        merged = ModelPlan.of(load_config("predict", asked)).of_checkpoint(saved, asked)
        with pytest.raises(ConfigError, match="refine=0") if refused else nullcontext():
            merged.compose(Task(COCO))


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="detection_threshold"):
        Posenet(Task(COCO), detection_threshold=1.5)
