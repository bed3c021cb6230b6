"""mmpose 0.x: its bottom-up networks, which group keypoints by associative embedding, as checkpoints of ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bottomup.checkpoint import Checkpoint
from bottomup.errors import CheckpointError
from bottomup.importers.bodies import skeleton_of
from bottomup.importers.hourglass import WORDS
from bottomup.importers.hourglass import sizes as hourglass_sizes
from bottomup.importers.hrnet import higher_names
from bottomup.importers.hrnet import sizes as hrnet_sizes
from bottomup.importers.naming import Names, as_checkpoint
from bottomup.importers.published import Published, read_published
from bottomup.types import Task

_OVERRIDES = ("decoder=higherhrnet", "input_size=512", "side=short")
_RESNETS = {6: 50, 23: 101, 36: 152}  # blocks of stride 16 -> layers

_UP: Names = (
    (r"^necks\.preset\.layers\.", "keypoint_head.deconv_layers."),
    (r"^heads\.(heatmap|tags)\.heads\.0\.conv\.", "keypoint_head.final_layer."),
)
_RESNET: Names = ((r"^backbone\.network\.net\.", "backbone."), *_UP)
_HRNET: Names = ((r"^backbone\.network\.", "backbone."), *_UP)
_HIGHER: Names = higher_names("backbone.", "keypoint_head.")
_HOURGLASS: Names = (
    *WORDS,
    (r"^backbone\.hourglasses\.", "backbone.hourglass_modules."),
    (r"^backbone\.merge_features\.", "backbone.remap_feature_convs."),
    (r"^backbone\.merge_predictions\.", "backbone.remap_out_convs."),
    (r"^(backbone\..*)\.0\.(\w+)$", r"\1.conv.\2"),
    (r"^(backbone\..*)\.1\.(\w+)$", r"\1.bn.\2"),
    (r"^heads\.(heatmap|tags)\.heads\.(\d+)\.conv\.", r"backbone.out_convs.\2.conv."),
)
_MOBILENET: Names = (
    (r"^backbone\.network\.(net|top)\.", "backbone."),
    (r"^backbone\.conv_stem\.", "backbone.conv1.conv."),
    (r"^backbone\.bn1\.", "backbone.conv1.bn."),
    (r"^backbone\.conv_head\.", "backbone.conv2.conv."),
    (r"^backbone\.bn2\.", "backbone.conv2.bn."),
    (r"^backbone\.blocks\.0\.0\.conv_dw\.", "backbone.layer1.0.conv.0.conv."),  # of the first block, which does not widen
    (r"^backbone\.blocks\.0\.0\.conv_pw\.", "backbone.layer1.0.conv.1.conv."),
    *((rf"^backbone\.blocks\.{number}\.", f"backbone.layer{number + 1}.") for number in range(7)),
    (r"(\.layer\d\.\d)\.conv_pw\.", r"\1.conv.0.conv."),
    (r"(\.layer\d\.\d)\.conv_dw\.", r"\1.conv.1.conv."),
    (r"(\.layer\d\.\d)\.conv_pwl\.", r"\1.conv.2.conv."),
    (r"(\.layer\d\.\d)\.bn1\.", r"\1.conv.0.bn."),
    (r"(\.layer\d\.\d)\.bn2\.", r"\1.conv.1.bn."),
    (r"(\.layer\d\.\d)\.bn3\.", r"\1.conv.2.bn."),
    *_UP,
)

_DOUBLING = "keypoint_head.deconv_layers.0.0.0.weight"  # of HigherHRNet's finer stage
_FIRST_OUTPUTS = "backbone.out_convs.0.conv.weight"  # of the hourglass


class Network(NamedTuple):
    """One of the networks: which tensor it alone has, how its model is configured, and what its tensors are called."""

    name: str
    has: str
    overrides: Callable[[Published], list[str]]
    names: Names
    outputs: str = "keypoint_head.final_layer.weight"  # heatmaps, then tags
    method: str = "associative_embedding"


def _resnet(published: Published) -> list[str]:
    blocks = len(published.matching(r"backbone\.layer3\.\d+\.conv3\.weight"))
    if blocks not in _RESNETS:
        raise published.differs("backbone.layer3", f"{', '.join(map(str, _RESNETS))} blocks", blocks)
    return [f"backbone=resnet{_RESNETS[blocks]}_deconvolution"]


def _hourglass(published: Published) -> list[str]:
    return ["backbone.batch_norm=before", *hourglass_sizes(published, "backbone.hourglass_modules")]


def _hrnet(published: Published) -> list[str]:
    return hrnet_sizes(published, "backbone.")


NETWORKS = (
    Network("hourglass", _FIRST_OUTPUTS, _hourglass, _HOURGLASS, _FIRST_OUTPUTS),
    Network("HigherHRNet", _DOUBLING, _hrnet, _HIGHER, "keypoint_head.final_layers.0.weight", method="higherhrnet"),
    Network("HRNet", "backbone.stage4.0.branches.0.0.conv1.weight", _hrnet, _HRNET),
    Network("MobileNetV2", "backbone.layer7.0.conv.0.conv.weight", lambda _: ["backbone=mobilenetv2_deconvolution"], _MOBILENET),
    Network("ResNet", "backbone.layer4.0.conv3.weight", _resnet, _RESNET),
)


def import_mmpose(path: str | Path, *, skeleton: str | None = None) -> tuple[Checkpoint, list[str]]:
    """Read a checkpoint of mmpose 0.x; also the names of the tensors that it does not use, of which there are none.

    Its meta data are not read: the network is known by its tensors' names and shapes, the skeleton by their number, or by
    ``skeleton`` where several have as many keypoints, as AIC has CrowdPose's 14. Raises CheckpointError where the file is of
    another network.
    """
    published = read_published(path)
    network = next((network for network in NETWORKS if network.has in published), None)
    if network is None:
        known = ", ".join(network.name for network in NETWORKS)
        first = published.wrapping + next(iter(published.tensors))
        raise CheckpointError(f"{path}: none of mmpose's bottom-up networks, which are {known}; its first tensor is {first}")
    task = Task(skeleton_of(published, network.outputs, skeleton))
    overrides = [f"method={network.method}", *_OVERRIDES, *network.overrides(published)]
    return as_checkpoint(published, overrides, task, network.names), []
