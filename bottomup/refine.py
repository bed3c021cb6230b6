"""A second look at each person: a single-person network on crops, which moves the keypoints of poses and finds what they lack.

Associative Embedding §4.1 refines its poses so; PersonLab §3.3 imputes with such a network the keypoints that nobody annotated.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bottomup.base_predictor import BasePredictor, Look
from bottomup.dataset import Dataset
from bottomup.errors import ConfigError, DataError
from bottomup.geometry import boxes_around, square_around
from bottomup.images import Image, pixels_of
from bottomup.model import PoseModel
from bottomup.ops.crops import images_in
from bottomup.options import BelowOne, Fraction, Positive, checked
from bottomup.predictor import Predictor, needed
from bottomup.samples.loader import attempted_samples
from bottomup.samples.person_crops import MARGIN
from bottomup.samples.skipping import Unread
from bottomup.skeletons import Skeleton
from bottomup.types import Batch, Instances, Prediction, Sample

_IMAGES = 8  # whose people go through the network together

Rule = Literal["surer", "threshold"]


class Poses(NamedTuple):
    """What a single-person network finds in crops."""

    points: Tensor  # (P, K, 2) px of the image; NaN = not found
    scores: Tensor  # (P, K) in [0, 1]; 0 = not found
    growth: Tensor  # (P,) px of the network's input per px of the image


@checked("refine")
class Refiner:
    """Corrects found poses by a single-person ``network``, a Predictor whose decoder finds one instance an image.

    Of each pose a square of ``scale`` times the longer side of its box is cropped from the image and seen at the network's input
    size times each of its own ``scales``, whose maps are joined. Where that finds a keypoint which the pose lacks it is taken over
    with its score. One that the pose has moves to where the network finds it, and keeps its own score, for it was found before: by
    ``rule`` "threshold" wherever the network scores above ``threshold``; by "surer", the default, where its score is above the
    keypoint's own, too, so that a coarse network does not undo what was found well. A crop is rejected, and its pose stays, where
    fewer than ``agreement`` of the pose's keypoints are found within ``distance`` of their place: the network then sees somebody
    else. So that one distance fits people of all sizes, and coarse networks, it is in px of the network's input at its first scale.

    The demo of Associative Embedding's authors has 1.3, .15, a fifth, 10 px, it does not say of what, and the rule "threshold".
    """

    def __init__(
        self,
        network: Predictor,
        *,
        scale: Positive = MARGIN,
        rule: Rule = "surer",
        threshold: BelowOne = 0.15,
        agreement: Fraction = 0.2,
        distance: Annotated[Positive, "px of the network's input"] = 10.0,
    ) -> None:
        if not isinstance(network, Predictor) or network.skeleton is None:
            raise ConfigError("a network that refines poses should be one that finds keypoints; give one of method=single_person")
        self.network, self.scale = network, scale
        self.rule, self.threshold, self.agreement, self.distance = rule, threshold, agreement, distance

    def __repr__(self) -> str:
        return f"Refiner({self.network!r})"

    def __call__(self, image: Image, prediction: Prediction) -> Prediction:
        """The prediction of one image, in its px, refined; an image is a path, an (H, W, 3) uint8 RGB array or a Pillow image.

        DataError where the prediction is of another size, as of a file that was read as stored and is read upright here.
        """
        pixels = pixels_of(image, self.network.read).transpose(2, 0, 1)
        if prediction.size != pixels.shape[1:]:
            (h, w), (own_h, own_w) = prediction.size, pixels.shape[1:]
            raise DataError(
                f"the prediction is of an image of {h} x {w} px, this one has {own_h} x {own_w}; give the image that it is of, "
                "or load both networks with one orientation="
            )
        return self.refined([pixels], [prediction])[0]

    def refined(self, images: Sequence[NDArray[np.uint8]], predictions: Sequence[Prediction]) -> list[Prediction]:
        """The predictions of several images (3, H, W) RGB, in their px, refined: their people go through the network together."""
        boxes = [prediction.instances.boxes for prediction in predictions]
        poses = poses_in(self.network, [torch.from_numpy(np.ascontiguousarray(image)) for image in images], boxes, self.scale)
        return [replace(one, instances=self.joined(one.instances, own)) for one, own in zip(predictions, poses, strict=True)]

    def joined(self, found: Instances, seen: Poses) -> Instances:
        """Instances with the keypoints that poses of their crops have more or better."""
        had, has = found.keypoint_scores > 0, seen.scores > 0
        apart = (found.keypoints - seen.points).square().sum(-1).sqrt() * seen.growth[:, None]
        agreed = (had & has & (apart <= self.distance)).sum(1)
        accepted = agreed >= self.agreement * had.sum(1)
        new = accepted[:, None] & has & ~had
        least = found.keypoint_scores.clamp(min=self.threshold) if self.rule == "surer" else self.threshold
        moved = accepted[:, None] & has & had & (seen.scores > least)
        points = torch.where((new | moved)[..., None], seen.points, found.keypoints)
        presence = found.keypoint_presence
        return replace(
            found,
            keypoints=points,
            keypoint_scores=torch.where(new, seen.scores, found.keypoint_scores),
            keypoint_presence=None if presence is None else torch.where(new, seen.scores, presence),
            boxes=boxes_around(points) if found.box_scores is None else found.boxes,
        )


class Refined(BasePredictor):
    """A predictor, of one network or of several, whose poses a ``refiner`` corrects.

    Of images, files and folders only those people are looked at again who are worth showing. ConfigError where the refiner's
    network finds other keypoints.
    """

    def __init__(self, predictor: BasePredictor, refiner: Refiner) -> None:
        check_same_keypoints(refiner.network, predictor.skeleton)
        self.predictor, self.refiner = predictor, refiner
        self.model, self.decoder, self.thresholds = predictor.model, predictor.decoder, predictor.thresholds
        self.read, self.on_error, self.batch_size = predictor.read, predictor.on_error, predictor.batch_size

    def __repr__(self) -> str:
        return f"Refined({self.predictor!r}, {self.refiner!r})"

    @property
    def models(self) -> Sequence[PoseModel]:
        """Those of the predictor."""
        return self.predictor.models

    @property
    def prepare(self) -> Callable[[Sample], tuple[Any, NDArray[np.uint8]]]:
        """What makes of a sample what the predictor takes, with the pixels beside it that people are looked at again in."""
        return _WithPixels(self.predictor.prepare)

    def predict_samples(self, samples: Iterable[tuple[int, Sample]]) -> Iterator[tuple[int, Prediction]]:
        """Predict on samples in px of their images, with their indices, as batches fill: the instances worth showing."""
        prepare = self.prepare
        return self._looked_at_again(((index, prepare(sample)) for index, sample in samples), (), self.shown)

    def shape(self, sample: Sample) -> Hashable:
        """The predictor's."""
        return self.predictor.shape(sample)

    def prepared(
        self, dataset: Dataset, oracle: Sequence[str] = (), workers: int = 0
    ) -> Iterator[tuple[int, tuple[Any, NDArray[np.uint8]] | Unread]]:
        """As the predictor takes them, with their pixels, which are read whether or not the ``oracle`` needs them."""
        _, maps = needed(dataset, self.models, oracle)
        return attempted_samples(dataset, self.prepare, maps, workers, self.on_error)

    def predict_prepared(
        self, images: Iterable[tuple[int, tuple[Any, NDArray[np.uint8]]]], oracle: Sequence[str] = ()
    ) -> Iterator[tuple[int, Prediction]]:
        """Predict on images as ``prepared`` gives them, with their indices, as batches fill: all instances, however they score."""
        return self._looked_at_again(images, oracle, lambda prediction: prediction)

    def _looked_at_again(
        self,
        images: Iterable[tuple[int, tuple[Any, NDArray[np.uint8]]]],
        oracle: Sequence[str],
        chosen: Callable[[Prediction], Prediction],
    ) -> Iterator[tuple[int, Prediction]]:
        """What the predictor finds in images, refined as far as it is ``chosen``; their pixels are held until then."""
        waiting: dict[int, NDArray[np.uint8]] = {}

        def prepared() -> Iterator[tuple[int, Any]]:
            for index, (own, pixels) in images:
                waiting[index] = pixels
                yield index, own

        found = self.predictor.predict_prepared(prepared(), oracle)
        yield from self._refined((index, waiting.pop(index), chosen(prediction)) for index, prediction in found)

    def _refined(self, found: Iterator[tuple[int, NDArray[np.uint8], Prediction]]) -> Iterator[tuple[int, Prediction]]:
        """The predictions with their indices, a few images at a time."""
        while some := list(islice(found, _IMAGES)):
            indices, images, predictions = zip(*some, strict=True)
            yield from zip(indices, self.refiner.refined(images, predictions), strict=True)

    def look(self, image: Image) -> Look:
        """The prediction of one image, as ``predict`` gives it, with the maps that it was decoded from before it was refined."""
        pixels = pixels_of(image, self.read)
        look = self.predictor.look(pixels)
        return look._replace(prediction=self.shown(self.refiner.refined([pixels.transpose(2, 0, 1)], [look.prediction])[0]))


@dataclass(frozen=True)
class _WithPixels:
    prepare: Callable[[Sample], Any]

    def __call__(self, sample: Sample) -> tuple[Any, NDArray[np.uint8]]:
        return self.prepare(sample), sample.pixels


def check_same_keypoints(network: Predictor, skeleton: Skeleton | None) -> None:
    """Raise ConfigError where a single-person network finds other keypoints than a skeleton has."""
    own = network.skeleton
    if skeleton is None or own is None or own.keypoints != skeleton.keypoints:
        names = [repr(which.name) if which is not None else "no" for which in (own, skeleton)]
        raise ConfigError(
            f"the single-person network finds {names[0]} keypoints, not the {names[1]} ones that are wanted; give weights of those"
        )


def poses_in(network: Predictor, images: Sequence[Tensor], boxes: Sequence[Tensor], scale: float) -> list[Poses]:
    """The pose that a single-person network finds around each of the boxes (P, 4) xyxy px of several images (3, H, W) uint8 RGB.

    Crops of all go through the network as many at once as it takes images; a box without extent holds nobody.
    """
    whole = torch.cat([own.float() for own in boxes])
    image = torch.cat([torch.full((len(own),), number) for number, own in enumerate(boxes)])
    keypoints = network.model.task.keypoints
    found = Poses(torch.full((len(whole), keypoints, 2), torch.nan), torch.zeros(len(whole), keypoints), torch.ones(len(whole)))
    there = ((whole[:, 2:] - whole[:, :2]).amax(1) > 0) & whole.isfinite().all(1)
    for rows in there.nonzero()[:, 0].split(network.batch_size):
        batch = _crops(network, images, whole[rows], image[rows], scale)
        for row, prediction in zip(rows.tolist(), network.predict_batch(batch), strict=True):
            if len(prediction.instances):
                found.points[row] = prediction.instances.keypoints[0]
                found.scores[row] = prediction.instances.keypoint_scores[0]
        found.growth[rows] = batch.to_input[:, 0, 0].float() / network.views.largest * network.views.scales[0]
    counts = [len(own) for own in boxes]
    parts = [tensor.split(counts) for tensor in found]
    return [Poses(*own) for own in zip(*parts, strict=True)]


def _crops(network: Predictor, images: Sequence[Tensor], boxes: Tensor, image: Tensor, scale: float) -> Batch:
    """The surroundings of boxes (N, 4) as a batch, each of the image numbered ``image`` (N,), as samples with a focus are."""
    length = round(network.input_size * network.views.largest)
    side = network.model.side(length)
    squares = square_around(boxes, scale * side / length)
    growth = side / (squares[:, 2] - squares[:, 0])
    pixels = boxes.new_zeros((len(boxes), 3, side, side), device=network.device)
    for number in image.unique().tolist():
        own = image == number
        pixels[own.to(pixels.device)] = images_in(images[number].to(network.device), squares[own], side, network.model.fill)
    sizes = [(images[number].shape[-2], images[number].shape[-1]) for number in image.tolist()]
    whole = squares.new_tensor([(0, 0, w, h) for h, w in sizes]).view(-1, 4)
    content = ((whole - squares[:, (0, 1, 0, 1)]) * growth[:, None]).clamp(0, side)
    return _batch(pixels, content, _to_input(squares, growth), sizes, network)


def _to_input(squares: Tensor, growth: Tensor) -> Tensor:
    """(N, 2, 3) float64 affine, from image px to those of crops of squares (N, 4) that grow by ``growth`` (N,)."""
    linear = growth.double()[:, None, None] * torch.eye(2, dtype=torch.float64)
    return torch.cat((linear, -(linear @ squares[:, :2, None].double())), dim=2)


def _batch(pixels: Tensor, content: Tensor, to_input: Tensor, sizes: Sequence[tuple[int, int]], network: Predictor) -> Batch:
    """Crops (N, 3, H, W) in [0, 255] of whose people nothing is known, as a batch."""
    count, nobody = len(pixels), torch.zeros(len(pixels), 1)
    keypoints = network.model.task.keypoints
    return Batch(
        size=(pixels.shape[-2], pixels.shape[-1]),
        keypoints=torch.zeros(count, 1, keypoints, 2),
        visibility=torch.zeros(count, 1, keypoints, dtype=torch.uint8),
        boxes=torch.zeros(count, 1, 4),
        areas=nobody,
        labels=nobody.long(),
        has_mask=nobody.bool(),
        present=nobody.bool(),
        content=content,
        image_ids=tuple(range(count)),
        file_sizes=tuple(sizes),
        to_input=to_input,
        images=pixels.round().clamp(0, 255).to(torch.uint8),
    )
