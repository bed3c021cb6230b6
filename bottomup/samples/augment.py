"""Samples moved into the network's input frame at random, for training.

Each step makes a sample of a sample: albumentations' transforms by name, then one warp onto the canvas. The affine ``to_input``
that they undergo moves the people; where it mirrors, keypoints swap sides.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from bottomup.geometry import chain
from bottomup.options import Ascending, Fraction, FromZero, Positive, Share, checked
from bottomup.samples.colours import Colours
from bottomup.samples.content import inside_only, outside_marked
from bottomup.samples.letterbox import fit, moved_labels
from bottomup.samples.moves import Warping, move
from bottomup.samples.transforms import Transform
from bottomup.types import People, Sample

Side = Literal["long", "short"]
ScaleOf = Literal["image", "box", "main_person"]
Centre = Literal["image", "people", "main_person"]
Canvas = Literal["input", "image"]

_ENLARGED = 4.0  # the most that a main person's size may enlarge the image, of the size that it has without


@dataclass(frozen=True)
class Warp:
    """Scale, rotation, flip and translation (or a random crop) as one affine warp onto a canvas.

    At scale 1 the ``side`` of the image, or of its focus, is ``length`` px. Factors of the range ``scale`` are on the image or, by
    ``scale_of`` "box", on the box around it that the canvas shows. A point of the image comes to lie in the canvas's middle, but
    for ``translate``, the largest shift as a fraction of the canvas; ``crop`` instead puts the canvas anywhere on the image.
    """

    length: float
    rotate: float
    scale: tuple[float, float]
    scale_of: ScaleOf
    side: Side
    translate: float
    flip: float
    crop: bool

    def fitted(self, shown: NDArray[np.float64]) -> float:
        """The factor at scale 1 of an image of which ``shown`` (4,) xyxy is to be seen."""
        sides = (shown[2:] - shown[:2]).tolist()
        return fit(max(sides), min(sides), self.length, self.side)

    def draw(
        self, shown: NDArray[np.float64], size: tuple[int, int], middle: NDArray[np.float64], base: float, rng: random.Random
    ) -> NDArray[np.float64]:
        """The affine matrix (2, 3), px of an image of which ``shown`` (4,) xyxy is to be seen -> px of a canvas of ``size`` (H, W).

        ``middle`` (2,) is the point to centre, ``base`` the factor at scale 1.
        """
        scale = rng.uniform(*self.scale)
        factor = base / scale if self.scale_of == "box" else base * scale
        angle = np.deg2rad(rng.uniform(-self.rotate, self.rotate))
        mirror = -1.0 if rng.random() < self.flip else 1.0
        cos, sin = factor * np.cos(angle), factor * np.sin(angle)
        linear = np.array([[cos * mirror, -sin], [sin * mirror, cos]])
        if self.crop:
            reach, middle = np.abs((shown[2:] - shown[:2]) * factor - size[::-1]) / 2, _middle(shown)
        else:
            reach = np.full(2, self.translate * max(size))
        centre = np.array(size[::-1]) / 2 + [rng.uniform(-reach[0], reach[0]), rng.uniform(-reach[1], reach[1])]
        return np.column_stack((linear, centre - linear @ middle))


@checked("augment")
class Augment:
    """Random views of training images, a function of the sample and a seed.

    ``size`` is the input's (H, W), ``fill`` the colour of padding, ``flip_order`` the skeleton's ``flip``; ``length`` px is what
    the image is resized to, which the padded input may exceed (default: the input's own side); ``accept`` gives the smallest side
    of a canvas of its own that the model takes.
    ``rotate`` in degrees; ``scale`` the range, drawn from evenly, of factors on the ``side`` that is ``length`` px at 1:
    ``scale_of`` the "image", which grows by them, the "box" around it that is resized to the input, so that the image grows
    by their reciprocals (PersonLab §4.1), or the "main_person", whose box's long side is ``person_share`` of the input at 1;
    ``translate`` a fraction of the input side about the ``centre``, the middle of the "image", of what the transforms left of
    it, of the annotated "people" together (MultiPoseNet §3.5: the crowd or the main person), or of the "main_person", the
    largest who has keypoints, or ``crop`` for a random window; of a sample with a focus that counts as the image, what surrounds
    it is seen, too. ``canvas`` is the "input", or the whole "image" at scale 1, whose sides differ from image to image, and
    batches are padded to the largest (MultiPoseNet §3.5 for boxes).
    ``flip`` is the probability of a mirror image; ``transforms`` albumentations by name, e.g.
    ``{name: HueSaturationValue, hue_shift_limit: 20}``, applied in order and then ``colours``, both before the warp, so that
    padding keeps its colour; a transform that labels could not follow is refused. Keypoints that leave the picture become
    OUTSIDE, people whose box leaves it are dropped, or ``beside`` where their keypoints' disks may reach in. Labels alone are
    fitted into the input and mirrored, nothing else.
    """

    def __init__(
        self,
        size: tuple[int, int],
        fill: Sequence[int],
        flip_order: tuple[int, ...],
        length: float | None = None,
        accept: Callable[[int], int] | None = None,
        *,
        rotate: Annotated[FromZero, "degrees"] = 30.0,
        scale: Annotated[tuple[Positive, Positive], Ascending()] = (0.75, 1.25),
        scale_of: ScaleOf = "image",
        side: Side = "long",
        translate: FromZero = 40 / 512,
        centre: Centre = "image",
        person_share: Share = 0.6,
        flip: Fraction = 0.5,
        crop: bool = False,
        canvas: Canvas = "input",
        colours: Colours | None = None,
        transforms: Sequence[Mapping[str, object]] = (),
    ) -> None:
        self.flip_order, self.size, self.flip = flip_order, size, flip
        self.centre, self.canvas, self.person_share, self.accept = centre, canvas, person_share, accept or int
        self.fill, self.colours = (fill[0], fill[1], fill[2]), colours
        self.transforms = [Transform(entry, flip_order) for entry in transforms]
        whole = length or (max if side == "long" else min)(size)
        self.warp = Warp(whole, rotate, (scale[0], scale[1]), scale_of, side, translate, flip, crop)

    def __call__(self, sample: Sample, seed: int) -> Sample:
        """The sample in input px, drawn by ``seed``."""
        if sample.image is None:
            return self._labels(sample, seed)
        sample = outside_marked(sample)  # before its image stands on a canvas
        for number, transform in enumerate(self.transforms, start=1):  # a seed each: equal ones would draw the same numbers
            sample = transform(sample, (seed + number) % 2**32)
        if self.colours is not None:
            drawn = self.colours(sample.pixels.transpose(1, 2, 0), random.Random(seed + len(self.transforms) + 1))
            sample = replace(sample, image=drawn.transpose(2, 0, 1))
        return inside_only(self._warped(sample, random.Random(seed % 2**32)))

    def _warped(self, sample: Sample, rng: random.Random) -> Sample:
        """The sample on its canvas."""
        shown = _shown(sample)
        size = self._size(shown)
        matrix = self.warp.draw(shown, size, self._middle(sample, shown), self._base(sample, shown), rng)
        whole = sample.focus is None  # a part of an image moves as ``letterbox`` moves one
        way = move(matrix, sample.shape, size) if whole else Warping(matrix, sample.shape, size)
        ignore = {name: way.labels(pixels) for name, pixels in sample.ignore.items() if pixels.any()}
        beyond = way.beyond()
        ignore["padding"] = ignore["padding"] | beyond if "padding" in ignore else beyond
        return replace(
            sample.move_people(way.matrix, self.flip_order),
            image=way.image(sample.pixels.transpose(1, 2, 0), self.fill).transpose(2, 0, 1),
            ignore=ignore,
            instances=None if sample.instances is None else way.labels(sample.instances),
            content=None,
        )

    def _size(self, shown: NDArray[np.float64]) -> tuple[int, int]:
        """The canvas (H, W) of an image of which ``shown`` (4,) xyxy is to be seen."""
        if self.canvas == "input":
            return self.size
        width, height = ((shown[2:] - shown[:2]) * self.warp.fitted(shown)).tolist()
        return self.accept(max(1, round(height))), self.accept(max(1, round(width)))

    def _middle(self, sample: Sample, shown: NDArray[np.float64]) -> NDArray[np.float64]:
        """The point (2,) of the image that comes into the canvas's middle; that of what is shown where nobody has keypoints."""
        if self.centre == "image":
            return _middle(shown)
        boxes = _main(sample) if self.centre == "main_person" else _posed(sample).boxes
        if not len(boxes):
            return _middle(shown)
        return _middle(np.concatenate((boxes[:, :2].min(0), boxes[:, 2:].max(0))).astype(np.float64))

    def _base(self, sample: Sample, shown: NDArray[np.float64]) -> float:
        """The factor at scale 1: of the image's size, or of its main person's, where that does not blur it."""
        fitted = self.warp.fitted(shown)
        if self.warp.scale_of != "main_person":
            return fitted
        main = _main(sample)
        if not len(main):
            return fitted
        length = float((main[0, 2:] - main[0, :2]).max())
        return min(self.person_share * max(self.size) / max(length, 1.0), _ENLARGED * fitted)

    def _labels(self, sample: Sample, seed: int) -> Sample:
        """Labels alone, fitted into the upper left corner of the input."""
        scale = min(self.size[0] / sample.shape[0], self.size[1] / sample.shape[1])
        matrix = np.array([[scale, 0.0, 0.0], [0.0, scale, 0.0]])
        if np.random.default_rng(seed).random() < self.flip:
            matrix = chain(np.array([[-1.0, 0.0, sample.shape[1]], [0.0, 1.0, 0.0]]), matrix)
        return moved_labels(sample, matrix, self.size, self.flip_order)


def _shown(sample: Sample) -> NDArray[np.float64]:
    """What of a sample is to be seen, xyxy: its focus, or the whole image."""
    return np.array((0.0, 0.0, *sample.shape[::-1])) if sample.focus is None else sample.focus


def _middle(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """The middle (2,) of a box xyxy."""
    return (box[:2] + box[2:]) / 2


def _posed(sample: Sample) -> People:
    """The people who have keypoints."""
    return sample.people[np.flatnonzero(sample.people.labelled.any(1))]


def _main(sample: Sample) -> NDArray[np.float32]:
    """The box (1, 4) of the largest person who has keypoints; (0, 4) where nobody has."""
    posed = _posed(sample)
    return posed.boxes[np.argsort(-posed.areas, kind="stable")[:1]]
