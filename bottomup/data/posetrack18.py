"""PoseTrack18: frames of videos, a file for each video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bottomup.coco.extents import BOX_SHARE
from bottomup.coco.records import fault, read_file
from bottomup.data._heads import head_size
from bottomup.data._places import place
from bottomup.data.coco import Coco, OnlyPeople
from bottomup.dataset import DATASETS, GroundTruth, Record

_PARTS = {
    "head": ("nose", "head_bottom", "head_top"),
    **{part: (f"right_{part}", f"left_{part}") for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")},
}


_OF_VIDEOS = ("vid_id", "frame_id", "nframes")


@DATASETS.register
class Posetrack18(Coco):
    """The annotated frames of PoseTrack18's videos: seventeen keypoints, of which nobody's ears are annotated.

    ``root`` and ``split`` stand for the files ``root/annotations/SPLIT/*.json``, one a video, or for one file of all,
    ``root/annotations/posetrack18_SPLIT.json``, and for images below root, as the files name them; ``annotations`` (a folder or a
    file) and ``images`` state either path. Frames that are not labelled are left out; regions to ignore are crowds. ``skeleton``
    takes the place of the data set's own; ``only_people``, ``image_ids`` and ``exclude_ids`` are as of data set ``coco``. It is
    judged by PCKh, frame by frame (``evaluation.measures.pckh``); tracks are read, and not judged.
    """

    measures: Mapping[str, Mapping[str, object]] = {"pckh": {"parts": _PARTS}}

    def __init__(
        self,
        *,
        root: str | None = None,
        split: str = "val",
        annotations: str | None = None,
        images: str | None = None,
        skeleton: str | Mapping[str, object] | None = "posetrack18",
        only_people: bool | OnlyPeople = False,
        image_ids: Sequence[int | float | str] | str | None = None,
        exclude_ids: Sequence[int | float | str] | str | None = None,
    ) -> None:
        self._head_sizes: dict[int, float] = {}
        self._tracks: dict[int, int] = {}
        self._frames: dict[int, Record] = {}
        usual = ("annotations/{split}", "annotations/posetrack18_{split}.json", "posetrack18_{split}.json")
        super().__init__(
            annotations=str(place("posetrack18", root, annotations, split, usual, "annotations")),
            split=split,
            images=images or root,
            skeleton=skeleton,
            only_people=only_people,
            image_ids=image_ids,
            exclude_ids=exclude_ids,
        )

    def _content(self, path: Path) -> Record:
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not files:
            raise fault(str(path), "annotations", "no *.json", "a file for each video", "give the folder of one split's files")
        parts = [read_file(file) for file in files]
        images = [image for part in parts for image in part["images"] if image.get("is_labeled", True)]
        listed = {image["id"] for image in images}
        people = [person for part in parts for person in part.get("annotations", []) if person.get("image_id") in listed]
        regions = [region for image in images for region in _ignored(image)]
        numbered = [person | {"id": number} for number, person in enumerate([*people, *regions], 1)]
        self._head_sizes = {person["id"]: head_size(person["bbox_head"]) for person in numbered if person.get("bbox_head")}
        self._tracks = {person["id"]: person["track_id"] for person in numbered if isinstance(person.get("track_id"), int)}
        self._frames = {image["id"]: {key: image[key] for key in _OF_VIDEOS if key in image} for image in images}
        category_id = parts[0]["categories"][0]["id"] if parts[0]["categories"] else 1
        kept = [{"category_id": category_id, **_area(person)} | person for person in numbered]
        return {"images": images, "annotations": kept, "categories": parts[0]["categories"]}

    def ground_truth(self, indices: Sequence[int] | None = None) -> GroundTruth:
        """As of ``coco``, with the ``head_size`` px of those whose head has a box, and who and when it is in a video.

        That is a person's ``track_id``, the same in all frames of a video, and an image's ``vid_id``, ``frame_id`` and ``nframes``.
        """
        truth = super().ground_truth(indices)
        images = [image | self._frames.get(image["id"], {}) for image in truth["images"]]
        people = [
            person | {"head_size": self._head_sizes.get(person["id"]), "track_id": self._tracks.get(person["id"])}
            for person in truth["annotations"]
        ]
        return {**truth, "images": images, "annotations": people}


def _area(person: Record) -> Record:
    """PoseTrack states no areas: 0.53 of the box is one, as CrowdPose has it."""
    box = person.get("bbox")
    return {"area": BOX_SHARE * box[2] * box[3]} if isinstance(box, list) and len(box) == 4 else {}


def _ignored(image: Record) -> list[Record]:
    """The regions of an image that nobody is annotated in, as crowds."""
    outlines = zip(image.get("ignore_regions_x") or [], image.get("ignore_regions_y") or [], strict=True)
    regions = []
    for xs, ys in outlines:
        if len(xs) < 3:
            continue  # no region
        box = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
        outline = [float(value) for point in zip(xs, ys, strict=True) for value in point]
        regions.append({"image_id": image["id"], "iscrowd": 1, "bbox": box, "segmentation": [outline]})
    return regions
