"""Images to predictions in image px: letterboxing, views (flip, scales), batches of equal shapes, input order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bottomup.base_predictor import BasePredictor
from bottomup.base_predictor import Look as Look
from bottomup.contracts import Decoder
from bottomup.dataset import Dataset
from bottomup.devices import device_of
from bottomup.geometry import invert
from bottomup.grouping.reading import to_image_size
from bottomup.image_files import ImageReader, Orientation
from bottomup.images import Image
from bottomup.model import PoseModel
from bottomup.options import BelowOne, Count, Positive, checked
from bottomup.precision import Precision
from bottomup.samples.labels import Labels
from bottomup.samples.letterbox import Side, letterbox
from bottomup.samples.loader import attempted_samples, buckets, collate
from bottomup.samples.skipping import OnError, Readable, Unread
from bottomup.thresholds import Thresholds
from bottomup.types import Batch, Frame, Outputs, Prediction, Sample
from bottomup.views import Found, Kind, Seen, Views, join_predictions


@checked("predictor")
class Predictor(BasePredictor):
    """Runs a model and its decoder on images.

    ``input_size`` is the length in px to which the ``side`` ("long", "short" or "square": padded to a square) of an image is
    resized; "native" leaves an image as it is whose long side is between that and twice as much, and resizes others to the
    nearer end, so that a photo of any size fits into memory. ``scales`` are factors of it, and ``flip`` adds the mirrored view of
    each. With ``views`` "maps" the maps of all are merged onto the first scale's, so the finest first keeps most, and what is
    coarser than the first blurs people who are close together; with "instances" each scale is decoded by itself, only its mirrored
    view merged as maps, and people are joined (``views.join_views``), or with "oks_nms" gathered, the best of those alike left.
    Heads that ``head_scales`` names are run at scales of their own instead, as MultiPoseNet's boxes, {"retinanet": [1.667]}, and
    merged onto each frame that is decoded.

    Predictions are in px of the image as given: a file turned upright by its EXIF, as viewers show it, or, with ``orientation``
    "stored", as its pixels lie, which COCO's annotations refer to; an array or a Pillow image as its pixels lie. ``bit_depth``
    says how many of 16 bits a channel files use (``ImageReader``). Data sets have options of their own for both.

    One image among several that cannot be read is an error; with ``on_error`` "skip" it is left out, and a warning counts those.

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
        on_error: OnError = "raise",
    ) -> None:
        self.decoder, self.device = decoder, device_of(device)
        self.model = model.to(self.device).to(memory_format=torch.channels_last).eval()
        self.input_size, self.side, self.batch_size = input_size, side, batch_size
        own = {name: tuple(several) for name, several in (head_scales or {}).items()}
        self.views = Views(model=self.model, scales=tuple(scales), head_scales=own, flip=flip, kind=views, precision=precision)
        self.read, self.on_error = ImageReader(orientation, bit_depth), on_error
        given = {"score": score_threshold, "keypoint": keypoint_threshold}
        said = {name: value for name, value in given.items() if value is not None}
        self.thresholds: Thresholds = replace(decoder.recommended, **said)

    def __repr__(self) -> str:
        backbone = type(self.model.backbone).__name__ if self.model.backbone is not None else "no backbone"
        parts = f"{backbone}, heads {', '.join(self.model.heads)}, {type(self.decoder).__name__}"
        return f"Predictor({parts}; {self.side} side {self.input_size} px, {self.views}, on {self.device})"

    @property
    def models(self) -> Sequence[PoseModel]:
        """The model."""
        return (self.model,)

    @property
    def scales(self) -> Sequence[float]:
        """The factors of ``input_size`` at which images are seen."""
        return self.views.scales

    @property
    def flip(self) -> bool:
        """Whether the mirrored view of each scale is seen, too."""
        return self.views.flip

    def predict_samples(self, samples: Iterable[tuple[int, Sample]]) -> Iterator[tuple[int, Prediction]]:
        """Predict on samples in px of their images, with their indices, as batches fill: all instances, however they score."""
        return self.predict_prepared((index, self.boxed(sample)) for index, sample in samples)

    def shape(self, sample: Sample) -> tuple[int, int]:
        """The (H, W) px of a sample's input."""
        return self.boxed(sample).shape

    def prepared(self, dataset: Dataset, oracle: Sequence[str] = (), workers: int = 0) -> Iterator[tuple[int, Sample | Unread]]:
        """Every image of a data set, letterboxed, with its index; without pixels where none is read, with masks for an oracle."""
        read, maps = needed(dataset, self.models, oracle)
        return attempted_samples(read, self.boxed, maps, workers, self.on_error)

    def samples(self, dataset: Dataset, oracle: Sequence[str] = (), workers: int = 0) -> Iterator[tuple[int, Sample]]:
        """Those that are read of ``prepared``."""
        return Readable().of(self.prepared(dataset, oracle, workers))

    @property
    def prepare(self) -> Callable[[Sample], Sample]:
        """What letterboxes a sample: ``boxed``."""
        return self.boxed

    @property
    def boxed(self) -> Callable[[Sample], Sample]:
        """What letterboxes a sample as the model wants it; may be sent to other processes."""
        fill = self.model.fill.tolist()
        return partial(
            letterbox,
            side_length=round(self.input_size * self.views.largest),
            accept=self.model.side,
            fill=fill,
            side=self.side,
            enlarged=self.views.largest,
        )

    def predict_prepared(
        self, images: Iterable[tuple[int, Sample]], oracle: Sequence[str] = ()
    ) -> Iterator[tuple[int, Prediction]]:
        """Predict on letterboxed samples, with their indices, as batches fill: all instances, however they score."""
        for indices, batch in buckets(images, self.batch_size):
            yield from zip(indices, self.predict_batch(batch, oracle), strict=True)

    @torch.inference_mode()
    def predict_batch(self, batch: Batch, oracle: Sequence[str] = ()) -> list[Prediction]:
        """Predict on a letterboxed batch; predictions in image px."""
        return self.decode(batch, self.seen(batch.to(self.device), oracle))

    @torch.inference_mode()
    def decode(self, batch: Batch, seen: Sequence[Seen]) -> list[Prediction]:
        """The predictions, in image px, that hold together what was seen of a letterboxed batch."""
        nms = self.views.kind == "oks_nms"
        return [join_predictions(found, self.sigmas, self.decoder.suppress, nms) for found in self.found(batch, seen)]

    @torch.inference_mode()
    def found(self, batch: Batch, seen: Sequence[Seen]) -> list[list[Found]]:
        """Of each image of a letterboxed batch what each view that is decoded by itself shows, in image px."""
        views = [self._decode(batch, *one) for one in seen]
        return [list(own) for own in zip(*views, strict=True)]

    def _decode(self, batch: Batch, outputs: Outputs, frame: Frame) -> list[Found]:
        """The predictions, in image px, that merged outputs of a letterboxed batch hold."""
        found = self.decoder(outputs, frame)
        per_image = zip(found, self.views.to_frame(batch, frame), batch.file_sizes, batch.image_ids, strict=True)
        return [
            Found(self._named(to_image(prediction, to_view, size, image_id, frame, row)), to_view)
            for row, (prediction, to_view, size, image_id) in enumerate(per_image)
        ]

    def _named(self, prediction: Prediction) -> Prediction:
        """A prediction with what drawing it needs."""
        return replace(prediction, skeleton=self.skeleton, keypoint_threshold=self.thresholds.keypoint)

    def seen(self, batch: Batch, oracle: Sequence[str] = ()) -> list[Seen]:
        """What is decoded by itself of a letterboxed batch: the merged outputs of all views, or of the views of each scale."""
        return self.views.seen(batch, oracle)

    def look(self, image: Image) -> Look:
        """The prediction of one image, as ``predict`` gives it, with the maps that it was decoded from, of one run."""
        look = self.look_at(self.boxed(self.sample(image)))
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


def needed(dataset: Dataset, models: Sequence[PoseModel], oracle: Sequence[str]) -> tuple[Dataset, frozenset[str]]:
    """What of a data set models read where heads ``oracle`` are ideal: its images or its labels alone, and masks for an oracle."""
    given = [(model, [name for name in oracle if name in model.heads]) for model in models]
    if any(model.stack(name).last.reads_instances for model, own in given for name in own):
        return dataset, frozenset({"instances"})
    looking = any(model.reads_images(model.decoded, model.keys_of(own)) for model, own in given)
    return dataset if looking else Labels(dataset), frozenset()


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
    return torch.from_numpy(to_image_size(segmentation.numpy(), content.numpy(force=True), size))
