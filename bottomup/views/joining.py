"""Instances of several views of one image become one set: those that are alike are one person, found by each view anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bottomup.geometry import area_scale, invert
from bottomup.masks import concatenated
from bottomup.ops.suppression import oks
from bottomup.types import Instances, Prediction

_ALIKE = 0.5  # OKS above which instances of two views are one person
_BEST_SEEN = 250.0  # px of a view: a person's size there at which it is trusted most; networks are trained on such people
_LEAST_TRUST = 1e-3  # so that whom one view finds stays, at any size
_LEAST_SIZE = 1.0  # px, of a person of whom one keypoint is there


class _Groups(NamedTuple):
    """Of each of G people the instances that V views have of it."""

    members: Tensor  # (G, V) int64 among all instances; 0 where the view has none
    trust: Tensor  # (G, V) in the members, 0 where the view has none
    total: Tensor  # (G,) in all views, those included that have none


def join_predictions(
    views: Sequence[Prediction],
    to_views: Sequence[NDArray[np.float64]],
    sigmas: Sequence[float],
    suppress: Callable[[Instances], Instances],
) -> Prediction:
    """One image's prediction of those of its views, all in image px, suppressed in px of the first view.

    ``to_views`` (2, 3) each take image px to a view's. Segmentations are averaged.
    """
    scales = [area_scale(to_view) ** 0.5 for to_view in to_views]
    joined = join_views([view.instances for view in views], scales, sigmas)
    left = suppress(joined.transform(to_views[0])).transform(invert(to_views[0]))
    maps = [view.segmentation for view in views if view.segmentation is not None]
    return replace(views[0], instances=left, segmentation=torch.stack(maps).mean(0) if maps else None)


def join_views(views: Sequence[Instances], scales: Sequence[float], sigmas: Sequence[float]) -> Instances:
    """The instances of one image that its views find together, best first; all are in px of one frame.

    ``scales`` are px of each view per px of that frame. Instances of two views are one person where their OKS is above .5: the
    best is taken first, with the most alike of every other view. A view is trusted by the size at which it shows a person, the
    square root of the box: most at 250 px, by e^-½ of that at e times or an e-th of it. So small people come from the finest view
    and large ones from the coarsest. Keypoints and boxes are means weighted by trust and squared score, masks by trust. A score is
    the mean over all views weighted by trust, where one that does not find the person says 0: whom one view alone finds stays,
    behind those whom several agree on. Views that are equal join to what each of them is. Instances without keypoints all stay: who
    is one of them, the decoder's suppression says.
    """
    whole = _concatenated(views)
    if not len(whole):
        return views[0]
    if not whole.keypoints.shape[1]:
        return whole[whole.scores.argsort(descending=True, stable=True)]
    view = torch.cat([torch.full((len(own),), number) for number, own in enumerate(views)])
    groups = _groups(whole, view, torch.tensor(scales), sigmas)
    joined = _averaged(whole, groups)
    return joined[joined.scores.argsort(descending=True, stable=True)]


def _concatenated(views: Sequence[Instances]) -> Instances:
    """The instances of all views, one after the other; masks on the cells of the first."""

    def all_of(name: str) -> Any:
        parts = [getattr(view, name) for view in views]
        return None if any(part is None for part in parts) else torch.cat(parts)

    masks = [view.masks for view in views if view.masks is not None]
    tensors = {entry.name: all_of(entry.name) for entry in fields(Instances) if entry.name != "masks"}
    return Instances(**tensors, masks=concatenated(masks) if len(masks) == len(views) else None)


def _trust(sizes: Tensor) -> Tensor:
    """How far a view is trusted that shows people at ``sizes``, px of its own: in (0, 1], of the same shape."""
    return torch.exp(-(sizes / _BEST_SEEN).log().square() / 2).clamp(min=_LEAST_TRUST)


def _groups(whole: Instances, view: Tensor, scales: Tensor, sigmas: Sequence[float]) -> _Groups:
    """Who is one person, and how far each view is trusted in that."""
    sizes = whole.areas.sqrt().clamp(min=_LEAST_SIZE)
    trust = _trust(sizes * scales[view])
    alike = oks(whole.keypoints, whole.keypoints, whole.areas, whole.areas, sigmas)
    alike = alike * (whole.labels[:, None] == whole.labels)
    best_first = (whole.scores * trust).argsort(descending=True, stable=True)
    members = torch.from_numpy(_greedy(alike.numpy(), view.numpy(), best_first.numpy(), len(scales)))
    there, members = members >= 0, members.clamp(min=0)
    own = trust[members] * there
    size = (own * sizes[members]).sum(1, keepdim=True) / own.sum(1, keepdim=True)
    others = torch.where(there, own, _trust(size * scales))
    return _Groups(members, own, others.sum(1))


def _greedy(alike: NDArray[np.float32], view: NDArray[np.int64], best_first: NDArray[np.int64], views: int) -> NDArray[np.int64]:
    """Groups (G, V) of instances, -1 where a view has none: the best that is left with the most alike of every other view.

    One turn of the loop makes one group; what it takes is not there for the next.
    """
    elsewhere = view != np.arange(views)[:, None]  # (V, N)
    free = np.ones(len(view), bool)
    groups = []
    for best in best_first:
        if not free[best]:
            continue
        near = np.where(elsewhere | ~free, 0.0, alike[best])  # (V, N)
        group = np.where(near.max(1) > _ALIKE, near.argmax(1), -1)
        group[view[best]] = best
        free[group[group >= 0]] = False
        groups.append(group)
    return np.stack(groups)


def _averaged(whole: Instances, groups: _Groups) -> Instances:
    """One instance of each group."""

    def mean(values: Tensor, total: Tensor) -> Tensor:
        weight = groups.trust.view(*groups.trust.shape, *[1] * (values.dim() - 1))
        return (values[groups.members] * weight).sum(1) / total

    scores, total = whole.keypoint_scores, groups.total
    surely = scores.square()
    sure = mean(surely, torch.ones(()))  # (G, K), 0 where no view finds the keypoint
    points = mean(whole.keypoints.nan_to_num() * surely[..., None], sure[..., None])  # NaN there
    found = Instances.of_keypoints(points, mean(scores, total[:, None]), mean(whole.scores, total))
    labels = whole.labels[groups.members.gather(1, groups.trust.argmax(1, keepdim=True))[:, 0]]
    masks = None if whole.masks is None else whole.masks.means(groups.members, groups.trust)
    presence = None if whole.keypoint_presence is None else mean(whole.keypoint_presence, total[:, None])
    found = replace(found, labels=labels, masks=masks, keypoint_presence=presence)
    if whole.box_scores is None:
        return found
    surely = whole.box_scores.square()[:, None]
    boxes = mean(whole.boxes * surely, mean(surely, torch.ones(())).clamp(min=torch.finfo(torch.float32).tiny))
    return replace(found, boxes=boxes, box_scores=mean(whole.box_scores, total))
