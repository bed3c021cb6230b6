"""Albumentations' transforms by name, behind the pixel convention; those that labels could not follow are refused.

Most of them count from pixel centres, so that points enter as x - 0.5 and leave as x + 0.5 (``Grid.cornered(1)``); those that
cut and then resize count from the image's corner. What resizes the image as a whole is measured by its sides, as albumentations
moves points by a factor that it rounds sides from.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks a server for its latest version on import otherwise
import albumentations as A

from bottomup.errors import ConfigError, unknown
from bottomup.geometry import Grid
from bottomup.samples.content import framed
from bottomup.samples.warps import PADDING, pack_flags, unpack_flags, warp_map
from bottomup.types import Sample

_PIXELS = Grid.cornered(1)  # index j is the pixel whose centre is j + 0.5
_RESIZING = (A.Resize, A.LongestMaxSize, A.SmallestMaxSize, A.RandomScale)  # the whole image
_CUTTING_AND_RESIZING = (A.RandomResizedCrop, A.RandomSizedCrop, A.CropAndPad)
_AFFINE_ERROR = 0.05  # px; albumentations computes in float32
_DRAWS = 4  # of every transform, when it is checked
_PROBES = ((120, 160), (1200, 1600))  # (H, W) of what it is checked on: the second where the first is too small for it
_BLOCK = 12  # px, of the probe's maps
_ALIKE = 0.99  # of the pixels well within blocks, on which a map and the affine must agree

_OTHER_IMAGES = "needs other images or texts, which no data set gives it"
_BOXES = "looks at objects' boxes or masks, which are not given to it"
_BENDS = "bends the image; only affine transforms and those of colour keep keypoints exact"
_MOVES = "moves parts of the picture, and leaves the keypoints where they were"
_REFUSED = {
    **dict.fromkeys(
        ("Normalize", "ToFloat", "FromFloat", "ToTensorV2", "ToTensor3D"),
        "changes the type or range of pixels; the network normalises its images itself",
    ),
    **dict.fromkeys(
        ("FDA", "HistogramMatching", "PixelDistributionAdaptation", "Mosaic", "OverlayElements", "TextImage"), _OTHER_IMAGES
    ),
    **dict.fromkeys(
        (
            "AtLeastOneBBoxRandomCrop", "BBoxSafeRandomCrop", "RandomSizedBBoxSafeCrop", "RandomCropNearBBox",
            "CropNonEmptyMaskIfExists", "ConstrainedCoarseDropout", "MaskDropout",
        ),
        _BOXES,
    ),
    **dict.fromkeys(
        (
            "ElasticTransform", "GridDistortion", "GridElasticDeform", "OpticalDistortion", "PiecewiseAffine", "ThinPlateSpline",
            "Perspective",
        ),
        _BENDS,
    ),
    "RandomGridShuffle": _MOVES,
    "ZoomBlur": "smears the picture outwards, away from the keypoints",
    "Morphological": "grows or shrinks what image and masks show, and leaves the boxes as they were",
    **dict.fromkeys(("FrequencyMasking", "TimeMasking"), "is for spectrograms, and blanks what masks say; XYMasking is for images"),
    "Lambda": "takes functions, which a configuration cannot say",
}  # fmt: skip


class _View(NamedTuple):
    """What a transform moves beside points."""

    image: NDArray[np.uint8]  # (H, W, 3)
    flags: NDArray[np.uint8]  # (H, W), of the ignore maps; PADDING marks the picture, so that what a transform adds, 0, is none
    instances: NDArray[np.int16] | None  # (H, W)


class Transform:
    """One of albumentations' transforms, ``options`` its ``name`` and what it takes; ``flip_order`` the skeleton's ``flip``.

    It is tried on made-up images when it is made: ConfigError says why keypoints and maps could not follow it.
    """

    def __init__(self, options: Mapping[str, object], flip_order: tuple[int, ...]) -> None:
        self.name, self.flip_order = str(options.get("name", "")), flip_order
        parameters = {option: value for option, value in options.items() if option != "name"}
        self.compose = _compose(_albumentation(self.name, parameters))
        self._check(_compose(_albumentation(self.name, parameters | {"p": 1.0})))

    def __call__(self, sample: Sample, seed: int) -> Sample:
        """The sample in the px of what the transform makes of its image, drawn by ``seed``."""
        image = np.ascontiguousarray(sample.pixels.transpose(1, 2, 0))
        try:
            if isinstance(self.compose.transforms[0], A.ImageOnlyTransform):
                return replace(sample, image=_recoloured(self.compose, image, seed).transpose(2, 0, 1))
            view = _View(image, _turned(pack_flags(sample)), sample.instances)
            view, matrix = _moved(self.compose, view, _lattice(sample.shape, 2), seed)
        except Exception as error:  # whatever albumentations finds wrong with an image
            h, w = sample.shape
            raise ConfigError(f"{self._where} cannot take image {sample.image_id} of {h} x {w} px: {_first_line(error)}") from error
        moved = replace(
            sample.move_people(matrix, self.flip_order),
            image=view.image.transpose(2, 0, 1),
            ignore=unpack_flags(_turned(view.flags), {*sample.ignore, "padding"}),
            instances=view.instances,
            content=None,
        )
        return framed(moved)

    @property
    def _where(self) -> str:
        return f"augment.transforms: {self.name}"

    def _check(self, compose: A.Compose) -> None:
        """Refuse what does not move image, maps and points as one."""
        for number, shape in enumerate(_PROBES):
            try:
                for seed in range(_DRAWS):
                    _check_draw(compose, _probe(shape), seed)
                return
            except ConfigError as error:
                raise ConfigError(f"{self._where} {error}") from error
            except Exception as error:
                if number == len(_PROBES) - 1:
                    raise ConfigError(f"{self._where} cannot be used: {_first_line(error)}") from error


def _turned(flags: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Flags whose PADDING marks the picture instead, or back."""
    return np.bitwise_xor(flags, np.uint8(PADDING))


def _albumentation(name: str, parameters: Mapping[str, object]) -> A.BasicTransform:
    transform = getattr(A, name, None)
    if not (isinstance(transform, type) and issubclass(transform, A.BasicTransform)):
        known = [
            entry for entry in dir(A) if isinstance(getattr(A, entry), type) and issubclass(getattr(A, entry), A.BasicTransform)
        ]
        raise ConfigError("augment.transforms: " + unknown("albumentations transform", name, known))
    if issubclass(transform, A.Transform3D):
        raise ConfigError(f"augment.transforms: {name} is for volumes, not for images")
    if name in _REFUSED:
        raise ConfigError(f"augment.transforms: {name} {_REFUSED[name]}")
    try:
        made = transform(**parameters)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ConfigError(f"augment.transforms: {name} does not take {parameters}: {error}") from error
    if made.invalid_args:
        options = sorted({*made.get_transform_init_args_names(), "p"})
        raise ConfigError(f"augment.transforms: {name}: " + unknown("option", made.invalid_args[0], options))
    if isinstance(made, A.Downscale) and cv2.INTER_NEAREST in made.interpolation_pair.values():
        pair = "interpolation_pair={upscale: 1, downscale: 3}"
        raise ConfigError(f"augment.transforms: {name} by nearest pixels {_MOVES}; set {pair}, linear and by areas")
    return made


def _compose(transform: A.BasicTransform) -> A.Compose:
    if isinstance(transform, A.ImageOnlyTransform):
        return A.Compose([transform])
    keypoints = A.KeypointParams(format="xy", remove_invisible=False)
    return A.Compose([transform], keypoint_params=keypoints, additional_targets={"instances": "mask"})


def _moved(compose: A.Compose, view: _View, points: NDArray[np.float64], seed: int) -> tuple[_View, NDArray[np.float64]]:
    """What a draw makes of a view, and the affine (2, 3) that moved its ``points``; ConfigError where none did."""
    (transform,) = compose.transforms
    if isinstance(transform, A.ImageOnlyTransform):
        return view._replace(image=_recoloured(compose, view.image, seed)), np.eye(2, 3)
    compose.set_random_seed(seed)
    origin = 0.0 if isinstance(transform, _CUTTING_AND_RESIZING) else _PIXELS.origin
    maps = {} if view.instances is None else {"instances": view.instances}
    found = compose(image=view.image, mask=view.flags, **maps, keypoints=points - origin)
    moved = _View(found["image"], found["mask"], found.get("instances"))
    if isinstance(transform, _RESIZING):
        x, y = np.divide(moved.image.shape[1::-1], view.image.shape[1::-1])
        return moved, np.array([[x, 0.0, 0.0], [0.0, y, 0.0]])
    return moved, _affine(points, np.asarray(found["keypoints"], dtype=np.float64)[:, :2] + origin)


def _recoloured(compose: A.Compose, image: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """What a draw of a transform that moves nothing makes of an image (H, W, 3)."""
    compose.set_random_seed(seed)
    return np.asarray(compose(image=image)["image"])


def _affine(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
    """The affine (2, 3) that moved points; ConfigError where none did."""
    if len(after) != len(before):  # reflected borders show people twice, some bending transforms drop points
        raise ConfigError("loses or adds keypoints; a border, if that does it, should be constant (border_mode=0)")
    homogeneous = np.column_stack((before, np.ones(len(before))))
    solution = np.linalg.lstsq(homogeneous, after, rcond=None)[0]
    if np.abs(homogeneous @ solution - after).max() > _AFFINE_ERROR:
        raise ConfigError(_BENDS)
    return np.asarray(solution.T)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


# ---- the check -----------------------------------------------------------------------------------------------------------


def _lattice(shape: tuple[int, int], side: int) -> NDArray[np.float64]:
    """``side`` x ``side`` points (N, 2) evenly over an image of ``shape`` (H, W), its corners among them."""
    x, y = np.meshgrid(np.linspace(0, shape[1], side), np.linspace(0, shape[0], side))
    return np.column_stack((x.ravel(), y.ravel()))


def _probe(shape: tuple[int, int]) -> _View:
    """Blocks of colours, flags and instances, drawn at random."""
    rng, (h, w) = np.random.default_rng(0), shape
    blocks = (-(-h // _BLOCK), -(-w // _BLOCK))

    def spread(drawn: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(drawn.repeat(_BLOCK, 0).repeat(_BLOCK, 1)[:h, :w])

    colours, flags = rng.integers(0, 256, (*blocks, 3), np.uint8), rng.integers(0, PADDING, blocks, np.uint8)
    return _View(spread(colours), spread(flags | PADDING), spread(rng.integers(-1, 30, blocks, np.int16)))


def _check_draw(compose: A.Compose, view: _View, seed: int) -> None:
    moved, matrix = _moved(compose, view, _lattice(view.flags.shape, 5), seed)
    image, shape = moved.image, moved.image.shape
    if image.dtype != np.uint8 or shape[2:] != (3,):
        raise ConfigError(f"makes {image.dtype} pixels of shape {shape} of an RGB image; networks take uint8 RGB")
    for before, after in ((view.flags, moved.flags), (view.instances, moved.instances)):
        assert before is not None and after is not None
        expected = warp_map(before, matrix, shape[:2], 0)
        if after.dtype != before.dtype or after.shape != expected.shape:
            raise ConfigError(f"makes {after.dtype} maps of shape {after.shape} of an image of {shape[:2]}")
        flat = cv2.erode(expected, np.ones((5, 5))) == cv2.dilate(expected, np.ones((5, 5)))
        if flat.any() and (after == expected)[flat].mean() < _ALIKE:
            raise ConfigError("does to masks what it does not do to keypoints; paint with fill, and leave fill_mask out")
