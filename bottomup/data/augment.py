"""Samples moved into the network's input frame at random, for training.

Augmentation goes through albumentations, behind the pixel convention: it counts from pixel centres, so points enter as
x - 0.5 and leave as x + 0.5 (``Grid.cornered(1)``). The corners of the image travel through all transforms, and the affine
``to_input`` that they undergo moves the people; where it mirrors, keypoints swap sides.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks a server for its latest version on import otherwise
import albumentations as A

from bottomup.data.letterbox import moved_labels
from bottomup.data.warps import PADDING, pack_flags, unpack_flags, warp_image, warp_map
from bottomup.errors import ConfigError
from bottomup.geometry import Grid, chain, pixel_matrix
from bottomup.registry import unknown
from bottomup.types import Sample

_PIXELS = Grid.cornered(1)  # index j is the pixel whose centre is j + 0.5
_AFFINE_ERROR = 0.05  # px; albumentations computes in float32


class Warp(A.DualTransform):  # type: ignore[misc]  # albumentations is untyped
    """Scale, rotation, flip and translation (or a random crop) as one affine warp onto a canvas of ``size`` (H, W).

    At scale 1 the ``side`` ("long" or "short") of the image is ``length`` px. Factors of the range ``scale`` are on the
    image or, by ``scale_of`` "box", on the box around it that the canvas shows. The last keypoint comes to lie in the canvas's
    middle, but for ``translate``, the largest shift as a fraction of the canvas; ``crop`` instead puts the canvas anywhere on the
    image. ``fill`` paints what lies outside.
    """

    def __init__(
        self,
        size: tuple[int, int],
        length: float,
        rotate: float,
        scale: tuple[float, float],
        scale_of: str,
        side: str,
        translate: float,
        flip: float,
        crop: bool,
        fill: tuple[int, int, int],
    ) -> None:
        super().__init__(p=1.0)
        self.size, self.length, self.rotate, self.scale, self.scale_of, self.side = size, length, rotate, scale, scale_of, side
        self.translate, self.flip, self.crop, self.fill = translate, flip, crop, fill

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw the affine matrix (2, 3), image px -> canvas px, continuous."""
        h, w = params["shape"][:2]
        draw = self.py_random.uniform
        base = self.length / (max if self.side == "long" else min)(h, w)
        scale = draw(*self.scale)
        factor = base * (scale if self.scale_of == "image" else 1 / scale)
        angle = np.deg2rad(draw(-self.rotate, self.rotate))
        mirror = -1.0 if self.py_random.random() < self.flip else 1.0
        cos, sin = factor * np.cos(angle), factor * np.sin(angle)
        linear = np.array([[cos * mirror, -sin], [sin * mirror, cos]])
        centre = np.array(self.size[::-1]) / 2
        if self.crop:
            room = np.abs(np.array((w, h)) * factor - self.size[::-1]) / 2
            centre = centre + [draw(-room[0], room[0]), draw(-room[1], room[1])]
        else:
            reach = self.translate * max(self.size)
            centre = centre + [draw(-reach, reach), draw(-reach, reach)]
        middle = np.array((w / 2, h / 2)) if self.crop else np.asarray(data["keypoints"])[-1, :2] + _PIXELS.origin
        shift = centre - linear @ middle
        return {"matrix": np.column_stack((linear, shift))}

    def apply(self, img: NDArray[np.uint8], matrix: NDArray[np.float64], **_: Any) -> NDArray[np.uint8]:
        """The image (H, W, 3) on the canvas."""
        return warp_image(img, matrix, self.size, self.fill)

    def apply_to_mask(self, mask: NDArray[Any], matrix: NDArray[np.float64], **_: Any) -> NDArray[Any]:
        """Ignore flags (uint8, padding marked outside) or an instance map (int16), by nearest pixels."""
        outside = PADDING if mask.dtype == np.uint8 else 0
        return warp_map(mask, matrix, self.size, outside)

    def apply_to_keypoints(self, keypoints: NDArray[Any], matrix: NDArray[np.float64], **_: Any) -> NDArray[Any]:
        """Points as pixel indices."""
        index_matrix = pixel_matrix(matrix)
        moved = keypoints.copy()
        moved[:, :2] = keypoints[:, :2] @ index_matrix[:, :2].T + index_matrix[:, 2]
        return moved


class Augment:
    """Random views of training images, a function of the sample and a seed.

    ``size`` is the input's (H, W), ``fill`` the colour of padding, ``flip_order`` the skeleton's ``flip``; ``length`` px is what
    the image is resized to, which the padded input may exceed (default: the input's own side).
    ``rotate`` in degrees; ``scale`` the range, drawn from evenly, of factors on the ``side`` that is ``length`` px at 1:
    ``scale_of`` the "image", which grows by them, or the "box" around it that is resized to the input, so that the image grows
    by their reciprocals (PersonLab §4.1); ``translate`` a fraction of the input side about the ``centre``, the middle of the
    "image" or of the annotated "people" (MultiPoseNet §3.5: the crowd or the main person), or ``crop`` for a random window;
    ``flip`` the probability of a mirror image; ``transforms`` any albumentations by name, e.g.
    ``{name: HueSaturationValue, hue_shift_limit: 20}``, applied in order before the warp, so that padding keeps its colour.
    Keypoints that leave the input become unlabelled, people whose box leaves it are dropped. Labels alone are fitted into the
    input and mirrored, nothing else.
    """

    def __init__(
        self,
        size: tuple[int, int],
        fill: Sequence[int],
        flip_order: tuple[int, ...],
        length: float | None = None,
        *,
        rotate: float = 30.0,
        scale: Sequence[float] = (0.75, 1.25),
        scale_of: Literal["image", "box"] = "image",
        side: Literal["long", "short"] = "long",
        translate: float = 40 / 512,
        centre: Literal["image", "people"] = "image",
        flip: float = 0.5,
        crop: bool = False,
        transforms: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        if side not in ("long", "short"):
            raise ConfigError("augment: " + unknown("side", side, ["long", "short"]))
        if scale_of not in ("image", "box"):
            raise ConfigError("augment: " + unknown("scale_of", scale_of, ["image", "box"]))
        if centre not in ("image", "people"):
            raise ConfigError("augment: " + unknown("centre", centre, ["image", "people"]))
        if len(scale) != 2 or not 0 < scale[0] <= scale[1]:
            raise ConfigError(f"augment: scale should be a range [low, high] of positive factors, got {list(scale)}")
        if not 0 <= flip <= 1 or rotate < 0 or translate < 0:
            raise ConfigError(f"augment: flip lies in [0, 1], rotate and translate are >= 0, got {flip}, {rotate}, {translate}")
        self.flip_order, self.size, self.flip, self.centre = flip_order, size, flip, centre
        whole = length or (max if side == "long" else min)(size)
        warp = Warp(size, whole, rotate, (scale[0], scale[1]), scale_of, side, translate, flip, crop, (fill[0], fill[1], fill[2]))
        keypoints = A.KeypointParams(format="xy", remove_invisible=False)
        self.compose = A.Compose(
            [*map(_albumentation, transforms), warp], keypoint_params=keypoints, additional_targets={"instances": "mask"}
        )

    def __call__(self, sample: Sample, seed: int) -> Sample:
        """The sample in input px, drawn by ``seed``."""
        if sample.image is None:
            return self._labels(sample, seed)
        self.compose.set_random_seed(seed % 2**32)
        h, w = sample.shape
        corners = np.array(((0.0, 0.0), (w, 0.0), (0.0, h), (w, h)))
        middle = _middle_of_people(sample) if self.centre == "people" else np.array((w / 2, h / 2))
        moved = self.compose(
            image=np.ascontiguousarray(sample.image.transpose(1, 2, 0)),
            mask=pack_flags(sample),
            **({} if sample.instances is None else {"instances": sample.instances}),
            keypoints=np.vstack((corners, middle)) - _PIXELS.origin,
        )
        matrix = _affine(corners, np.asarray(moved["keypoints"], dtype=np.float64)[:-1, :2] + _PIXELS.origin)
        image = np.ascontiguousarray(moved["image"].transpose(2, 0, 1))
        augmented = replace(
            sample.move_people(matrix, self.flip_order),
            image=image,
            ignore=unpack_flags(moved["mask"], {*sample.ignore, "padding"}),
            instances=moved.get("instances"),
            content=(0.0, 0.0, float(image.shape[2]), float(image.shape[1])),
        )
        return inside_only(augmented)

    def _labels(self, sample: Sample, seed: int) -> Sample:
        """Labels alone, fitted into the upper left corner of the input."""
        scale = min(self.size[0] / sample.shape[0], self.size[1] / sample.shape[1])
        matrix = np.array([[scale, 0.0, 0.0], [0.0, scale, 0.0]])
        if np.random.default_rng(seed).random() < self.flip:
            matrix = chain(np.array([[-1.0, 0.0, sample.shape[1]], [0.0, 1.0, 0.0]]), matrix)
        return moved_labels(sample, matrix, self.size, self.flip_order)


def _middle_of_people(sample: Sample) -> NDArray[np.float64]:
    """The middle (2,) of the box around everybody who has keypoints, of the image where nobody has."""
    boxes = sample.people.boxes[(sample.people.visibility > 0).any(1)]
    if not len(boxes):
        return np.array(sample.shape[::-1]) / 2
    return np.asarray((boxes[:, :2].min(0) + boxes[:, 2:].max(0)) / 2, dtype=np.float64)


def _albumentation(options: Mapping[str, Any]) -> A.BasicTransform:
    settings = dict(options)
    name = str(settings.pop("name", ""))
    transform = getattr(A, name, None)
    if not (isinstance(transform, type) and issubclass(transform, A.BasicTransform)):
        known = [
            entry for entry in dir(A) if isinstance(getattr(A, entry), type) and issubclass(getattr(A, entry), A.BasicTransform)
        ]
        raise ConfigError("augment: " + unknown("albumentations transform", name, known))
    try:
        return transform(**settings)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"augment: {name} does not take {settings}: {error}") from error


def _affine(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
    """The affine (2, 3) that moved four corners; ConfigError where none did."""
    homogeneous = np.column_stack((before, np.ones(4)))
    whole = len(after) == 4  # a transform may drop points that it cannot follow
    solution = np.linalg.lstsq(homogeneous, after if whole else before, rcond=None)[0]
    if not whole or np.abs(homogeneous @ solution - after).max() > _AFFINE_ERROR:
        raise ConfigError("augment: a transform bends the image; only affine transforms and those of colour keep keypoints exact")
    return np.asarray(solution.T)


def inside_only(sample: Sample) -> Sample:
    """Unlabel keypoints outside the image, clip boxes to it, and drop people of whom nothing is left."""
    h, w = sample.shape
    people = sample.people
    x, y = people.keypoints[..., 0], people.keypoints[..., 1]
    inside = (x >= 0) & (x < w) & (y >= 0) & (y < h) & (people.visibility > 0)
    low = np.clip(people.boxes[:, :2], 0, (w, h))
    high = np.clip(people.boxes[:, 2:], 0, (w, h))
    people = replace(
        people,
        keypoints=np.where(inside[..., None], people.keypoints, 0).astype(np.float32),
        visibility=np.where(inside, people.visibility, 0).astype(np.uint8),
        boxes=np.concatenate((low, high), axis=1).astype(np.float32),
    )
    return select_people(replace(sample, people=people), np.flatnonzero((high > low).all(1)))


def select_people(sample: Sample, index: NDArray[np.int64]) -> Sample:
    """Keep some people, in the order given; the instance map is renumbered with them."""
    if np.array_equal(index, np.arange(len(sample.people))):
        return sample
    instances = sample.instances
    if instances is not None:
        renumber = np.zeros(len(sample.people) + 2, np.int16)  # the last entry is index -1: inside several
        renumber[-1] = -1
        renumber[index + 1] = np.arange(1, len(index) + 1)
        instances = renumber[instances]
    return replace(sample, people=sample.people[index], instances=instances)
