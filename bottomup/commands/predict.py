"""``bottomup predict``: COCO results and overlays of an image, a folder or a glob, or of a video, frame by frame.

The model is that of the checkpoint's run, with what is typed on top.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from bottomup.base_predictor import BasePredictor, Look
from bottomup.commands.photos import Photo, photos_of, read_listing
from bottomup.engine.distributed import Ranks, ranks
from bottomup.errors import ConfigError, DataError, counted, printable
from bottomup.geometry import Grid
from bottomup.image_files import ImageReader, Orientation
from bottomup.images import find_images, video_of
from bottomup.ops.sampling import gather_maps
from bottomup.plan.predicting import PredictPlan, predict_plan
from bottomup.samples.skipping import Unread, attempted
from bottomup.types import Instances, Prediction, Task
from bottomup.videos import Clip, camera
from bottomup.visualize import draw_grouping, draw_instances, draw_outputs, plot_tags, save_png
from bottomup.workflows.clips import VIDEO, Following, check_drawing, follow_clip, write_summary
from bottomup.workflows.folders import alone, check_results_folder, check_same_prediction, write_config
from bottomup.workflows.models import Loaded, make_ensemble, seen, with_checkpoints
from bottomup.workflows.parts import Line, Name, Parts
from bottomup.workflows.results import Summary, begin_anew, check_format, finish, finished, results_file

_CHUNK = 16  # images held, predicted and written at once, by one rank: what each of them shows is the same whoever does that

Pixels = NDArray[np.uint8]  # (H, W, 3) RGB


@dataclass(frozen=True)
class Drawing:
    """What is drawn, and where to."""

    folder: Path
    predictor: BasePredictor
    keypoint_threshold: float
    people: bool
    maps: bool

    def draw(self, photo: Photo, image: Pixels, prediction: Prediction, look: Look | None) -> None:
        """The people over their image and, where there was a look at it, its maps."""
        if self.people:
            drawn, threshold = image.transpose(2, 0, 1), self.keypoint_threshold
            people = draw_instances(drawn, prediction.instances, self.predictor.skeleton, keypoint_threshold=threshold)
            save_png(self.folder / f"{photo.picture}.png", people)
        if look is not None:
            draw_maps(look, self.predictor, self.folder / photo.picture)


@dataclass(frozen=True)
class Looking:
    """How images are gone through by one of several ranks: who looks at which, what is drawn, and where it is written."""

    predictor: BasePredictor
    photos: Sequence[Photo]  # all
    category_ids: Sequence[int]  # by label
    drawing: Drawing
    parts: Parts
    place: Ranks

    def at(self, chunks: Sequence[range]) -> None:
        """Predict on this rank's share of the chunks, one after the other, with a bar where there is a terminal."""
        own = self.place.share(chunks)
        shown = None if self.place.first else True
        with (
            self.parts.appending(self.place.rank) as add,
            tqdm(total=sum(map(len, own)), unit="image", dynamic_ncols=True, disable=shown, file=sys.stderr) as bar,
        ):
            for chunk in own:
                add(list(zip(chunk, self._lines([self.photos[number] for number in chunk]), strict=True)))
                bar.update(len(chunk))

    def _lines(self, photos: Sequence[Photo]) -> list[Line]:
        """Predict on a few images, together, and draw them: what is written of each."""
        images = [_read(photo, self.predictor.read) for photo in photos]
        pixels = [image for image in images if not isinstance(image, Unread)]
        looked = _looked(self.predictor, pixels, self.drawing.maps)
        return [
            _unreadable(photo, image) if isinstance(image, Unread) else self._line(photo, image, *next(looked))
            for photo, image in zip(photos, images, strict=True)
        ]

    def _line(self, photo: Photo, image: Pixels, prediction: Prediction, look: Look | None) -> Line:
        self.drawing.draw(photo, image, prediction, look)
        (height, width), records = prediction.size, replace(prediction, image_id=photo.image_id).to_coco(self.category_ids)
        name: Line = {"image_id": photo.image_id, "file_name": photo.file_name, "instances": records}
        return name | {"height": height, "width": width}


class Done(NamedTuple):
    """What a run came to, and where it stands."""

    summary: Summary
    results: Path
    predictor: BasePredictor
    pictures: Path | None  # None: nothing was drawn

    def told(self) -> dict[str, Any]:
        """Say what was found; DataError where images could not be read."""
        summary, results, predictor, pictures = self
        score, images, unreadable = predictor.thresholds.score, summary["images"], summary["unreadable"]
        least = f" scoring {score:g} or more (score_threshold=0: everybody)" if score else ""
        names = ("person", "people") if predictor.decoder.posed else ("instance", "instances")
        told = f"{counted(summary['instances'], *names)}{least} in {counted(images, 'image')}, {seen(predictor)}"
        print(f"{told}: {results}{f', {pictures}' if pictures else ''}")
        if unreadable:
            raise DataError(
                f"{len(unreadable)} of {images + len(unreadable)} images could not be read, first {unreadable[0]}; what the others "
                f"show is in {results}. Replace or remove what {results.parent}/metrics.json names as unreadable"
            )
        return dict(summary)


def run(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Predict as the overrides say; returns ``{"images": …, "instances": …, "unreadable": []}``, of a video its ``frames``.

    A file that is no image is named and passed over; at the end, with all others written, it is a DataError. Of several ranks
    each predicts its share of the images, and the first one writes the results; others return nothing.
    """
    plan = _asked(overrides)
    with ranks(plan.place.chosen_device()) as place:
        clip = clip_of(plan)
        if clip is not None and place.world > 1:
            raise ConfigError(f"{clip.name} is a video, whose frames are one process's; start it without torchrun")
        if clip is not None:
            return _predict_clip(plan, clip, overrides)
        done = _predict_images(plan, overrides, place)
    return done.told() if done is not None else {}  # once no other rank waits for this one


def _predict_images(plan: PredictPlan, overrides: Sequence[str], place: Ranks) -> Done | None:
    """Predict on this rank's share of the images; what all came to, on the first rank."""
    files = place.shared(find_images(str(plan.images)) if place.first else [])  # before a network is fetched for what is not there
    check_format(plan.format)
    plan, loaded = _with_models(plan, overrides)
    task = _task_of(loaded)
    listing = read_listing(plan.annotations, plan.image_info, task.categories)
    photos = place.shared(photos_of(files, listing)[: plan.limit] if place.first else [])
    as_judged: Orientation = "stored" if listing else "upright"  # annotations refer to the pixels as they are stored
    plan = replace(plan, viewing=replace(plan.viewing, orientation=plan.viewing.orientation or as_judged))
    predictor = make_ensemble(loaded, plan.viewing, str(place.device), task)
    output = place.shared(plan.place.folder("predict") if place.first else Path())
    category_ids = listing.category_ids if listing else tuple(range(1, len(task.categories) + 1))
    parts = Parts(output, [Name(photo.image_id, photo.file_name) for photo in photos])
    looking = Looking(predictor, photos, category_ids, _drawing(plan, predictor, output), parts, place)
    with _begun(plan, predictor, parts) if place.first else contextlib.nullcontext(()) as begun:
        missing = place.shared(begun)
        if missing is not None:
            looking.at(missing)
        place.wait()
        if not place.first:
            return None
        earlier = finished(plan.format, parts) if missing is None else None
        summary = earlier or finish(plan.format, parts)
    pictures = looking.drawing.folder if plan.draw or plan.maps else None
    return Done(summary, results_file(plan.format, output), predictor, pictures)


@contextlib.contextmanager
def _begun(plan: PredictPlan, predictor: BasePredictor, parts: Parts) -> Iterator[list[range] | None]:
    """The images that are missing, some at a time; None where all is done. Nobody else writes into the folder inside.

    Whatever ends it early, it is said how to go on.
    """
    output, thresholds = parts.output, predictor.thresholds
    config = plan.plain() | {"score_threshold": thresholds.score, "keypoint_threshold": thresholds.keypoint}
    check_results_folder(output, overwrite=plan.overwrite, resume=plan.resume)
    with alone(output):
        if plan.resume:
            check_same_prediction(output, config)
        if plan.overwrite:
            begin_anew(plan.format, parts)
        if plan.resume and finished(plan.format, parts) is not None:
            yield None
            return
        write_config(output, config)
        missing = parts.missing(_CHUNK)
        try:
            yield missing
        except KeyboardInterrupt:
            told = f"{parts.done} of {counted(len(parts.names), 'image')} done; resume=true output={output} goes on with the others"
            print(printable(f"bottomup predict: {told}"), file=sys.stderr)
            raise


def clip_of(plan: PredictPlan) -> Clip | None:
    """The camera or the video that is asked for, its first ``limit`` frames; None for images, which are no such."""
    if plan.camera is not None:
        return camera(plan.camera).first(plan.limit)
    clip = video_of(str(plan.images))
    return None if clip is None else clip.first(plan.limit)


def _predict_clip(plan: PredictPlan, clip: Clip, overrides: Sequence[str]) -> dict[str, Any]:
    """Predict on the frames of a video, by JSON lines and a video."""
    said = ("maps", "annotations", "image_info", "resume")
    given = [name for name in said if getattr(plan, name)] + (["format"] if plan.format != "coco" else [])
    if given:
        raise ConfigError(f"{given[0]}= is of images, and {clip.name} is a video; leave it out")
    check_drawing(plan.draw)
    plan, predictor = ready(plan, overrides)
    output = plan.place.folder("predict")
    check_results_folder(output, overwrite=plan.overwrite)
    numbers = tuple(range(1, len(predictor.model.task.categories) + 1))
    lines, video = output / "predictions.jsonl", output / VIDEO if plan.draw else None
    with alone(output):
        write_config(output, plan.plain())
        told = follow_clip(clip, Following(predictor, None, lines, video, numbers))
        summary = write_summary(output, told, tracked=False)
    people, frames = counted(told.instances, "person", "people"), counted(told.frames, "frame")
    print(f"{people} in {frames}, {seen(predictor)}: {lines}{f', {video}' if video else ''}")
    return summary


def ready(plan: PredictPlan, overrides: Sequence[str]) -> tuple[PredictPlan, BasePredictor]:
    """The plan with the checkpoints' models, and their predictor."""
    plan, loaded = _with_models(plan, overrides)
    return plan, make_ensemble(loaded, plan.viewing, plan.place.chosen_device(), _task_of(loaded))


def planned(overrides: Sequence[str]) -> tuple[PredictPlan, list[Loaded]]:
    """The plan of what is typed, with the checkpoints' models, and images read as the first one's data were."""
    return _with_models(_asked(overrides), overrides)


def _asked(overrides: Sequence[str]) -> PredictPlan:
    """The plan of what is typed, before any weights are read; ConfigError where images or weights are missing."""
    plan = predict_plan(overrides)
    check_asked(plan, "an image, a folder, a glob or a video")
    return plan


def check_asked(plan: PredictPlan, kinds: str) -> None:
    """Raise ConfigError where images, of which ``kinds`` may be, or weights are missing, or images are given twice."""
    if plan.images and plan.camera is not None:
        raise ConfigError("images= and camera= both say what is looked at; give one of them")
    if not plan.images and plan.camera is None:
        raise ConfigError(f"images= is missing: give {kinds}")
    if not plan.weights:
        raise ConfigError(
            "weights= is missing: give a checkpoint (best.pt or last.pt of a run), or a name that `bottomup zoo` lists"
        )


def _with_models(plan: PredictPlan, overrides: Sequence[str]) -> tuple[PredictPlan, list[Loaded]]:
    """The same with the models of the checkpoints, which are fetched where they are networks of the zoo."""
    loaded = with_checkpoints(plan.model, plan.weights, overrides)
    first = loaded[0].checkpoint
    assert first is not None  # of weights, which are there
    viewing = replace(plan.viewing, bit_depth=plan.viewing.bit_depth or first.config.get("data", {}).get("bit_depth"))
    models = [one.model for one in loaded]
    return replace(plan, model=models[0], others=tuple(models[1:]), viewing=viewing), loaded


def _task_of(loaded: Sequence[Loaded]) -> Task:
    """What the first network finds."""
    checkpoint = loaded[0].checkpoint
    assert checkpoint is not None
    return checkpoint.task


def _drawing(plan: PredictPlan, predictor: BasePredictor, output: Path) -> Drawing:
    return Drawing(output / "pictures", predictor, predictor.thresholds.keypoint, plan.draw, plan.maps)


def _looked(predictor: BasePredictor, images: Sequence[Pixels], maps: bool) -> Iterator[tuple[Prediction, Look | None]]:
    """The predictions, and where maps are wanted what they were decoded from, image by image; the network runs once."""
    if not maps:
        yield from ((prediction, None) for prediction in predictor.predict(images))
        return
    for image in images:
        look = predictor.look(image)
        yield look.prediction, look


def _read(photo: Photo, read: ImageReader) -> Pixels | Unread:
    """An image; why it cannot be read, which is told at once, where it cannot."""
    image = attempted(partial(read, photo.path), "skip")
    if isinstance(image, Unread):
        tqdm.write(printable(f"passed over: {image.reason}"), file=sys.stderr)
    return image


def _unreadable(photo: Photo, image: Unread) -> Line:
    return {"image_id": photo.image_id, "file_name": photo.file_name, "instances": [], "unreadable": image.reason}


def draw_maps(look: Look, predictor: BasePredictor, stem: Path) -> None:
    """What the network says of an image, and the tags of who was found (Associative Embedding Figs 4, 5 and 7).

    Each picture's name begins with ``stem``.
    """
    task, skeleton = predictor.model.task, predictor.skeleton
    for name, picture in draw_outputs(look.image, look.outputs, look.frame, task.skeleton, task.categories).items():
        save_png(stem.with_name(f"{stem.name}_{name}.png"), picture)
    if "instance_tags" in look.outputs and skeleton is None:
        tensors = {key: tensor[0].cpu() for key, tensor in predictor.decoder.tensors(look.outputs, look.frame).items()}
        save_png(stem.with_name(f"{stem.name}_tag_histogram.png"), draw_grouping(look.image, tensors, look.frame, task.categories))
    if "tags" in look.outputs and skeleton is not None:
        instances = look.prediction.instances.transform(look.to_frame)
        tags = tags_of(instances, look.outputs["tags"][0], look.frame.grids["tags"])
        save_png(stem.with_name(f"{stem.name}_tag_plot.png"), plot_tags(tags, skeleton))


def tags_of(instances: Instances, tags: Tensor, grid: Grid) -> NDArray[np.float32]:
    """The tags (P, K, D) at the keypoints of instances in input px, of maps (K, D, h, w); NaN where none was found."""
    cells = grid.nearest(instances.keypoints.nan_to_num()).transpose(0, 1)  # (K, P, 2)
    read = gather_maps(tags[None].cpu(), cells[None])[0].transpose(0, 1)
    found = (instances.keypoint_scores > 0)[..., None]
    return np.asarray(torch.where(found, read, torch.nan))
