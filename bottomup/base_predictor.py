"""What every predictor is to its users, of one model or of several: images or a data set in, predictions in image px out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image as PillowImage

from bottomup.contracts import Decoder
from bottomup.dataset import Dataset
from bottomup.image_files import ImageReader
from bottomup.images import Image, is_one, pixels_of, several
from bottomup.model import PoseModel
from bottomup.ops.shown import shown
from bottomup.samples.groups import Group, drawn_alike, groups_of
from bottomup.samples.skipping import OnError, Readable, Unread, attempted
from bottomup.samples.subset import Subset
from bottomup.skeletons import Skeleton
from bottomup.thresholds import Thresholds
from bottomup.types import Frame, Outputs, Prediction, Sample


class Look(NamedTuple):
    """One image as the network saw it, and what it made of it; of several that are decoded apart the first."""

    prediction: Prediction  # image px
    image: NDArray[np.uint8]  # (3, H, W) input px
    outputs: Outputs  # of a batch of one
    frame: Frame
    to_frame: NDArray[np.float64]  # (2, 3) affine, image px -> the frame's px


class BasePredictor(ABC):
    """Finds people in images: a ``Predictor`` with one model, an ``Ensemble`` with several, or with crops."""

    model: PoseModel  # of several the first
    decoder: Decoder  # of several the first
    read: ImageReader
    thresholds: Thresholds
    on_error: OnError
    batch_size: int

    @property
    @abstractmethod
    def models(self) -> Sequence[PoseModel]:
        """All models that are run."""

    @property
    def skeleton(self) -> Skeleton | None:
        """Of the instances that are found; None where they have no keypoints."""
        return self.model.task.skeleton if self.decoder.posed else None

    @property
    def sigmas(self) -> Sequence[float]:
        """The skeleton's, of OKS; none where there is none."""
        return self.skeleton.sigmas if self.skeleton is not None else ()

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
        """Predict on several images, on those of a folder or a glob, or on a video's frames, in order: who is worth showing.

        Of images that are skipped there is none; each ``image_id`` is the place of its image among those that were given.
        """
        readable, every = Readable(), enumerate(several(images))
        samples = ((index, attempted(partial(self.sample, image, index), self.on_error)) for index, image in every)
        found = dict(self.predict_samples(readable.of(samples)))
        readable.tell("left out")
        return [self.shown(found[index]) for index in sorted(found)]

    def stream(self, images: str | Path | Iterable[Image]) -> Iterator[Prediction]:
        """As ``predict``, each prediction as soon as its batch is done: of a video or a camera no more is held than a batch."""
        waiting = iter(several(images))
        while batch := list(islice(waiting, self.batch_size)):
            yield from self.predict(batch)

    def shown(self, prediction: Prediction) -> Prediction:
        """What of a prediction with all instances is worth showing, ``ops.shown``."""
        return shown(prediction, self.thresholds, self.sigmas)

    def sample(self, image: Image, index: int = 0) -> Sample:
        """An image, numbered, in its own px."""
        return Sample.of_pixels(pixels_of(image, self.read), index, self.model.task.keypoints)

    @abstractmethod
    def predict_samples(self, samples: Iterable[tuple[int, Sample]]) -> Iterator[tuple[int, Prediction]]:
        """Predict on samples in px of their images, with their indices, as batches fill: all instances, however they score."""

    def predict_dataset(
        self, dataset: Dataset, oracle: Sequence[str] = (), workers: int = 0, readable: Readable | None = None
    ) -> Iterator[tuple[int, Prediction]]:
        """Predict on every image of a data set, with its index, as batches fill: all instances, however they score.

        ``oracle`` names heads whose ideal outputs, from the annotations, replace their predictions. ``readable`` hears which images
        are skipped.
        """
        for found in self.predict_groups(dataset, self.groups(dataset), oracle, workers, readable):
            yield from found

    def groups(self, dataset: Dataset) -> list[Group]:
        """The images of a data set that go through the network together, in the order in which they do."""
        return groups_of(dataset, self.shape, self.batch_size)

    @abstractmethod
    def shape(self, sample: Sample) -> Hashable:
        """What a sample in px of its image, with pixels or without, becomes: those of one shape go through the network together."""

    def predict_groups(
        self,
        dataset: Dataset,
        groups: Sequence[Group],
        oracle: Sequence[str] = (),
        workers: int = 0,
        readable: Readable | None = None,
        seed: int = 0,
    ) -> Iterator[list[tuple[int, Prediction]]]:
        """What is found in the images of each group, with their indices: the same whichever other groups there are.

        ``seed`` begins what an oracle draws by chance, anew for each group; the rest is as of ``predict_dataset``.
        """
        readable = readable or Readable()
        chosen = Subset(dataset, [index for group in groups for index in group])
        prepared = iter(self.prepared(chosen, oracle, workers))
        for group in groups:
            own = zip(group, (sample for _, sample in islice(prepared, len(group))), strict=True)
            with drawn_alike(seed, group):
                found = list(self.predict_prepared(readable.of(own), oracle))
            yield found

    @property
    @abstractmethod
    def prepare(self) -> Callable[[Sample], Any]:
        """What makes of a sample in px of its image what ``predict_prepared`` takes; may be sent to other processes."""

    @abstractmethod
    def prepared(self, dataset: Dataset, oracle: Sequence[str] = (), workers: int = 0) -> Iterator[tuple[int, Any | Unread]]:
        """Every image of a data set as ``predict_prepared`` takes it, with its index, in order; ``Unread`` for a skipped one."""

    @abstractmethod
    def predict_prepared(self, images: Iterable[tuple[int, Any]], oracle: Sequence[str] = ()) -> Iterator[tuple[int, Prediction]]:
        """Predict on images as ``prepared`` gives them, with their indices, as batches fill: all instances, however they score."""

    @abstractmethod
    def look(self, image: Image) -> Look:
        """The prediction of one image, as ``predict`` gives it, with the maps that it was decoded from, of one run."""

    def maps(self, image: Image) -> tuple[NDArray[np.uint8], Outputs, Frame]:
        """One image as the network sees it, (3, H, W) in input px, with the outputs that are decoded and where they lie."""
        look = self.look(image)
        return look.image, look.outputs, look.frame
