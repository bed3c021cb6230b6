"""MultiPoseNet.pytorch, a re-implementation of all of MultiPoseNet but its foreground, as checkpoints of ours."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import torch

from bottomup.checkpoint import Checkpoint
from bottomup.importers.entries import Entries, permuted, rearranged
from bottomup.importers.hdf5 import read_hdf5
from bottomup.importers.naming import Names, as_checkpoint
from bottomup.importers.prn import prn_entries, prn_names, prn_overrides
from bottomup.importers.published import Published
from bottomup.skeletons import COCO
from bottomup.types import Task

# Where COCO's keypoints are among OpenPose's: nose, neck, right arm, left arm, right leg, left leg, eyes, ears, right ones first.
OPENPOSE = (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)
NECK = 1
WITHOUT_NECK = tuple(place - (place > NECK) for place in OPENPOSE)  # as its PRN has them

_BLOCKS = {(3, 4, 6, 3): "resnet50", (3, 4, 23, 3): "resnet101"}
_OVERRIDES = (
    "method=multiposenet",
    "backbone.frozen_batch_norm=true",
    "necks.keypoints.smoothed=sums",
    "necks.keypoints.reduction=linear",
    "~heads.segmentation",
    "heads.proposals.threshold=0.5",
    "heads.proposals.nms=0.5",
    "input_size=480",
    "side=short",
)

_KEYPOINTS, _PEOPLE, _BOXES = (r"^necks\.keypoints\.", r"^necks\.people\.fpn\.", r"^heads\.retinanet\.heads\.0\.head\.")
_NAMES: Names = (
    (rf"{_KEYPOINTS}fpn\.inner_blocks\.3\.0\.", "fpn.toplayer."),
    *((rf"{_KEYPOINTS}fpn\.inner_blocks\.{place}\.0\.", f"fpn.flatlayer{3 - place}.") for place in range(3)),
    *((rf"{_KEYPOINTS}fpn\.layer_blocks\.{place}\.0\.", f"fpn.smooth{3 - place}.") for place in range(3)),
    *((rf"{_KEYPOINTS}reductions\.D{level}\.0\.", f"convt{6 - level}.") for level in (2, 3, 4, 5)),
    *((rf"{_KEYPOINTS}reductions\.D{level}\.1\.", f"convs{6 - level}.") for level in (2, 3, 4, 5)),
    (rf"{_KEYPOINTS}smooth\.0\.", "conv2."),
    *((rf"{_PEOPLE}inner_blocks\.{place}\.0\.", f"fpn.latlayer{3 - place}.") for place in range(3)),
    *((rf"{_PEOPLE}layer_blocks\.{place}\.0\.", f"fpn.toplayer{2 - place}.") for place in range(3)),
    (rf"{_PEOPLE}extra_blocks\.p([67])\.", r"fpn.conv\1."),
    *((rf"^heads\.heatmap\.heads\.{stage}\.conv\.", f"convfin_k{stage + 2}.") for stage in range(4)),
    (r"^heads\.heatmap\.heads\.4\.conv\.", "convfin."),
    *((rf"{_BOXES}(\w+)_head\.conv\.{layer}\.0\.", rf"\1Model.conv{layer + 1}.") for layer in range(4)),
    (rf"{_BOXES}(\w+)_head\.(bbox_reg|cls_logits)\.", r"\1Model.output."),
    *prn_names("prn."),
    (r"^backbone\.network\.net\.", "fpn."),
)


def import_multiposenet(path: str | Path) -> tuple[Checkpoint, list[str]]:
    """Read MultiPoseNet.pytorch's HDF5 file (ResNet-50 or -101) into a checkpoint; also the names of what it does not use.

    Needs h5py (``pip install 'bottomup[hdf5]'``). Raises CheckpointError where the file is another network.

    Differs from the paper, and so from our defaults: the keypoint pyramid smooths sums only, so K5 is not smoothed, and the
    convolutions of D are linear (options of ``keypoint_pyramid``); there is no segmentation; the PRN is its authors', with two
    hidden layers (``import_prn``).

    Differs from our layout, to which the weights are moved: keypoints are OpenPose's 18, of which COCO's 17 are taken and the neck
    is left out; the nineteenth channel of K2 to K5, meant for people's masks, was never trained and is left out, too; D5 stands
    first where the D-levels are joined, ours D2; of a cell's nine anchors those of one ratio stand together, ours of one size.

    Its boxes score 0.5 or more and overlap each other by an IoU of 0.5 at most, as in its evaluation. Differs from that: input
    sides are padded to multiples of 128 px, the stride of P7, theirs to multiples of 32; boxes reach over the image's border where
    people are told apart, theirs are cut there; the short side has 480 px, theirs the height.
    """
    published = read_hdf5(path)
    overrides = [*_OVERRIDES, f"backbone={_network(published)}_fpn", *prn_overrides(published, "prn.")]
    ours, left_out = rearranged(published, _entries())
    return as_checkpoint(ours, overrides, Task(COCO), _NAMES), left_out


def _network(published: Published) -> str:
    """timm's name of the backbone, by how many blocks its stages have."""
    names = published.matching(r"fpn\.layer[1-4]\.\d+\.conv1\.weight")
    blocks = Counter(name.split(".")[1] for name in names)
    found = tuple(blocks[f"layer{stage}"] for stage in (1, 2, 3, 4))
    if found not in _BLOCKS:
        expected = " or ".join(f"{blocks} blocks ({network})" for blocks, network in _BLOCKS.items())
        raise published.differs("fpn.layer1 to layer4", expected, found)
    return _BLOCKS[found]


def _entries() -> dict[str, Entries]:
    """Which of their channels ours are."""
    keypoints = torch.tensor(OPENPOSE)
    supervised = {f"convfin_k{level}": Entries(0, keypoints, 19) for level in (2, 3, 4, 5)}
    joined = torch.arange(512).view(4, 128).flip(0).flatten()  # 128 channels of each D-level
    return supervised | {
        "convfin": Entries(0, keypoints, 18),
        "conv2": Entries(1, joined, 512),
        "regressionModel.output": Entries(0, permuted((3, 3, 4), (1, 0, 2)), 36),  # ratios, scales, sides
        "classificationModel.output": Entries(0, permuted((3, 3), (1, 0)), 9),
        **prn_entries(WITHOUT_NECK, "prn."),
    }
