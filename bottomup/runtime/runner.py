"""Images through an exported file: letterboxed, run by ONNX Runtime, grouped, and back in px of the image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from bottomup.affine import invert
from bottomup.errors import CheckpointError, ConfigError, DataError, unknown
from bottomup.grouping.found import Decoded, HostFrame
from bottomup.grouping.reading import to_image_size
from bottomup.grouping.shown import shown
from bottomup.options import BelowOne, Count, checked
from bottomup.paths import path_of
from bottomup.runtime.contract import KEY, MAP, Contract
from bottomup.runtime.pictures import Framed, Image, pixels_of
from bottomup.runtime.prediction import Prediction
from bottomup.thresholds import Thresholds

_IMAGES, _CONTENT = "images", "content"  # what every file takes


@checked("runner")
class Runner:
    """Predicts with an exported ONNX file.

    Images that come to one shape run together, ``batch_size`` at most. ``threads`` are ONNX Runtime's, None as many as there are
    cores; ``providers`` are where it runs, first the wanted. Who scores ``score_threshold`` or more is shown, once
    each, with the keypoints above ``keypoint_threshold``; None: what the file recommends; a ``score_threshold`` of 0: everybody.
    """

    def __init__(
        self,
        file: str | Path,
        *,
        batch_size: Count = 8,
        threads: Count | None = None,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        score_threshold: BelowOne | None = None,
        keypoint_threshold: BelowOne | None = None,
    ) -> None:
        self.session = _session(path_of(file), threads, providers)
        self.contract = contract_of(self.session, str(file))
        self.batch_size = batch_size
        given = {"score": score_threshold, "keypoint": keypoint_threshold}
        said = {name: value for name, value in given.items() if value is not None}
        self.thresholds: Thresholds = replace(self.contract.thresholds, **said)

    @overload  # a text is a sequence of texts, too, but one path here
    def __call__(self, images: str | Path | NDArray[np.uint8]) -> Prediction: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, images: Iterable[Image]) -> list[Prediction]: ...
    def __call__(self, images: Image | Iterable[Image]) -> Any:
        """One Prediction for one image; a list, in order, for several. An image is a path or an (H, W, 3) uint8 RGB array."""
        if isinstance(images, (str, Path, np.ndarray)):
            return self.predict([images])[0]
        if not isinstance(images, Iterable):
            raise DataError(f"images should be an image or several, got {type(images).__name__}; give paths or arrays")
        return self.predict(images)

    def predict(self, images: Iterable[Image]) -> list[Prediction]:
        """Predict on several images, in order: the people worth showing."""
        found: dict[int, Prediction] = {}
        waiting: dict[tuple[int, ...], list[tuple[int, Framed]]] = {}
        for index, image in enumerate(images):
            framed = Framed.of(pixels_of(image), self.contract)
            alike = waiting.setdefault(framed.pixels.shape, [])
            alike.append((index, framed))
            if len(alike) == self.batch_size:
                found |= self._batch(waiting.pop(framed.pixels.shape))
        for alike in waiting.values():
            found |= self._batch(alike)
        return [found[index] for index in sorted(found)]

    def decode(self, images: NDArray[np.uint8], content: NDArray[np.float32]) -> list[Decoded]:
        """What inputs (B, 3, H, W) hold, in input px; ``content`` (B, 4) xyxy is their part without padding.

        DataError where they are of another size than the file takes.
        """
        if images.ndim != 4 or images.shape[1] != 3 or images.dtype != np.uint8:
            raise DataError(
                f"inputs should be (B, 3, H, W) uint8 RGB, got {images.shape} {images.dtype}; transpose or convert them"
            )
        if content.shape != (len(images), 4):
            raise DataError(f"content should be (B, 4) with B={len(images)}, x1, y1, x2, y2 of each image, got {content.shape}")
        size = (images.shape[2], images.shape[3])
        self.contract.check(size)
        content = content.astype(np.float32)
        arrays = self.session.run(list(self.contract.outputs), {_IMAGES: images, _CONTENT: content})
        named = dict(zip(self.contract.outputs, arrays, strict=True))
        return self.contract.grouping(named, HostFrame(self.contract.grids, size, content))

    def _batch(self, alike: Sequence[tuple[int, Framed]]) -> dict[int, Prediction]:
        """The predictions of images of one shape, by their numbers."""
        images = np.stack([framed.pixels for _, framed in alike])
        content = np.array([framed.content for _, framed in alike], np.float32)
        decoded = self.decode(images, content)
        return {index: self._prediction(index, framed, own) for (index, framed), own in zip(alike, decoded, strict=True)}

    def _prediction(self, index: int, framed: Framed, decoded: Decoded) -> Prediction:
        """What one image holds, in its own px: who is worth showing."""
        size, skeleton, pixels = framed.file_size, self.contract.skeleton, decoded.segmentation
        people = decoded.people.transform(invert(framed.to_input))
        left = shown(people, size, self.thresholds, () if skeleton is None else skeleton.sigmas)
        if pixels is not None:
            pixels = to_image_size(pixels, np.array(framed.content, np.float32), size)
        return Prediction(left, size, pixels, index, skeleton, self.thresholds.keypoint)


def load(file: str | Path, **options: Any) -> Runner:
    """A runner of an exported file: ``load("people.onnx")("photo.jpg")``; options are the Runner's.

    ConfigError where ONNX Runtime is not installed, CheckpointError for a file that was not exported by bottomup.
    """
    return Runner(file, **options)


def contract_of(session: Any, file: str) -> Contract:
    """What a session's file says of itself; CheckpointError where bottomup did not export it."""
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    if text is None:
        raise CheckpointError(
            f"{file}: an ONNX file without bottomup's metadata; make one with `bottomup export weights=FILE output={file}`"
        )
    contract = Contract.of_json(text, file)
    given = {output.name for output in session.get_outputs() if not output.name.startswith(MAP)}
    if wrong := sorted(given ^ set(contract.outputs)):
        raise CheckpointError(f"{file}: of the output {wrong[0]} either its metadata or its graph does not know; export it again")
    return contract


def _session(path: Path, threads: int | None, providers: Sequence[str]) -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise ConfigError(f"bottomup.runtime needs {error.name}; pip install onnxruntime") from error
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; make one with `bottomup export weights=FILE output={path}`")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; what it warns of, its user can do nothing about
    if threads is not None:
        options.intra_op_num_threads = threads
    known = onnxruntime.get_available_providers()
    if (strange := next((name for name in providers if name not in known), None)) is not None:
        raise ConfigError(f"runner: providers: {unknown('provider of this onnxruntime', strange, known)}")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=list(providers))
    except Exception as error:  # a dozen types of its own
        why = str(error).splitlines()[0]
        raise CheckpointError(
            f"{path}: ONNX Runtime cannot read it ({why}); give a file that `bottomup export` wrote as format=onnx"
        ) from error
