"""Images to predictions in image px: letterboxing, views (flip, scales), batches of equal shapes, input order."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple, overload

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL.Image import Image as PillowImage
from torch import Tensor

from bottomup.contracts import Decoder
from bottomup.dataset import Dataset
from bottomup.devices import device_of
from bottomup.geometry import invert
from bottomup.image_files import ImageReader, Orientation
from bottomup.images import Image, is_one, pixels_of, several
from bottomup.model import PoseModel
from bottomup.ops.shown import shown
from bottomup.options import BelowOne, Count, Positive, checked
from bottomup.precision import Precision
from bottomup.samples.labels import Labels
from bottomup.samples.letterbox import Side, letterbox
from bottomup.samples.loader import buckets, collate, prepared_samples
from bottomup.skeletons import Skeleton
from bottomup.thresholds import Thresholds
from bottomup.types import Batch, Frame, Outputs, Prediction, Sample
from bottomup.views import Kind, Seen, Views, join_predictions


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
    view merged as maps, and people are joined (``views.join_views``). Heads that ``head_scales`` names are run at scales of
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
        scales: Sequence[Positive] = (1.0,),
        head_scales: Mapping[str, Sequence[Positive]] | None = None,
        flip: bool = False,
        views: Kind = "maps",
        batch_size: Count = 8,
        precision: Precision = "fp32",
        device: str | torch.device = "cpu",
        orientation: Orientation = "upright",
        bit_depth: int | None = None,
        score_threshold: BelowOne | None = None,
        keypoint_threshold: BelowOne | None = None,
    ) -> None:
        self.decoder, self.device = decoder, device_of(device)
        self.model = model.to(self.device).to(memory_format=torch.channels_last).eval()
        self.input_size, self.side, self.batch_size = input_size, side, batch_size
        own = {name: tuple(several) for name, several in (head_scales or {}).items()}
        self.views = Views(model=self.model, scales=tuple(scales), head_scales=own, flip=flip, kind=views, precision=precision)
        self.read = ImageReader(orientation, bit_depth)
        given = {"score": score_threshold, "keypoint": keypoint_threshold}
        said = {name: value for name, value in given.items() if value is not None}
        self.thresholds: Thresholds = replace(decoder.recommended, **said)

    def __repr__(self) -> str:
        backbone = type(self.model.backbone).__name__ if self.model.backbone is not None else "no backbone"
        parts = f"{backbone}, heads {', '.join(self.model.heads)}, {type(self.decoder).__name__}"
        return f"Predictor({parts}; {self.side} side {self.input_size} px, {self.views}, on {self.device})"

    @property
    def skeleton(self) -> Skeleton | None:
        """Of the instances that are found; None where they have no keypoints."""
        return self.model.task.skeleton if self.decoder.posed else None

    @property
    def _sigmas(self) -> Sequence[float]:
        return self.skeleton.sigmas if self.skeleton is not None else ()

    @property
    def scales(self) -> Sequence[float]:
        """The factors of ``input_size`` at which images are seen."""
        return self.views.scales

    @property
    def flip(self) -> bool:
        """Whether the mirrored view of each scale is seen, too."""
        return self.views.flip

    @overload  # a text is a sequence of texts, too, but one path here
    def __call__(self, images: str | Path | NDArray[np.uint8] | PillowImage) -> Prediction: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, images: Iterable[Image]) -> list[Prediction]: ...
    def __call__(self, images: Image | Iterable[Image]) -> Any:
        """One Prediction for one image; a list, in order, for a list, a generator, a folder, a glob (``**``: any depth) or a video.

        An image is a path, an (H, W, 3) uint8 RGB array or a Pillow image. DataError names what is none. Type checkers take a
        path for one image; ``predict`` gives a list whatever is there.
        """
        if is_one(images):
            return self.predict([images])[0]  # type: ignore[list-item]
        return self.predict(images)  # type: ignore[arg-type]

    def predict(self, images: str | Path | Iterable[Image]) -> list[Prediction]:
        """Predict on several images, on those of a folder or a glob, or on a video's frames, in order: who is worth showing."""
        samples = ((index, self._sample(image, index)) for index, image in enumerate(several(images)))
        found = dict(self._run(samples, ()))
        return [self.shown(found[index]) for index in sorted(found)]

    def stream(self, images: str | Path | Iterable[Image]) -> Iterator[Prediction]:
        """As ``predict``, each prediction as soon as its batch is done: of a video or a camera no more is held than a batch."""
        waiting = iter(several(images))
        while batch := list(itertools.islice(waiting, self.batch_size)):
            yield from self.predict(batch)

    def shown(self, prediction: Prediction) -> Prediction:
        """What of a prediction with all instances is worth showing, ``ops.shown``."""
        return shown(prediction, self.thresholds, self._sigmas)

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
        prepared: Sample = self._letterbox()(Sample.of_pixels(pixels_of(image, self.read), index, self.model.task.keypoints))
        return prepared

    def _letterbox(self) -> Any:
        fill = self.model.fill.tolist()
        return partial(
            letterbox,
            side_length=round(self.input_size * self.views.largest),
            accept=self.model.side,
            fill=fill,
            side=self.side,
            enlarged=self.views.largest,
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
        matrices = [self.views.to_frame(batch, frame) for _, frame in seen]
        images = zip(zip(*found, strict=True), zip(*matrices, strict=True), strict=True)
        return [join_predictions(views, to_views, self._sigmas, self.decoder.suppress) for views, to_views in images]

    def _decode(self, batch: Batch, outputs: Outputs, frame: Frame) -> list[Prediction]:
        """The predictions, in image px, that merged outputs of a letterboxed batch hold."""
        found = self.decoder(outputs, frame)
        per_image = zip(found, self.views.to_frame(batch, frame), batch.file_sizes, batch.image_ids, strict=True)
        return [
            self._named(to_image(prediction, to_view, size, image_id, frame, row))
            for row, (prediction, to_view, size, image_id) in enumerate(per_image)
        ]

    def _named(self, prediction: Prediction) -> Prediction:
        """A prediction with what drawing it needs."""
        return replace(prediction, skeleton=self.skeleton, keypoint_threshold=self.thresholds.keypoint)

    def seen(self, batch: Batch, oracle: Sequence[str] = ()) -> list[Seen]:
        """What is decoded by itself of a letterboxed batch: the merged outputs of all views, or of the views of each scale."""
        return self.views.seen(batch, oracle)

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
        image = self.views.at(batch, self.views.scales[0]).images
        if image is None:
            raise ValueError("there is nothing to look at in labels alone; give a sample with its image")
        seen = self.seen(batch, oracle)
        outputs, frame = seen[0]
        (prediction,) = self.decode(batch, seen)
        return Look(prediction, image[0].cpu().numpy(), outputs, frame, self.views.to_frame(batch, frame)[0])


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
