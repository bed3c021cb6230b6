"""Images to predictions in image px: letterboxing, views (flip, scales), batches of equal shapes, input order."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from bottomup.contracts import Decoder
from bottomup.dataset import Dataset
from bottomup.errors import ConfigError
from bottomup.geometry import area_scale, invert
from bottomup.image_files import ImageReader, Orientation
from bottomup.images import Image, find_images, is_one, sample_of
from bottomup.model import PoseModel
from bottomup.ops.joining import join_views
from bottomup.ops.shown import shown
from bottomup.options import BelowOne, Count, checked
from bottomup.precision import PRECISIONS, Precision
from bottomup.registry import unknown
from bottomup.samples.labels import Labels
from bottomup.samples.letterbox import Side, letterbox
from bottomup.samples.loader import buckets, collate, prepared_samples
from bottomup.skeletons import warn_of_mirroring
from bottomup.thresholds import Thresholds
from bottomup.types import Batch, Frame, Outputs, Prediction, Sample
from bottomup.views import growth, make_view

Views = Literal["maps", "instances"]
Seen = tuple[Outputs, Frame]  # what heads make of a view, or of several that are merged, and where it lies


class Look(NamedTuple):
    """One image as the network saw it, and what it made of it; of several views that are decoded apart the first."""

    prediction: Prediction  # image px
    image: NDArray[np.uint8]  # (3, H, W) input px
    outputs: Outputs  # of a batch of one
    frame: Frame
    to_frame: NDArray[np.float64]  # (2, 3) affine, image px -> the frame's px


@checked("predictor")
class Predictor:
    """Runs a model and its decoder on images.

    ``input_size`` is the length in px to which the ``side`` ("long", "short" or "square": padded to a square) of an image is
    resized; "native" leaves an image as it is whose long side is between that and twice as much, and resizes others to the
    nearer end, so that a photo of any size fits into memory. ``scales`` are factors of it, and ``flip`` adds the mirrored view of
    each. With ``views`` "maps" the maps of all are merged onto the first scale's, so the finest first keeps most, and what is
    coarser than the first blurs people who are close together; with "instances" each scale is decoded by itself, only its mirrored
    view merged as maps, and people are joined (``ops.joining.join_views``). Heads that ``head_scales`` names are run at scales of
    their own instead, as MultiPoseNet's boxes, {"retinanet": [1.667]}, and merged onto each frame that is decoded.

    Predictions are in px of the image as given: a file turned upright by its EXIF, as viewers show it, or, with ``orientation``
    "stored", as its pixels lie, which COCO's annotations refer to; an array or a Pillow image as its pixels lie. ``bit_depth``
    says how many of 16 bits a channel files use (``ImageReader``). Data sets have options of their own for both.

    Of images, files and folders those people are predicted who are worth showing: who score ``score_threshold`` or more, once each,
    in boxes around their mask or the keypoints above ``keypoint_threshold`` (None: what the decoder recommends, for methods score
    differently; a ``score_threshold`` of 0: everybody, as accuracy is measured). Of data sets, which are there to be measured
    on, everybody is predicted.
    """

    def __init__(
        self,
        model: PoseModel,
        decoder: Decoder,
        *,
        input_size: Annotated[Count, "px"] = 512,
        side: Side = "long",
        scales: Sequence[float] = (1.0,),
        head_scales: Mapping[str, Sequence[float]] | None = None,
        flip: bool = False,
        views: Views = "maps",
        batch_size: Count = 8,
        precision: Precision = "fp32",
        device: str | torch.device = "cpu",
        orientation: Orientation = "upright",
        bit_depth: int | None = None,
        score_threshold: BelowOne | None = None,
        keypoint_threshold: BelowOne | None = None,
    ) -> None:
        if views == "instances" and model.task.skeleton is None:
            raise ConfigError("views=instances joins people by their keypoints; the model's task has no skeleton: give views=maps")
        self.model = model.to(device).to(memory_format=torch.channels_last).eval()
        self.decoder, self.device = decoder, torch.device(device)
        self.input_size, self.side, self.scales, self.flip = input_size, side, _factors("scales", scales), flip
        self.head_scales, self.views = _own_scales(model, head_scales or {}), views
        self.batch_size, self.precision = batch_size, PRECISIONS[precision]
        self.read = ImageReader(orientation, bit_depth)
        if flip:
            warn_of_mirroring(model.task.skeleton)
        given = {"score": score_threshold, "keypoint": keypoint_threshold}
        said = {name: value for name, value in given.items() if value is not None}
        self.thresholds: Thresholds = replace(decoder.recommended, **said)

    def __call__(self, images: Image | Sequence[Image]) -> Any:
        """One Prediction for one image; a list, in order, for a list, a folder or a glob (``**`` is any depth of folders).

        An image is a path, an (H, W, 3) uint8 RGB array or a Pillow image. DataError names what is none.
        """
        if is_one(images):
            return self.predict([images])[0]  # type: ignore[list-item]
        return self.predict(find_images(images) if isinstance(images, (str, Path)) else images)  # type: ignore[arg-type]

    def predict(self, images: Sequence[Image]) -> list[Prediction]:
        """Predict on several images, in order: the instances worth showing."""
        samples = ((index, self._sample(image, index)) for index, image in enumerate(images))
        found = dict(self._run(samples, ()))
        return [self.shown(found[index]) for index in range(len(images))]

    def shown(self, prediction: Prediction) -> Prediction:
        """What of a prediction with all instances is worth showing, ``ops.shown``."""
        skeleton = self.model.task.skeleton
        return prediction if skeleton is None else shown(prediction, self.thresholds, skeleton.sigmas)

    def predict_dataset(self, dataset: Dataset, oracle: Sequence[str] = (), workers: int = 0) -> Iterator[tuple[int, Prediction]]:
        """Predict on every image of a data set, with its index, as batches fill: all instances, however they score.

        ``oracle`` names heads whose ideal outputs, from the annotations, replace their predictions.
        """
        return self._run(self.samples(dataset, oracle, workers), oracle)

    def samples(self, dataset: Dataset, oracle: Sequence[str] = (), workers: int = 0) -> Iterator[tuple[int, Sample]]:
        """Every image of a data set, letterboxed, with its index; without pixels where none is read, with masks for an oracle."""
        maps = {"instances"} if any(self.model.stack(name).last.reads_instances for name in oracle) else set[str]()
        if not maps and not self.model.reads_images(self.model.decoded, self.model.keys_of(oracle)):
            dataset = Labels(dataset)
        return prepared_samples(dataset, self._letterbox(), frozenset(maps), workers)

    def _sample(self, image: Image, index: int = 0) -> Sample:
        """An image, letterboxed."""
        prepared: Sample = self._letterbox()(sample_of(image, index, self.model.task.keypoints, self.read))
        return prepared

    def _letterbox(self) -> Any:
        fill = self.model.fill.tolist()
        return partial(
            letterbox,
            side_length=round(self.input_size * self.largest),
            accept=self.model.side,
            fill=fill,
            side=self.side,
            enlarged=self.largest,
        )

    def _run(self, samples: Iterable[tuple[int, Sample]], oracle: Sequence[str]) -> Iterator[tuple[int, Prediction]]:
        for indices, batch in buckets(samples, self.batch_size):
            yield from zip(indices, self.predict_batch(batch, oracle), strict=True)

    @torch.inference_mode()
    def predict_batch(self, batch: Batch, oracle: Sequence[str] = ()) -> list[Prediction]:
        """Predict on a letterboxed batch; predictions in image px."""
        return self.decode(batch, self.seen(batch.to(self.device), oracle))

    @torch.inference_mode()
    def decode(self, batch: Batch, seen: Sequence[Seen]) -> list[Prediction]:
        """The predictions, in image px, that hold together what was seen of a letterboxed batch."""
        found = [self._decode(batch, *one) for one in seen]
        if len(found) == 1:
            return found[0]
        matrices = [self._to_view(batch, frame) for _, frame in seen]
        images = zip(zip(*found, strict=True), zip(*matrices, strict=True), strict=True)
        return [self._join(predictions, to_views) for predictions, to_views in images]

    def _decode(self, batch: Batch, outputs: Outputs, frame: Frame) -> list[Prediction]:
        """The predictions, in image px, that merged outputs of a letterboxed batch hold."""
        per_image = zip(self.decoder(outputs, frame), self._to_view(batch, frame), batch.file_sizes, batch.image_ids, strict=True)
        return [
            to_image(prediction, to_view, size, image_id, frame, row)
            for row, (prediction, to_view, size, image_id) in enumerate(per_image)
        ]

    def _to_view(self, batch: Batch, frame: Frame) -> NDArray[np.float64]:
        """(B, 2, 3), from image px to a view's."""
        grown = growth(batch.size, frame.scale / self.largest)
        moved: NDArray[np.float64] = batch.to_input.cpu().numpy() * np.array(grown)[:, None]
        return moved

    def _join(self, views: Sequence[Prediction], to_views: Sequence[NDArray[np.float64]]) -> Prediction:
        """One image's predictions, in image px, of its views; suppressed in px of the first."""
        skeleton = self.model.task.skeleton
        assert skeleton is not None  # checked by the constructor
        scales = [area_scale(to_view) ** 0.5 for to_view in to_views]
        joined = join_views([view.instances for view in views], scales, skeleton.sigmas)
        left = self.decoder.suppress(joined.transform(to_views[0])).transform(invert(to_views[0]))
        maps = [view.segmentation for view in views if view.segmentation is not None]
        return replace(views[0], instances=left, segmentation=torch.stack(maps).mean(0) if maps else None)

    def maps(self, image: Image) -> tuple[NDArray[np.uint8], Outputs, Frame]:
        """One image as the network sees it, (3, H, W) in input px, with the outputs that are decoded and where they lie."""
        look = self.look(image)
        return look.image, look.outputs, look.frame

    def look(self, image: Image) -> Look:
        """The prediction of one image, as ``predict`` gives it, with the maps that it was decoded from, of one run."""
        look = self.look_at(self._sample(image))
        return look._replace(prediction=self.shown(look.prediction))

    @torch.inference_mode()
    def look_at(self, sample: Sample, oracle: Sequence[str] = ()) -> Look:
        """A letterboxed sample's prediction, with all instances, and the maps that it was decoded from, of one run."""
        batch = collate([sample]).to(self.device)
        image = self._view(batch, self.scales[0], flipped=False).images
        if image is None:
            raise ValueError("there is nothing to look at in labels alone; give a sample with its image")
        seen = self.seen(batch, oracle)
        outputs, frame = seen[0]
        (prediction,) = self.decode(batch, seen)
        return Look(prediction, image[0].cpu().numpy(), outputs, frame, self._to_view(batch, frame)[0])

    # ---- views ---------------------------------------------------------------------------------------------------------

    @property
    def largest(self) -> float:
        """The largest scale in use, in which images are letterboxed; views of the others are made of that."""
        read = self.model.looking()
        return max(*self.scales, *(scale for name in read for scale in self.head_scales.get(name, ())), 0.0)

    def seen(self, batch: Batch, oracle: Sequence[str] = ()) -> list[Seen]:
        """What is decoded by itself: the merged outputs of all views, or of the views of each scale."""
        if self.views == "maps":
            return [self.outputs(batch, oracle)]
        return [self._merged(batch, (scale,), oracle) for scale in self.scales]

    def outputs(self, batch: Batch, oracle: Sequence[str] = ()) -> Seen:
        """The merged outputs of all views and the frame they lie in: the first scale's."""
        return self._merged(batch, self.scales, oracle)

    def _merged(self, batch: Batch, scales: Sequence[float], oracle: Sequence[str]) -> Seen:
        """The merged outputs of some scales' views, on the frame of the first."""
        heads_at = self._heads_at(self.model.looking(oracle), scales)
        if len(heads_at) == 1 and not self.flip:
            view = self._view(batch, scales[0], flipped=False)
            return self._forward(view, oracle, None), self._frame(view, scales[0])
        flips = (False, True) if self.flip else (False,)
        views = [self._see(batch, scale, flipped, heads, oracle) for scale, heads in heads_at.items() for flipped in flips]
        frames = [frame for _, frame in views]
        return self.model.merge([outputs for outputs, _ in views], frames, frames[0], oracle), frames[0]

    def _heads_at(self, looking: Sequence[str], scales: Sequence[float]) -> dict[float, list[str]]:
        """Which of the heads that look at the image do so in each of ``scales``, and then in each of their own."""
        used = dict.fromkeys((*scales, *(scale for name in looking for scale in self.head_scales.get(name, ()))))
        return {scale: [name for name in looking if scale in self.head_scales.get(name, scales)] for scale in used}

    def _see(self, batch: Batch, scale: float, flipped: bool, heads: Collection[str], oracle: Sequence[str]) -> Seen:
        """What ``heads`` make of one view, and what is given of those that do not look at it; a flip is undone."""
        view = self._view(batch, scale, flipped)
        frame = self._frame(view, scale)
        keys = self.model.keys_of(heads)
        outputs = self._forward(view, oracle, keys)
        kept = keys | self.model.keys_of(name for name in oracle if not self.model.stack(name).reads)
        outputs = {key: maps for key, maps in outputs.items() if key in kept}
        return (self.model.unflip(outputs, frame), frame.flipped()) if flipped else (outputs, frame)

    def _view(self, batch: Batch, scale: float, flipped: bool) -> Batch:
        scale = scale / self.largest
        size = (self.model.side(round(batch.size[0] * scale)), self.model.side(round(batch.size[1] * scale)))
        skeleton = self.model.task.skeleton
        return make_view(batch, size, scale, flipped, self.model.fill, skeleton.flip_order if skeleton else ())

    def _frame(self, view: Batch, scale: float) -> Frame:
        return replace(self.model.frame(view), scale=scale)

    def _forward(self, batch: Batch, oracle: Sequence[str], wanted: Collection[str] | None) -> Outputs:
        given = self.model.ideal(batch, oracle) if oracle else None
        images = None if batch.images is None else batch.images.contiguous(memory_format=torch.channels_last)
        lower = self.precision is not torch.float32
        with torch.autocast(self.device.type, self.precision) if lower else contextlib.nullcontext():
            result: Outputs = self.model(images, given=given, trim=True, wanted=wanted)[0]
        return result


def _factors(where: str, scales: Sequence[float]) -> tuple[float, ...]:
    if not scales or min(scales) <= 0:
        raise ConfigError(f"{where} should be positive factors of input_size, got {list(scales)}")
    return tuple(scales)


def _own_scales(model: PoseModel, scales: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, ...]]:
    """The scales of heads that have their own; ConfigError where one is no head of the model that looks at the image."""
    known = [name for name, stack in model.stacks() if stack.reads]
    for name in scales:
        if name not in known:
            raise ConfigError("head_scales: " + unknown("head of this model with features", name, known))
    return {name: _factors(f"head_scales.{name}", own) for name, own in scales.items()}


def to_image(
    prediction: Prediction, to_input: NDArray[np.float64], size: tuple[int, int], image_id: int, frame: Frame, row: int
) -> Prediction:
    """Move a prediction from input px back to image px."""
    segmentation = prediction.segmentation
    if segmentation is not None:
        segmentation = _to_image_size(segmentation, frame.content[row], size)
    instances = prediction.instances.transform(invert(to_input))
    return replace(prediction, instances=instances, size=size, segmentation=segmentation, image_id=image_id)


def _to_image_size(segmentation: Tensor, content: Tensor, size: tuple[int, int]) -> Tensor:
    x1, y1, x2, y2 = (round(value) for value in content.tolist())
    inner = segmentation[None, None, y1:y2, x1:x2]
    return F.interpolate(inner, size, mode="bilinear", align_corners=False)[0, 0]
