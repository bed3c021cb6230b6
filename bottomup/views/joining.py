"""Instances of several views of one image become one set: those that are alike are one person, found by each view anew."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bottomup.geometry import area_scale, invert
from bottomup.masks import Masks, concatenated
from bottomup.ops.suppression import oks, oks_nms
from bottomup.types import Instances, Prediction
from bottomup.views.found import Found, seen_whole, without_cut

_ALIKE = 0.5  # OKS above which instances of two views are one person
_BEST_SEEN = 250.0  # px of a view: a person's size there at which it is trusted most; networks are trained on such people
_LEAST_TRUST = 1e-3  # so that whom one view finds stays, at any size
_LEAST_VOTE = 1e-9  # of those without a vote, so that whom they alone find stays, behind all others
_LEAST_SIZE = 1.0  # px, of a person of whom one keypoint is there


class _Shown(NamedTuple):
    """How each of V views shows the image, and how much its word counts."""

    scales: Tensor  # (V,) px of the view per px of the image
    regions: Tensor  # (V, 4) xyxy px of the image
    votes: Tensor  # (V,)

    def trust(self, sizes: Tensor, view: Tensor | slice = slice(None)) -> Tensor:
        """How far views are trusted in people of ``sizes``, px of the image; of the same shape, the last axis is that of views."""
        return _trust(sizes * self.scales[view]) * self.votes[view]


class _Groups(NamedTuple):
    """Of each of G people the instances that V views have of it."""

    members: Tensor  # (G, V) int64 among all instances; 0 where the view has none
    trust: Tensor  # (G, V) in the members, 0 where the view has none
    counted: Tensor  # (G, V) in all views, those included that have none; 0 where a view does not show the person


def join_predictions(
    found: Sequence[Found], sigmas: Sequence[float], suppress: Callable[[Instances], Instances], nms: bool = False
) -> Prediction:
    """One image's prediction, in its px, of what its views find, the first of which shows it whole.

    Whom the border of a crop cuts is left out where a view shows somebody whole in that place. The others are joined by
    ``join_views``, then suppressed in px of the first view; or, with ``nms``, they are gathered by score times vote, and whose OKS
    to a better one is above .5 is left out, as MultiPoseNet joins networks and crops (§4.2). Segmentations are averaged where they
    are shown.
    """
    first = found[0].prediction
    if len(found) == 1:
        return first
    views, regions = [own.instances for own in found], torch.tensor([own.region(first.size) for own in found])
    if any(own.window is not None for own in found):
        views = without_cut(views, regions)
    votes = torch.tensor([own.vote for own in found]).clamp(min=_LEAST_VOTE)
    if nms and sigmas:
        heard = [replace(view, scores=view.scores * vote) for view, vote in zip(views, votes, strict=True)]
        gathered = _best_first(_concatenated(heard))
        left = gathered[oks_nms(gathered, sigmas, _ALIKE)]
    else:
        to_view, scales = found[0].to_view, [area_scale(own.to_view) ** 0.5 for own in found]
        joined = join_views(views, scales, sigmas, regions, votes)
        left = suppress(joined.transform(to_view)).transform(invert(to_view))
    return replace(first, instances=left, segmentation=_mean_segmentation(found))


def join_views(
    views: Sequence[Instances],
    scales: Sequence[float],
    sigmas: Sequence[float],
    regions: Tensor | None = None,
    votes: Tensor | None = None,
) -> Instances:
    """The instances of one image that its views find together, best first; all are in px of one frame.

    ``scales`` are px of each view per px of that frame, ``regions`` (V, 4) the parts xyxy of it that views show, None all of it;
    ``votes`` (V,), above 0, by which each view's trust is multiplied, None all alike.
    Instances of two views are one person where their OKS is above .5: the best is taken first, with the most alike of every other
    view. A view is trusted by the size at which it shows a person, the square root of the box: most at 250 px, by e^-½ of that at
    e times or an e-th of it. So small people come from the finest view and large ones from the coarsest. Keypoints and boxes are
    means weighted by trust and squared score, masks by trust. A score is the mean over all views that show the person's box,
    weighted by trust, where one that does not find the person says 0: whom one view alone finds stays, behind those whom several
    agree on. Boxes, their scores and masks come from those views that find such; who is found by none of these has the box around
    the keypoints, which scores 0, and an empty mask. Views that are equal join to what each of them is. Instances without
    keypoints all stay: who is one of them, the decoder's suppression says.
    """
    whole = _concatenated(views)
    if not len(whole):
        return views[0]
    if not whole.keypoints.shape[1]:
        return _best_first(whole)
    view = torch.cat([torch.full((len(own),), number) for number, own in enumerate(views)])
    shown = torch.tensor([[-math.inf, -math.inf, math.inf, math.inf]] * len(views)) if regions is None else regions
    heard = torch.ones(len(views)) if votes is None else votes
    groups = _groups(whole, view, _Shown(torch.tensor(scales), shown, heard), sigmas)
    boxed = torch.tensor([own.box_scores is not None for own in views])
    return _best_first(_averaged(whole, groups, boxed))


def _best_first(instances: Instances) -> Instances:
    return instances[instances.scores.argsort(descending=True, stable=True)]


def _mean_segmentation(found: Sequence[Found]) -> Tensor | None:
    """The mean probability (H, W) of the views at each px that they show; None where no view has any."""
    size, maps = found[0].prediction.size, [(own.window, own.prediction.segmentation) for own in found]
    total, count = torch.zeros(size), torch.zeros(size)
    for window, own in maps:
        if own is not None:
            there = (slice(None), slice(None)) if window is None else (slice(window.y1, window.y2), slice(window.x1, window.x2))
            total[there] += own
            count[there] += 1
    return total / count.clamp(min=1) if any(own is not None for _, own in maps) else None


def _concatenated(views: Sequence[Instances]) -> Instances:
    """The instances of all views, one after the other; masks on the cells of the first that has some.

    Where some views find masks or boxes, those of others are empty or score 0; where some tell presence, others' is the score.
    Tags stay where all have as many numbers: those of other lengths are of other networks, and cannot be compared.
    """
    masked = [view.masks for view in views if view.masks is not None]
    told = {name: any(getattr(view, name) is not None for view in views) for name in ("box_scores", "keypoint_presence")}
    comparable = len({None if view.tags is None else view.tags.shape[1] for view in views}) == 1

    def whole(view: Instances) -> Instances:
        box_scores = torch.zeros(len(view)) if view.box_scores is None and told["box_scores"] else view.box_scores
        presence = view.presence if told["keypoint_presence"] else None
        masks = Masks.none(len(view), masked[0].to_frame) if view.masks is None and masked else view.masks
        tags = view.tags if comparable else None
        return replace(view, box_scores=box_scores, keypoint_presence=presence, masks=masks, tags=tags)

    def all_of(name: str) -> Any:
        parts = [getattr(view, name) for view in filled]
        return None if any(part is None for part in parts) else torch.cat(parts)

    filled = [whole(view) for view in views]
    tensors = {entry.name: all_of(entry.name) for entry in fields(Instances) if entry.name != "masks"}
    masks = [masked[0][:0], *(view.masks for view in filled if view.masks is not None)] if masked else []
    return Instances(**tensors, masks=concatenated(masks) if masks else None)


def _trust(sizes: Tensor) -> Tensor:
    """How far a view is trusted that shows people at ``sizes``, px of its own: in (0, 1], of the same shape."""
    return torch.exp(-(sizes / _BEST_SEEN).log().square() / 2).clamp(min=_LEAST_TRUST)


def _groups(whole: Instances, view: Tensor, shown: _Shown, sigmas: Sequence[float]) -> _Groups:
    """Who is one person, and how far each view is trusted in that."""
    sizes = whole.areas.sqrt().clamp(min=_LEAST_SIZE)
    trust = shown.trust(sizes, view)
    alike = oks(whole.keypoints, whole.keypoints, whole.areas, whole.areas, sigmas)
    alike = alike * (whole.labels[:, None] == whole.labels)
    best_first = (whole.scores * trust).argsort(descending=True, stable=True)
    members = torch.from_numpy(_greedy(alike.numpy(), view.numpy(), best_first.numpy(), len(shown.scales)))
    there, members = members >= 0, members.clamp(min=0)
    own = trust[members] * there
    share = own / own.sum(1, keepdim=True)
    size, box = (share * sizes[members]).sum(1, keepdim=True), (share[..., None] * whole.boxes[members]).sum(1, keepdim=True)
    others = shown.trust(size) * seen_whole(box, shown.regions)
    return _Groups(members, own, torch.where(there, own, others))


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


def _averaged(whole: Instances, groups: _Groups, boxed: Tensor) -> Instances:
    """One instance of each group; ``boxed`` (V,) says which views find boxes."""
    total = groups.counted.sum(1)

    def mean(values: Tensor, total: Tensor) -> Tensor:
        weight = groups.trust.view(*groups.trust.shape, *[1] * (values.dim() - 1))
        return (values[groups.members] * weight).sum(1) / total

    scores = whole.keypoint_scores
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
    sure = mean(surely, torch.ones(()))
    boxes = torch.where(sure > 0, mean(whole.boxes * surely, sure.clamp(min=torch.finfo(torch.float32).tiny)), found.boxes)
    most = (groups.counted * boxed).sum(1).clamp(min=torch.finfo(torch.float32).tiny)
    return replace(found, boxes=boxes, box_scores=mean(whole.box_scores, most))
