"""What published networks compute, their imported ones compute: names, shapes, order of keypoints, normalisation, all of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from bottomup.importers.kinds import import_file, kind_of
from bottomup.model import PoseModel
from bottomup.predictor import Predictor
from bottomup.types import Outputs
from tests.unit.importers import published
from tests.unit.importers.published import Reference, Tensors

TOLERANCE = 1e-4  # of an output's largest absolute value


class Case(NamedTuple):
    """How a network's file is written, what it is recognised as, and whose keypoints it finds."""

    written: Callable[[Tensors], Mapping[str, object]]
    kind: str
    skeleton: str = "coco"


NETWORKS = {
    "pose_ae_train": Case(published.as_pose_ae, "pose_ae"),
    "mmpose_hourglass_ae": Case(published.as_mmpose, "mmpose"),
    "mmpose_hrnet_w32": Case(published.as_mmpose, "mmpose"),
    "mmpose_hrnet_w48": Case(published.as_mmpose, "mmpose"),
    "mmpose_higherhrnet_w32": Case(published.as_mmpose, "mmpose"),
    "mmpose_higherhrnet_w48": Case(published.as_mmpose, "mmpose"),
    "mmpose_higherhrnet_w32_crowdpose": Case(published.as_mmpose, "mmpose", "crowdpose"),
    "mmpose_higherhrnet_w32_wholebody": Case(published.as_mmpose, "mmpose", "coco_wholebody"),
    "mmpose_mobilenetv2": Case(published.as_mmpose, "mmpose"),
    "mmpose_res50": Case(published.as_mmpose, "mmpose"),
    "mmpose_res101": Case(published.as_mmpose, "mmpose"),
    "mmpose_res152": Case(published.as_mmpose, "mmpose"),
    "higher_hrnet_w32": Case(published.as_half, "higherhrnet"),
    "higher_hrnet_w48": Case(published.as_higherhrnet, "higherhrnet"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_published_network_computes_what_its_authors_code_does(name: str, shared: Path, tmp_path: Path) -> None:
    """And is a network that people are found with."""
    reference, case = Reference.of(shared, name), NETWORKS[name]
    file = tmp_path / "published.pth"
    torch.save(case.written(reference.tensors()), file)
    assert kind_of(file) == case.kind
    checkpoint, unused = import_file(file)
    file.unlink()  # half a gigabyte, some of them
    assert unused == []
    assert checkpoint.task.skeleton is not None and checkpoint.task.skeleton.name == case.skeleton
    model, decoder = published.built(checkpoint)
    with torch.no_grad():
        given = maps_by_stage(model, reference.image)
    expected = list(reference.outputs.values()) if len(reference.outputs) > 1 else authors_stages(*reference.outputs.values())
    assert [maps.shape for maps in given] == [maps.shape for maps in expected]
    for ours, theirs in zip(given, expected, strict=True):
        assert (ours - theirs).abs().max() <= TOLERANCE * theirs.abs().max()
    predictor = Predictor(model, decoder, input_size=64, side=checkpoint.config["side"], score_threshold=0.0)
    people = predictor(reference.image[:, :96, :64].permute(1, 2, 0).numpy()).instances
    assert people.keypoints.shape[1] == len(checkpoint.task.skeleton)


def maps_by_stage(model: PoseModel, image: Tensor) -> list[Tensor]:
    """Heatmaps, then tags where a stage has them, (1, C, h, w), of each stage."""
    return [torch.cat([maps.flatten(1, -3) for maps in own(stage)], dim=1) for stage in model(image[None], stages="all")]


def own(stage: Outputs) -> list[Tensor]:
    """A stage's heatmap and tags; the last one has those of a coarser stage as well, where they are what is predicted."""
    maps = [stage[key] for key in ("heatmap", "tags") if key in stage]
    return [one for one in maps if one.shape[-2:] == maps[0].shape[-2:]]


def authors_stages(maps: Tensor) -> list[Tensor]:
    """The single output of a reference by stages, which lie along the second of five axes."""
    return list(maps.unbind(1)) if maps.dim() == 5 else [maps]
