"""How alike people of two frames are: by keypoints, boxes, masks and tags, each a similarity in [0, 1]."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from bottomup.masks import Masks, concatenated
from bottomup.ops.suppression import oks
from bottomup.options import FromZero, checked
from bottomup.types import Instances


@checked("tracker", "cues")
@dataclass(frozen=True, kw_only=True)
class Cues:
    """What each cue weighs; one that a method does not give, or that weighs 0, has no say.

    By default keypoints decide alone where there are any, and masks elsewhere: tags of a network that saw single images change as
    people cross, and masks of people who touch are less theirs than their keypoints are (docs/video.md has the figures).
    ``oks`` is the similarity of keypoints, ``boxes`` and ``masks`` are intersections over unions, ``tags`` is exp(-d²) of the tag
    distance d, the similarity that Associative Embedding's loss pushes below that of strangers (§3.3).
    """

    oks: FromZero = 1.0
    boxes: FromZero = 0.0
    masks: FromZero | None = None  # None: 1 for people without keypoints, else 0
    tags: FromZero = 0.0


def similarity(people: Instances, found: Instances, areas: tuple[Tensor, Tensor], sigmas: Sequence[float], cues: Cues) -> Tensor:
    """(T, P) in [0, 1]: the weighted mean of all cues that people (T) and those found (P), in px of one frame, both have.

    ``areas`` (T,) and (P,) in px² are the scales of OKS: an uncertain place has a larger one. Without any cue nobody is alike.
    """
    total = torch.zeros(len(people), len(found))
    weights = 0.0
    for weight, alike in _similarities(people, found, areas, sigmas, cues):
        total = total + weight * alike
        weights += weight
    return total / weights if weights else total


def _similarities(
    people: Instances, found: Instances, areas: tuple[Tensor, Tensor], sigmas: Sequence[float], cues: Cues
) -> Iterator[tuple[float, Tensor]]:
    """The weight and the similarities (T, P) of each cue that both sides have."""
    posed = people.keypoints.shape[1] > 0
    masks = float(not posed) if cues.masks is None else cues.masks
    if cues.oks and posed:
        yield cues.oks, oks(people.keypoints, found.keypoints, *areas, sigmas)
    if cues.boxes:
        from torchvision.ops import box_iou  # late: it takes seconds

        yield cues.boxes, box_iou(people.boxes, found.boxes).nan_to_num(0.0)
    if masks and people.masks is not None and found.masks is not None:
        yield masks, concatenated((people.masks, found.masks)).overlaps()[: len(people), len(people) :]
    if cues.tags and people.tags is not None and found.tags is not None and people.tags.shape[1] == found.tags.shape[1]:
        yield cues.tags, torch.exp(-(people.tags[:, None] - found.tags[None]).square().sum(-1)).nan_to_num(0.0)


def distance(people: Instances, found: Instances) -> Tensor:
    """(T, P) px: how far apart people and those found are, the median over the keypoints that both have, else of box centres.

    A limb that swings, or a box that an obstacle cuts, then does not count as a step.
    """
    apart = (people.keypoints[:, None] - found.keypoints[None]).square().sum(-1).sqrt()  # (T, P, K)
    middle = apart.nanmedian(-1).values if apart.shape[-1] else apart.new_full(apart.shape[:2], torch.nan)
    return torch.where(middle.isfinite(), middle, torch.cdist(_centres(people), _centres(found)))


def step(before: Instances, after: Instances) -> Tensor:
    """(P, 2) px from each person to the same one in another frame: the median over their common keypoints, else of box centres."""
    moved = after.keypoints - before.keypoints  # (P, K, 2)
    middle = moved.nanmedian(1).values if moved.shape[1] else moved.new_full((len(moved), 2), torch.nan)
    return torch.where(middle.isfinite(), middle, _centres(after) - _centres(before))


def _centres(people: Instances) -> Tensor:
    return (people.boxes[:, :2] + people.boxes[:, 2:]) / 2


def shifted(people: Instances, by: Tensor) -> Instances:
    """People moved each by a step of its own (P, 2) px; masks by whole cells."""
    masks = None if people.masks is None else _shifted(people.masks, by)
    boxes = people.boxes + by.repeat(1, 2)
    return replace(people, keypoints=people.keypoints + by[:, None], boxes=boxes, masks=masks)


def _shifted(masks: Masks, by: Tensor) -> Masks:
    cells = np.rint(np.linalg.solve(masks.to_frame[:, :2], by.double().numpy().T).T).astype(int).tolist()
    return Masks(masks.arrays.shifted(cells))
