"""What a model makes of a batch in all the views of it that are wanted."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from bottomup.errors import ConfigError, unknown
from bottomup.model import PoseModel
from bottomup.precision import PRECISIONS, Precision
from bottomup.skeletons import warn_of_mirroring
from bottomup.types import Batch, Frame, Outputs
from bottomup.views.batches import growth, make_view
from bottomup.views.maps import merge, unflip

Kind = Literal["maps", "instances", "oks_nms"]
Seen = tuple[Outputs, Frame]  # what heads make of a view, or of several that are merged, and where it lies


@dataclass(frozen=True, kw_only=True)
class Views:
    """The views in which a model sees a batch: at each of ``scales``, with ``flip`` mirrored, too.

    ``kind`` "maps" merges the maps of all onto the first scale's; "instances" and "oks_nms", of which ``joining`` knows the
    difference, leave each scale to be decoded by itself, only its mirrored view merged. Heads that ``head_scales`` names are run at
    scales of their own instead, and merged onto each frame.
    Networks run at ``precision``. ConfigError for what does not fit the model.
    """

    scales: Sequence[float] = (1.0,)
    head_scales: Mapping[str, Sequence[float]] = field(default_factory=dict)
    flip: bool = False
    kind: Kind = "maps"
    precision: Precision = "fp32"
    model: PoseModel = field(repr=False)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ConfigError(f"views is one of {list(get_args(Kind))}, got {self.kind!r}")
        if self.precision not in PRECISIONS:
            raise ConfigError(f"precision is one of {list(PRECISIONS)}, got {self.precision!r}")
        _check_factors("scales", self.scales)
        known = [name for name, stack in self.model.stacks() if stack.reads]
        for name, own in self.head_scales.items():
            if name not in known:
                raise ConfigError("head_scales: " + unknown("head of this model with features", name, known))
            _check_factors(f"head_scales.{name}", own)
        if self.flip:
            warn_of_mirroring(self.model.task.skeleton)

    def __str__(self) -> str:
        kind = f" as {self.kind}" if len(self.scales) > 1 else ""
        own = "".join(f", {name} at {_listed(scales)}" for name, scales in self.head_scales.items())
        return f"at {_listed(self.scales)}{kind}{own}{', flipped' if self.flip else ''}"

    @property
    def largest(self) -> float:
        """The largest scale in use, in which images are letterboxed; views of the others are made of that."""
        read = self.model.looking()
        return max(*self.scales, *(scale for name in read for scale in self.head_scales.get(name, ())), 0.0)

    def seen(self, batch: Batch, oracle: Sequence[str] = ()) -> list[Seen]:
        """What is decoded by itself: the merged outputs of all views, or of the views of each scale."""
        if self.kind == "maps":
            return [self._merged(batch, self.scales, oracle)]
        return [self._merged(batch, (scale,), oracle) for scale in self.scales]

    def at(self, batch: Batch, scale: float, flipped: bool = False) -> Batch:
        """One view of a batch that was letterboxed at the largest scale."""
        share = scale / self.largest
        size = (self.model.side(round(batch.size[0] * share)), self.model.side(round(batch.size[1] * share)))
        skeleton = self.model.task.skeleton
        return make_view(batch, size, share, flipped, self.model.fill, skeleton.flip_order if skeleton else ())

    def to_frame(self, batch: Batch, frame: Frame) -> NDArray[np.float64]:
        """(B, 2, 3) affine, from image px to those of a view's frame."""
        grown = growth(batch.size, frame.scale / self.largest)
        moved: NDArray[np.float64] = batch.to_input.cpu().numpy() * np.array(grown)[:, None]
        return moved

    def _merged(self, batch: Batch, scales: Sequence[float], oracle: Sequence[str]) -> Seen:
        """The merged outputs of some scales' views, on the frame of the first."""
        heads_at = self._heads_at(self.model.looking(oracle), scales)
        if len(heads_at) == 1 and not self.flip:
            view = self.at(batch, scales[0])
            return self._forward(view, oracle, None), self._frame(view, scales[0])
        flips = (False, True) if self.flip else (False,)
        views = [self._see(batch, scale, flipped, heads, oracle) for scale, heads in heads_at.items() for flipped in flips]
        frames = [frame for _, frame in views]
        return merge(self.model, [outputs for outputs, _ in views], frames, frames[0], oracle), frames[0]

    def _heads_at(self, looking: Sequence[str], scales: Sequence[float]) -> dict[float, list[str]]:
        """Which of the heads that look at the image do so in each of ``scales``, and then in each of their own."""
        used = dict.fromkeys((*scales, *(scale for name in looking for scale in self.head_scales.get(name, ()))))
        return {scale: [name for name in looking if scale in self.head_scales.get(name, scales)] for scale in used}

    def _see(self, batch: Batch, scale: float, flipped: bool, heads: Collection[str], oracle: Sequence[str]) -> Seen:
        """What ``heads`` make of one view, and what is given of those that do not look at it; a flip is undone."""
        view = self.at(batch, scale, flipped)
        frame = self._frame(view, scale)
        keys = self.model.keys_of(heads)
        outputs = self._forward(view, oracle, keys)
        kept = keys | self.model.keys_of(name for name in oracle if not self.model.stack(name).reads)
        outputs = {key: maps for key, maps in outputs.items() if key in kept}
        return (unflip(self.model, outputs, frame), frame.flipped()) if flipped else (outputs, frame)

    def _frame(self, view: Batch, scale: float) -> Frame:
        return replace(self.model.frame(view), scale=scale)

    def _forward(self, batch: Batch, oracle: Sequence[str], wanted: Collection[str] | None) -> Outputs:
        given = self.model.ideal(batch, oracle) if oracle else None
        images = None if batch.images is None else batch.images.contiguous(memory_format=torch.channels_last)
        device, precision = batch.keypoints.device.type, PRECISIONS[self.precision]
        with torch.autocast(device, precision) if precision is not torch.float32 else contextlib.nullcontext():
            result: Outputs = self.model(images, given=given, trim=True, wanted=wanted)[0]
        return result


def _listed(scales: Sequence[float]) -> str:
    return f"scale{'s' if len(scales) > 1 else ''} {' and '.join(f'{scale:g}' for scale in scales)}"


def _check_factors(where: str, scales: Sequence[float]) -> None:
    if not scales or min(scales) <= 0:
        raise ConfigError(f"{where} should be positive factors of input_size, got {list(scales)}")
