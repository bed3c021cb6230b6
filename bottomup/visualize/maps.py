"""Heatmaps, tags and ignored areas over their image."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bottomup.geometry import Grid, resize
from bottomup.skeletons import Skeleton
from bottomup.visualize.people import person_colour
from bottomup.visualize.sheets import Picture, caption, contact_sheet, to_picture

_IGNORED = {"crowd": (255, 60, 60), "unannotated": (255, 200, 0), "unmasked": (190, 60, 255), "padding": (90, 90, 90)}
_OUTLIERS = 2.0  # percent at both ends of the tags' range that the colours leave out


def draw_heatmap(image: NDArray[np.uint8], heatmap: Tensor, grid: Grid, skeleton: Skeleton) -> Picture:
    """A sheet of the maps (K, h, w) over the image (3, H, W), one a keypoint; 0 is transparent, 1 opaque."""
    maps = _at_pixels(heatmap, grid, image)
    return contact_sheet([_overlay(image, scores) for scores in maps], columns=6, titles=skeleton.keypoints)


def draw_strongest(image: NDArray[np.uint8], heatmap: Tensor, grid: Grid) -> Picture:
    """The maximum over the keypoints' maps (K, h, w), over the image (3, H, W)."""
    return _overlay(image, _at_pixels(heatmap, grid, image).max(0))


def draw_tags(image: NDArray[np.uint8], tags: Tensor, heatmap: Tensor, grid: Grid, skeleton: Skeleton) -> Picture:
    """A sheet of the tag maps (K, D, h, w) as colours, Associative Embedding Fig. 7; of D dimensions the first.

    Where the heatmap (K, h, w) is low the tag means nothing and the grey image shows.
    """
    values = _at_pixels(tags[:, 0], grid, image, mode="nearest")
    weight = np.clip(_at_pixels(heatmap, grid, image) * 2, 0, 1)
    meant = values[weight > 0.2]
    low, high = np.percentile(meant, (_OUTLIERS, 100 - _OUTLIERS)) if meant.size else (0.0, 1.0)
    scaled = (np.clip((values - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)
    grey = np.repeat(to_picture(image).mean(-1, keepdims=True), 3, axis=-1) * 0.6
    drawn = []
    for value, alpha in zip(scaled, weight[..., None], strict=True):
        colours = cv2.applyColorMap(value, cv2.COLORMAP_RAINBOW)[..., ::-1]
        drawn.append((grey * (1 - alpha) + colours * alpha).astype(np.uint8))
    return contact_sheet(drawn, columns=6, titles=skeleton.keypoints)


def draw_ignore(
    image: NDArray[np.uint8], ignore: Mapping[str, NDArray[np.bool_]], instances: NDArray[np.int16] | None = None
) -> Picture:
    """What the losses leave out, tinted by kind, and the instance map, tinted by person."""
    picture = to_picture(image)
    if instances is not None:
        for n in range(1, int(instances.max(initial=0)) + 1):
            _tint(picture, instances == n, person_colour(n - 1))
        _tint(picture, instances < 0, (255, 255, 255))
    for name, pixels in ignore.items():
        _tint(picture, pixels, _IGNORED[name])
    present = [name for name, pixels in ignore.items() if pixels.any()]
    return caption(picture, ", ".join(present)) if present else picture


def _tint(picture: Picture, pixels: NDArray[np.bool_], colour: tuple[int, int, int]) -> None:
    picture[pixels] = (picture[pixels] * 0.45 + np.array(colour) * 0.55).astype(np.uint8)


def _overlay(image: NDArray[np.uint8], scores: NDArray[np.float32]) -> Picture:
    alpha = np.clip(scores, 0, 1)[..., None]
    colours = cv2.applyColorMap((alpha[..., 0] * 255).astype(np.uint8), cv2.COLORMAP_HOT)[..., ::-1]
    shown: Picture = (to_picture(image) * 0.6 * (1 - alpha) + colours * alpha).astype(np.uint8)
    return shown


def _at_pixels(maps: Tensor, grid: Grid, image: NDArray[np.uint8], mode: str = "bilinear") -> NDArray[np.float32]:
    """Maps (K, h, w) at the pixels of the image, (K, H, W)."""
    size = (image.shape[1], image.shape[2])
    placed: NDArray[np.float32] = resize(maps[None].detach().cpu().to(torch.float32), grid, Grid.centred(1), size, mode)[0].numpy()
    return placed
