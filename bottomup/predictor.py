"""Images to predictions in image px: reading, letterboxing, views (flip, scales), batches of equal shapes, input order."""

from __future__ import annotations

import contextlib
import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from bottomup.data.dataset import Dataset
from bottomup.data.labels import Labels
from bottomup.data.letterbox import letterbox
from bottomup.data.loader import buckets, collate, prepared_samples
from bottomup.engine.settings import PRECISIONS
from bottomup.errors import ConfigError, DataError
from bottomup.geometry import invert
from bottomup.model import PoseModel
from bottomup.stages import Decoder
from bottomup.types import Batch, Frame, Outputs, People, Prediction, Sample
from bottomup.views import make_view

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}


@runtime_checkable
class PillowImage(Protocol):
    """An image of Pillow, known by what it can do: nothing here needs that library."""

    mode: str

    def convert(self, mode: str) -> Any:
        """The image in another mode, as "RGB"."""


Image = str | Path | NDArray[np.uint8] | PillowImage


class Predictor:
    """Runs a model and its decoder on images.

    ``input_size`` is the length in px to which the ``side`` ("long", "short" or "square": padded to a square) of an image is
    resized. ``scales`` are factors of it: maps of all scales are merged onto the first, so the finest first keeps most, and what is
    coarser than the first blurs people who are close together. ``flip`` adds the mirrored view of each.

    Predictions are in px of the image as given: a file turned upright by its EXIF, as viewers show it; an array or a Pillow image
    as its pixels lie. Data sets read a file's stored pixels instead, which COCO's annotations refer to.
    """

    def __init__(
        self,
        model: PoseModel,
        decoder: Decoder,
        *,
        input_size: int = 512,
        side: Literal["long", "short", "square"] = "long",
        scales: Sequence[float] = (1.0,),
        flip: bool = False,
        batch_size: int = 8,
        precision: Literal["fp32", "bf16", "fp16"] = "fp32",
        device: str | torch.device = "cpu",
    ) -> None:
        if not scales or min(scales) <= 0:
            raise ConfigError(f"scales should be positive factors of input_size, got {list(scales)}")
        if precision not in PRECISIONS or side not in ("long", "short", "square"):
            raise ConfigError(f"precision is one of {list(PRECISIONS)}, side of long, short, square; got {precision!r}, {side!r}")
        self.model = model.to(device).to(memory_format=torch.channels_last).eval()
        self.decoder, self.device = decoder, torch.device(device)
        self.input_size, self.side, self.scales, self.flip = input_size, side, tuple(scales), flip
        self.batch_size, self.precision = batch_size, PRECISIONS[precision]

    def __call__(self, images: Image | Sequence[Image]) -> Any:
        """One Prediction for one image; a list, in order, for a list, a folder or a glob (``**`` is any depth of folders).

        An image is a path, an (H, W, 3) uint8 RGB array or a Pillow image. DataError names what is none.
        """
        if isinstance(images, (np.ndarray, PillowImage)) or (isinstance(images, (str, Path)) and Path(images).is_file()):
            return self.predict([images])[0]
        return self.predict(find_images(images) if isinstance(images, (str, Path)) else images)

    def predict(self, images: Sequence[Image]) -> list[Prediction]:
        """Predict on several images, in order."""
        prepare = self._letterbox()
        samples = ((index, prepare(sample_of(image, index, self.model.task.keypoints))) for index, image in enumerate(images))
        found = dict(self._run(samples, ()))
        return [found[index] for index in range(len(images))]

    def predict_dataset(self, dataset: Dataset, oracle: Sequence[str] = (), workers: int = 0) -> Iterator[tuple[int, Prediction]]:
        """Predict on every image of a data set, with its index, as batches fill.

        ``oracle`` names heads whose ideal outputs, from the annotations, replace their predictions.
        """
        return self._run(self.samples(dataset, oracle, workers), oracle)

    def samples(self, dataset: Dataset, oracle: Sequence[str] = (), workers: int = 0) -> Iterator[tuple[int, Sample]]:
        """Every image of a data set, letterboxed, with its index; without pixels where none is read, with masks for an oracle."""
        maps = {"instances"} if any(self.model.stack(name).last.reads_instances for name in oracle) else set[str]()
        if not maps and not self.model.reads_images(self.model.decoded, self.model.keys_of(oracle)):
            dataset = Labels(dataset)
        return prepared_samples(dataset, self._letterbox(), frozenset(maps), workers)

    def _letterbox(self) -> Any:
        side_length = round(self.input_size * max(self.scales))
        fill = self.model.fill.tolist()
        return partial(letterbox, side_length=side_length, accept=self.model.side, fill=fill, side=self.side)

    def _run(self, samples: Iterable[tuple[int, Sample]], oracle: Sequence[str]) -> Iterator[tuple[int, Prediction]]:
        for indices, batch in buckets(samples, self.batch_size):
            yield from zip(indices, self.predict_batch(batch, oracle), strict=True)

    @torch.inference_mode()
    def predict_batch(self, batch: Batch, oracle: Sequence[str] = ()) -> list[Prediction]:
        """Predict on a letterboxed batch; predictions in image px."""
        return self.decode(batch, *self.outputs(batch.to(self.device), oracle))

    @torch.inference_mode()
    def decode(self, batch: Batch, outputs: Outputs, frame: Frame) -> list[Prediction]:
        """The predictions, in image px, that merged outputs of a letterboxed batch hold."""
        largest = max(self.scales)
        per_image = zip(self.decoder(outputs, frame), batch.to_input.numpy(), batch.sizes, batch.image_ids, strict=True)
        scale = self.scales[0] / largest
        rounded = (round(batch.size[0] * scale) / batch.size[0], round(batch.size[1] * scale) / batch.size[1])
        return [
            to_image(prediction, _scaled(to_input, rounded), size, image_id, frame, row)
            for row, (prediction, to_input, size, image_id) in enumerate(per_image)
        ]

    @torch.inference_mode()
    def maps(self, image: Image) -> tuple[NDArray[np.uint8], Outputs, Frame]:
        """One image as the network sees it, (3, H, W) in input px, with the merged outputs and where they lie."""
        sample = self._letterbox()(sample_of(image, 0, self.model.task.keypoints))
        batch = collate([sample]).to(self.device)
        view = self._view(batch, self.scales[0] / max(self.scales), flipped=False)
        outputs, frame = self.outputs(batch)
        assert view.images is not None
        return view.images[0].cpu().numpy(), outputs, frame

    def outputs(self, batch: Batch, oracle: Sequence[str] = ()) -> tuple[Outputs, Frame]:
        """The merged outputs of all views and the frame they lie in: the first scale's."""
        views: list[Outputs] = []
        frames: list[Frame] = []
        for scale in self.scales:
            for flipped in (False, True) if self.flip else (False,):
                view = self._view(batch, scale / max(self.scales), flipped)
                outputs, frame = self._forward(view, oracle), replace(self.model.frame(view), scale=scale)
                views.append(self.model.unflip(outputs, frame) if flipped else outputs)
                frames.append(frame.flipped() if flipped else frame)
        if len(views) == 1:
            return views[0], frames[0]
        return self.model.merge(views, frames, frames[0], oracle), frames[0]

    def _view(self, batch: Batch, scale: float, flipped: bool) -> Batch:
        size = (self.model.side(round(batch.size[0] * scale)), self.model.side(round(batch.size[1] * scale)))
        skeleton = self.model.task.skeleton
        return make_view(batch, size, scale, flipped, self.model.fill, skeleton.flip if skeleton else ())

    def _forward(self, batch: Batch, oracle: Sequence[str]) -> Outputs:
        given = self.model.ideal(batch, oracle) if oracle else None
        images = None if batch.images is None else batch.images.contiguous(memory_format=torch.channels_last)
        lower = self.precision is not torch.float32
        with torch.autocast(self.device.type, self.precision) if lower else contextlib.nullcontext():
            result: Outputs = self.model(images, given=given, trim=True)[0]
        return result


def _scaled(to_input: NDArray[np.float64], scale: tuple[float, float]) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = to_input * np.array([[scale[1]], [scale[0]]])
    return scaled


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


def find_images(where: str | Path) -> list[Path]:
    """The image that ``where`` is, or those of a folder or a glob, sorted; DataError where there is none.

    In a glob ``*`` stands for any part of a name, ``**`` for any depth of folders.
    """
    path = Path(where)
    if path.is_file():
        return [path]
    # not Path.glob, which refuses absolute patterns
    found = path.iterdir() if path.is_dir() else map(Path, glob.glob(str(path), recursive=True))  # noqa: PTH207
    images = sorted(entry for entry in found if entry.suffix.lower() in _SUFFIXES and entry.is_file())
    if not images:
        raise DataError(f"{where}: no such image, folder or glob with images ({', '.join(sorted(_SUFFIXES))})")
    return images


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """An image file as (H, W, 3) uint8 RGB; DataError where it is none.

    It is turned upright by its EXIF, as viewers show it. ``data.coco.read_image`` does not: annotations refer to stored pixels.
    """
    if not Path(path).is_file():
        raise DataError(f"{path}: {'a folder, no image' if Path(path).is_dir() else 'no such file'}")
    try:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except cv2.error:  # more pixels than OpenCV reads
        image = None
    if image is None:
        raise DataError(f"{path}: not readable as an image; was it copied or downloaded whole?")
    return np.ascontiguousarray(image[..., ::-1])


def _pixels(image: Image) -> NDArray[np.uint8]:
    """The pixels (H, W, 3) RGB of an image in whatever form; DataError where it is none."""
    if isinstance(image, (str, Path)):
        return read_image(image)
    if isinstance(image, PillowImage):
        if image.mode.startswith(("I", "F")):  # Pillow would cut them off at 255 and call it RGB
            raise DataError(f"a Pillow image should have 8 bits a channel, got mode {image.mode}; scale it to 0-255 first")
        image = np.array(image.convert("RGB"))
    if not isinstance(image, np.ndarray):
        expected = "a path, an (H, W, 3) uint8 RGB array or a Pillow image"
        raise DataError(f"an image should be {expected}, got {type(image).__name__}; convert it")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise DataError(f"an image array should be (H, W, 3) uint8 RGB, got {image.shape} {image.dtype}; convert it")
    if not image.size:
        raise DataError(f"an image array should be (H, W, 3) with at least one pixel, got {image.shape}; leave it out")
    return image


def sample_of(image: Image, index: int, keypoints: int) -> Sample:
    """An image in its own frame, of whose people nothing is known."""
    pixels = _pixels(image)
    return Sample(
        image=pixels.transpose(2, 0, 1),
        people=People.empty(keypoints),
        ignore={},
        instances=None,
        image_id=index,
        size=(pixels.shape[0], pixels.shape[1]),
        to_input=np.eye(2, 3),
    )
