"""Every transform of albumentations leaves labels on what they label, or is refused with its reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import albumentations as A
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bottomup.errors import ConfigError
from bottomup.geometry import transform_points
from bottomup.samples.augment import Augment
from bottomup.samples.transforms import Transform
from bottomup.skeletons import COCO
from bottomup.types import OUTSIDE, Sample
from tests.scenes import make_sample

SIZE = (240, 320)
NAMES = [n for n in dir(A) if isinstance(getattr(A, n), type) and issubclass(getattr(A, n), A.BasicTransform)]
NEEDED: dict[str, dict[str, Any]] = {  # what some cannot be made without
    "CenterCrop": {"height": 150, "width": 200},
    "Crop": {"x_min": 30, "y_min": 20, "x_max": 290, "y_max": 200},
    "CropAndPad": {"percent": (-0.3, 0.1)},
    "LongestMaxSize": {"max_size": 200},
    "RandomCrop": {"height": 150, "width": 200},
    "RandomResizedCrop": {"size": (200, 300)},
    "RandomSizedCrop": {"min_max_height": (100, 200), "size": (200, 260)},
    "RandomScale": {"scale_limit": 0.5},
    "Resize": {"height": 300, "width": 200},
    "SmallestMaxSize": {"max_size": 360},
    "Downscale": {"interpolation_pair": {"upscale": cv2.INTER_LINEAR, "downscale": cv2.INTER_AREA}},
}
REASONS = {  # a word of each reason
    "normalises": {"Normalize", "ToFloat", "FromFloat", "ToTensorV2", "ToTensor3D"},
    "other images": {"FDA", "HistogramMatching", "PixelDistributionAdaptation", "Mosaic", "OverlayElements", "TextImage"},
    "boxes or masks": {
        "AtLeastOneBBoxRandomCrop", "BBoxSafeRandomCrop", "RandomSizedBBoxSafeCrop", "RandomCropNearBBox",
        "CropNonEmptyMaskIfExists", "ConstrainedCoarseDropout", "MaskDropout",
    },
    "bends": {
        "ElasticTransform", "GridDistortion", "GridElasticDeform", "OpticalDistortion", "PiecewiseAffine", "ThinPlateSpline",
        "Perspective",
    },
    "moves parts": {"RandomGridShuffle"},
    "smears": {"ZoomBlur"},
    "grows or shrinks": {"Morphological"},
    "spectrograms": {"FrequencyMasking", "TimeMasking"},
    "functions": {"Lambda"},
    "volumes": {
        "CenterCrop3D", "CoarseDropout3D", "CubicSymmetry", "Pad3D", "PadIfNeeded3D", "RandomCrop3D", "Transform3D",
    },
    "does not take|cannot be used": {"BasicTransform", "DualTransform", "ImageOnlyTransform"},  # what others are made of
}  # fmt: skip
REFUSED = {name: reason for reason, names in REASONS.items() for name in names}
ACCEPTED = [name for name in NAMES if name not in REFUSED]


def dots(seed: int = 0) -> Sample:
    """A grey image with a soft bright dot at each keypoint of one person, who has them all over the image."""
    sample = make_sample(seed, SIZE, people=1)
    x, y = np.meshgrid(np.linspace(30, 290, 6), np.linspace(30, 210, 3))
    points = np.column_stack((x.ravel(), y.ravel()))[:17] + np.random.default_rng(seed).uniform(-8, 8, (17, 2))
    rows, columns = np.mgrid[0.5 : SIZE[0], 0.5 : SIZE[1]]
    glow = np.full(SIZE, 60.0)
    for px, py in points:
        glow += 150 * np.exp(-((columns - px) ** 2 + (rows - py) ** 2) / 18)
    people = replace(sample.people, keypoints=points[None].astype(np.float32))
    return replace(sample, image=np.repeat(glow[None], 3, 0).round().astype(np.uint8), people=people)


def make_transform(name: str, **options: object) -> Transform:
    return Transform({"name": name, "p": 1.0} | NEEDED.get(name, {}) | options, COCO.flip_order)


def off_its_label(image: NDArray[np.uint8], point: NDArray[np.float32]) -> float:
    """How far the middle of what is brightest around a point lies from it; not a number where the dot is cut or painted over."""
    column, row = (int(value) - 10 for value in point)
    patch = image[0, max(row, 0) : row + 20, max(column, 0) : column + 20].astype(float)
    light = np.where(patch > 90, patch - 60, 0.0)
    if patch.shape != (20, 20) or light.max() < 100:
        return np.nan
    rows, columns = np.mgrid[row + 0.5 : row + 20, column + 0.5 : column + 20]
    middle = np.array([(light * columns).sum(), (light * rows).sum()]) / light.sum()
    return float(np.abs(middle - point).max())


def texture() -> Sample:
    """An image of which every part differs from every other."""
    noise = cv2.GaussianBlur(np.random.default_rng(0).normal(size=(*SIZE, 3)), None, 2.0)
    image = np.clip(128 + 300 * noise, 20, 235).astype(np.uint8).transpose(2, 0, 1)
    return replace(make_sample(0, SIZE, people=1), image=np.ascontiguousarray(image))


def edges(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    grey = image.mean(0)
    return np.hypot(cv2.Sobel(grey, cv2.CV_64F, 1, 0), cv2.Sobel(grey, cv2.CV_64F, 0, 1))


def best_shift(before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[int, int]:
    """By how many whole pixels a part of a picture has moved."""
    inner = before[4:-4, 4:-4]
    found = cv2.matchTemplate(after.astype(np.float32), inner.astype(np.float32), cv2.TM_CCOEFF_NORMED)
    row, column = np.unravel_index(found.argmax(), found.shape)
    return int(column) - 4, int(row) - 4


@pytest.mark.parametrize("name", [name for name in ACCEPTED if not issubclass(getattr(A, name), A.ImageOnlyTransform)])
def test_the_dots_move_with_their_labels(name: str) -> None:
    transform, apart, seen = make_transform(name), [], 0
    for seed in range(8):
        moved = transform(dots(seed), seed)
        labelled = moved.people.labelled[0]  # flips rename them, but there is a dot at each
        seen += int(labelled.sum())
        apart += [off_its_label(moved.pixels, point) for point in moved.people.keypoints[0, labelled]]
    assert seen > 30 and np.isfinite(apart).mean() > 0.2, (seen, np.isfinite(apart).mean())
    assert np.nanmedian(apart) < 0.12
    if not issubclass(getattr(A, name), A.CoarseDropout | A.Erasing | A.GridDropout | A.XYMasking):  # which cut dots in two
        assert np.nanquantile(apart, 0.9) < 0.2  # dots at a border are cut, too


def largest_shift(before: Sample, after: list[NDArray[np.uint8]]) -> int:
    """By how many pixels one of four parts of a picture has moved, in many draws added up."""
    drawn, lay = np.mean([edges(image) for image in after], axis=0), edges(before.pixels)
    parts = (np.s_[:120, :160], np.s_[120:, :160], np.s_[:120, 160:], np.s_[120:, 160:])
    return max(abs(shift) for part in parts for shift in best_shift(lay[part], drawn[part]))


@pytest.mark.parametrize("name", [name for name in ACCEPTED if issubclass(getattr(A, name), A.ImageOnlyTransform)])
def test_colours_leave_the_picture_where_it_is(name: str) -> None:
    """But for a pixel: some draw shadows on one side of edges, or shuffle neighbours."""
    transform, sample = make_transform(name), texture()
    moved = [transform(sample, seed) for seed in range(12)]
    for one in moved:
        assert one.pixels.dtype == np.uint8 and one.pixels.shape == (3, *SIZE)
        np.testing.assert_array_equal(one.people.keypoints, sample.people.keypoints)
    assert largest_shift(sample, [one.pixels for one in moved]) <= 1


def test_what_moves_the_picture_alone_would_be_seen() -> None:
    moved = np.roll(texture().pixels, 2, axis=2)
    assert largest_shift(texture(), [moved]) == 2
    nearest = A.Downscale(scale_range=(0.2, 0.2), p=1.0)(image=np.ascontiguousarray(texture().pixels.transpose(1, 2, 0)))["image"]
    assert largest_shift(texture(), [nearest.transpose(2, 0, 1)]) == 2


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_labels_cannot_follow_is_refused_with_its_reason(name: str) -> None:
    with pytest.raises(ConfigError, match=f"augment.transforms: {name} .*({REFUSED[name]})"):
        make_transform(name)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "ColorJiter"}, "did you mean 'ColorJitter'"),
        ({"name": "ColorJitter", "brightnes": 0.3}, "did you mean 'brightness'"),
        ({"name": "RandomCrop"}, "does not take"),
        ({"name": "HorizontalFlip", "p": 2.0}, "does not take"),
        ({"name": "ToGray", "num_output_channels": 1}, "uint8 RGB"),
        ({"name": "Downscale"}, "nearest pixels"),
        ({"name": "Pad", "padding": 30, "border_mode": cv2.BORDER_REFLECT_101}, "masks|loses or adds"),
        ({"name": "Affine", "rotate": 20, "border_mode": cv2.BORDER_REFLECT_101}, "loses or adds"),
        ({"name": "Rotate", "fill_mask": 255}, "fill_mask"),
        ({"name": "CoarseDropout", "fill_mask": 0}, "fill_mask"),
        ({"name": "RandomCrop", "height": 9000, "width": 9000}, "cannot be used"),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else None,
)
def test_options_that_labels_cannot_follow_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Transform(options, COCO.flip_order)


def test_an_image_that_is_too_small_for_a_transform_is_named() -> None:
    with pytest.raises(ConfigError, match=r"RandomCrop cannot take image 3 of 96 x 128 px"):
        make_transform("RandomCrop", height=100, width=100)(make_sample(3, people=1), 0)


CUTTING: list[dict[str, Any]] = [
    {"name": "RandomCrop", "height": 150, "width": 150},
    {"name": "RandomResizedCrop", "size": (200, 200), "scale": (0.5, 0.8), "ratio": (1.0, 1.3)},
    {"name": "Affine", "translate_percent": 0.3, "rotate": 30},
]


@pytest.mark.parametrize("options", CUTTING, ids=lambda options: options["name"])
def test_what_a_transform_cuts_off_is_no_label_and_what_it_adds_is_padding(options: dict[str, Any]) -> None:
    """Where dots are seen their keypoints are labelled, in the picture; the canvas shows padding where the picture ends."""
    still: dict[str, Any] = {"rotate": 0.0, "scale": (0.7, 0.7), "translate": 0.0, "flip": 0.0}
    augment = Augment((320, 320), (255, 0, 0), COCO.flip_order, **still, transforms=[options | {"p": 1.0}])
    cut = 0
    for seed in range(8):
        moved = augment(dots(seed), seed)
        people, padding = moved.people, moved.ignore["padding"]
        x, y = people.keypoints[0].T.astype(int).clip(0, 319)
        inner = cv2.erode((~padding).astype(np.uint8), np.ones((5, 5)))[y, x] > 0
        outer = cv2.dilate((~padding).astype(np.uint8), np.ones((5, 5)))[y, x] > 0
        kept = (people.keypoints[0] >= 0).all(-1) & (people.keypoints[0] < 320).all(-1)
        assert people.labelled[0, inner & kept].all() and not people.labelled[0, ~outer | ~kept].any()
        assert (people.visibility[0, ~people.labelled[0]] == OUTSIDE).all()
        assert np.nanmedian([off_its_label(moved.pixels, point) for point in people.keypoints[0, people.labelled[0]]]) < 0.2
        cut += int((~people.labelled).sum())
    assert cut > 8


@pytest.mark.parametrize("options", CUTTING[:2], ids=lambda options: options["name"])
def test_the_canvas_is_centred_on_what_a_crop_leaves(options: dict[str, Any]) -> None:
    still: dict[str, Any] = {"rotate": 0.0, "scale": (1.0, 1.0), "translate": 0.0, "flip": 0.0}
    augment = Augment((160, 160), (0, 0, 0), COCO.flip_order, **still, transforms=[options | {"p": 1.0}])
    for seed in range(4):
        assert augment(dots(seed), seed).ignore["padding"].mean() < 0.01


def test_transforms_and_the_warp_draw_numbers_of_their_own() -> None:
    """How bright an image is says nothing of how large it is."""
    jitter = {"name": "ColorJitter", "brightness": [0.5, 1.5], "contrast": 0, "saturation": 0, "hue": 0, "p": 1.0}
    augment = Augment(
        (64, 64), (0, 0, 0), COCO.flip_order, rotate=0.0, scale=(0.5, 1.0), translate=0.0, flip=0.0, transforms=[jitter]
    )
    grey = replace(make_sample(0, (64, 64), people=1), image=np.full((3, 64, 64), 100, np.uint8))
    views = [augment(grey, seed) for seed in range(200)]
    drawn = np.array([(view.pixels[0, 32, 32], view.to_input[0, 0]) for view in views])
    assert np.std(drawn, axis=0).min() > 0.1 and abs(np.corrcoef(drawn.T)[0, 1]) < 0.25


def test_every_transform_that_there_is_was_judged() -> None:
    assert not REFUSED.keys() - set(NAMES)
    corners = np.array(((0.0, 0.0), (320.0, 240.0)))
    for name in ACCEPTED:  # an untouched sample's affine is its own
        if issubclass(getattr(A, name), A.ImageOnlyTransform):
            moved = make_transform(name, p=0.0)(dots(), 0)
            np.testing.assert_array_equal(transform_points(corners, moved.to_input), corners)
