"""Heatmaps, tags and ignored areas over their image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bottomup.drawing.marks import Colour
from bottomup.drawing.poses import person_colour
from bottomup.drawing.sheets import Picture, caption, contact_sheet, tile, to_picture
from bottomup.geometry import Grid, resample
from bottomup.skeletons import Skeleton

_IGNORED = {"crowd": (255, 60, 60), "unannotated": (255, 200, 0), "unmasked": (190, 60, 255), "padding": (90, 90, 90)}
_OTHER = (0, 220, 220)  # of ignore maps by other names
_SEVERAL = (255, 255, 255)  # inside the masks of several people
_COLUMNS = 6
_OUTLIERS = 2.0  # percent at both ends of the tags' range that the colours leave out
_TAG_FROM, _TAG_TO = 0.1, 0.4  # heatmap values between which a tag's colour appears
_FAINTEST = 90  # the first entry of OpenCV's "hot" colours that is red and not black


def draw_heatmap(image: NDArray[np.uint8], heatmap: Tensor, grid: Grid, skeleton: Skeleton) -> Picture:
    """A sheet of the maps (K, h, w) over the image (3, H, W), one a keypoint; 0 is transparent, 1 opaque.

    Images longer than 640 px are shrunk to that.
    """
    picture = tile(image)
    maps = at_pixels(heatmap, grid, image, picture)
    return contact_sheet([overlay(picture, scores) for scores in maps], columns=_COLUMNS, titles=skeleton.keypoints)


def draw_strongest(image: NDArray[np.uint8], heatmap: Tensor, grid: Grid) -> Picture:
    """The maximum over the keypoints' maps (K, h, w), over the image (3, H, W)."""
    picture = to_picture(image)
    return overlay(picture, at_pixels(heatmap.amax(0, keepdim=True), grid, image, picture)[0])


def draw_tags(image: NDArray[np.uint8], tags: Tensor, heatmap: Tensor, grid: Grid, skeleton: Skeleton) -> Picture:
    """A sheet of the tag maps (K, D, h, w) as colours, Associative Embedding Fig. 7; of D dimensions the first.

    Where the heatmap (K, h, w) is low the tag means nothing and the grey image shows. Sizes as in ``draw_heatmap``.
    """
    return _tag_sheet(image, tags, heatmap, grid, skeleton.keypoints)


def draw_instance_tags(
    image: NDArray[np.uint8], tags: Tensor, foreground: Tensor, grid: Grid, categories: Sequence[str]
) -> Picture:
    """A sheet of the tag maps (C, D, h, w) as colours where the foreground (C, h, w) is not low, as ``draw_tags``'."""
    return _tag_sheet(image, tags, foreground, grid, categories)


def _tag_sheet(image: NDArray[np.uint8], tags: Tensor, heatmap: Tensor, grid: Grid, titles: Sequence[str]) -> Picture:
    picture = tile(image)
    values = at_pixels(tags[:, 0], grid, image, picture, mode="nearest")  # between two people lies no third tag
    scores = at_pixels(heatmap, grid, image, picture)
    weight = np.clip((scores - _TAG_FROM) / (_TAG_TO - _TAG_FROM), 0, 1)
    meant = values[weight > 0]
    low, high = np.percentile(meant, (_OUTLIERS, 100 - _OUTLIERS)) if meant.size else (0.0, 1.0)
    scaled = (np.clip((values - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)
    grey = np.repeat(picture.mean(-1, keepdims=True, dtype=np.float32), 3, axis=-1) * 0.6
    drawn = []
    for value, alpha in zip(scaled, weight[..., None], strict=True):
        colours = cv2.applyColorMap(value, cv2.COLORMAP_RAINBOW)[..., ::-1]
        drawn.append((grey * (1 - alpha) + colours * alpha).astype(np.uint8))
    return contact_sheet(drawn, columns=_COLUMNS, titles=titles)


def draw_ignore(
    image: NDArray[np.uint8], ignore: Mapping[str, NDArray[np.bool_]], instances: NDArray[np.int16] | None = None
) -> Picture:
    """What the losses leave out, tinted by kind as the legend says, and the instance map, tinted by person."""
    picture = to_picture(image)
    legend: dict[str, Colour] = {}
    if instances is not None:
        for n in range(1, int(instances.max(initial=0)) + 1):
            _tint(picture, instances == n, person_colour(n - 1))
        _tint(picture, instances < 0, _SEVERAL)
        legend |= {"several people": _SEVERAL} if (instances < 0).any() else {}
    for name, pixels in ignore.items():
        if pixels.any():
            legend[name] = _IGNORED.get(name, _OTHER)
            _tint(picture, pixels, legend[name])
    return caption(picture, "\n".join(legend), list(legend.values())) if legend else picture


def _tint(picture: Picture, pixels: NDArray[np.bool_], colour: Colour) -> None:
    """Half cover some pixels with a colour, and wholly those at their border."""
    picture[pixels] = (picture[pixels] * 0.5 + np.array(colour) * 0.5).astype(np.uint8)
    inner = cv2.erode(pixels.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1).astype(bool)
    picture[pixels & ~inner] = colour


def overlay(picture: Picture, scores: NDArray[np.float32]) -> Picture:
    """A map (H, W) over a picture; 0 is transparent, 1 opaque."""
    alpha = np.clip(scores, 0, 1)[..., None]
    shade = (_FAINTEST + alpha[..., 0] * (255 - _FAINTEST)).astype(np.uint8)
    colours = cv2.applyColorMap(shade, cv2.COLORMAP_HOT)[..., ::-1]
    shown: Picture = (picture * np.float32(0.6) * (1 - alpha) + colours * alpha).astype(np.uint8)
    return shown


def at_pixels(maps: Tensor, grid: Grid, image: NDArray[np.uint8], picture: Picture, mode: str = "bilinear") -> NDArray[np.float32]:
    """Maps (K, h, w) of an image (3, H, W) at the pixels of its picture, (K, H', W'); 0 where they are not finite."""
    finite = maps[None].detach().cpu().float().nan_to_num(0.0, 0.0, 0.0)
    whole = finite.new_tensor(((0, 0, image.shape[2], image.shape[1]),))
    shown = finite.new_tensor(((0, 0, picture.shape[1], picture.shape[0]),))
    placed = resample(finite, grid, whole, Grid.centred(1), shown, (picture.shape[0], picture.shape[1]), mode)
    return np.asarray(placed[0].numpy(), dtype=np.float32)
