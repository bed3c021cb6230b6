"""The poses that the Pose Residual Network's hidden units hold: MultiPoseNet's Fig. 2, right.

``python benchmarks/poses.py weights.pt [--clusters 6] [--output poses.png]``: what a hidden unit adds to the output, reshaped to
maps of each keypoint, has its highest cells where that unit's pose has its keypoints. The poses are clustered by k-means whose
nearness is OKS; the means are drawn, the largest cluster first.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bottomup.checkpoint import load_checkpoint
from bottomup.ops.crops import CROP
from bottomup.skeletons import Skeleton
from bottomup.types import People
from bottomup.visualize import contact_sheet, draw_people, save_png

LAST_LAYER = "relate.layers"  # of head prn: the perceptron, whose last Linear has a column for each unit
SCALE = 6  # px a crop cell
BORDER = 8  # px about a crop
_ROUNDS = 100  # k-means ends sooner, when nobody moves


def unit_poses(weight: Tensor, keypoints: int) -> Tensor:
    """(U, K, 2) x, y in crop cells, of the last layer's weight (K · 56 · 36, U)."""
    highest = weight.T.reshape(-1, keypoints, CROP[0] * CROP[1]).argmax(-1)
    return torch.stack((highest % CROP[1], highest // CROP[1]), dim=-1) + 0.5


def likeness(poses: Tensor, means: Tensor, sigmas: Tensor) -> Tensor:
    """OKS (U, C) of poses (U, K, 2) with means (C, K, 2), of people as large as the crop."""
    squared = (poses[:, None] - means).square().sum(-1)
    return torch.exp(-squared / (2 * CROP[0] * CROP[1] * (2 * sigmas) ** 2)).mean(-1)


def cluster(poses: Tensor, count: int, sigmas: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
    """k-means: the means (C, K, 2), and how many poses each has, most first."""
    random = torch.Generator().manual_seed(seed)
    means = poses[_far_apart(poses, count, sigmas, random)]
    nearest = torch.full((len(poses),), -1)
    for _ in range(_ROUNDS):
        before, nearest = nearest, likeness(poses, means, sigmas).argmax(1)
        if torch.equal(before, nearest):
            break
        means = torch.stack([poses[nearest == c].mean(0) if (nearest == c).any() else means[c] for c in range(count)])
    sizes = nearest.bincount(minlength=count)
    order = sizes.argsort(descending=True)
    return means[order], sizes[order]


def _far_apart(poses: Tensor, count: int, sigmas: Tensor, random: torch.Generator) -> list[int]:
    """Where k-means starts: a pose, and others drawn the more likely the less they are like those before (k-means++)."""
    chosen = [int(torch.randint(len(poses), (1,), generator=random))]
    while len(chosen) < count:
        apart = 1 - likeness(poses, poses[chosen], sigmas).amax(1)
        chosen.append(int(torch.multinomial(apart.clamp(min=1e-9).square(), 1, generator=random)))
    return chosen


def draw(means: Tensor, sizes: Tensor, skeleton: Skeleton) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The mean poses side by side on white, in the box that each crop is."""
    height, width = (cells * SCALE for cells in CROP)
    paper = np.full((3, height + 2 * BORDER, width + 2 * BORDER), 255, np.uint8)
    box = np.array([[0, 0, width, height]], np.float32) + BORDER
    pictures = []
    for mean in means:
        pose = (mean[None] * SCALE + BORDER).numpy()
        visible, one = np.full(pose.shape[:2], 2, np.uint8), np.ones(1, np.float32)
        person = People(pose, visible, box, areas=one, labels=np.zeros(1, np.int64), has_mask=np.zeros(1, bool))
        pictures.append(draw_people(paper, person, skeleton))
    return contact_sheet(pictures, columns=len(pictures), titles=[f"{size} units" for size in sizes.tolist()])


def last_weight(path: str) -> tuple[Tensor, Skeleton]:
    """The last layer's weight of a checkpoint's PRN, and its skeleton; SystemExit where it holds none."""
    checkpoint = load_checkpoint(path)
    weights = [w for name, w in checkpoint.weights.items() if LAST_LAYER in name and name.endswith("weight")]
    if not weights or checkpoint.task.skeleton is None:
        raise SystemExit(f"{path} holds no perceptron of a head prn; give a checkpoint of experiment=multiposenet/prn")
    return weights[-1], checkpoint.task.skeleton


def main() -> None:
    """Cluster and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("--clusters", type=int, default=6)
    parser.add_argument("--output", type=Path, default=Path("outputs/poses.png"))
    arguments = parser.parse_args()
    weight, skeleton = last_weight(arguments.weights)
    poses = unit_poses(weight, len(skeleton))
    means, sizes = cluster(poses, arguments.clusters, torch.tensor(skeleton.sigmas))
    print(save_png(arguments.output, draw(means, sizes, skeleton)))


if __name__ == "__main__":
    main()
