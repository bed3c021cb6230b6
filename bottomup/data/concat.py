"""Several data sets as one, each mapped onto a common skeleton and drawn as often as asked."""

from __future__ import annotations

import bisect
import inspect
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bottomup.coco.masks import paint_box
from bottomup.coco.skeleton import read_skeleton
from bottomup.dataset import DATASETS, Dataset, GroundTruth, Record
from bottomup.errors import ConfigError, warn
from bottomup.skeletons import Skeleton
from bottomup.types import People, Sample, Task


@dataclass(frozen=True)
class _Member:
    """One of the sets: keypoint ``sources[i]`` of its people becomes keypoint ``targets[i]``."""

    dataset: Dataset
    weight: float
    targets: list[int]
    sources: list[int]


@DATASETS.register
class Concat(Dataset):
    """The images of all ``sets``, in order.

    Each set is the ``name`` of a registered data set with its options, and may say ``weight`` (how often one of its images is
    drawn in an epoch, default 1) and ``keypoints`` (target name: source name; default: equal names). ``skeleton`` (a built-in
    name, a YAML file or a mapping; default: the first set's) is the target; ``split`` goes to every set that does not say its
    own. Images are numbered from 1 in order, whatever their ids in the sets.

    Target keypoints without a source are unlabelled in all people of that set and not ``annotated`` in its images, which thus
    train only what they have: losses at labelled keypoints (tags, offsets) skip the rest, a heatmap leaves out its whole map.
    People left without any keypoint join the "unannotated" map by their boxes. In ``ground_truth`` keypoints are counted anew;
    whom the set's own evaluation leaves out (``num_keypoints`` 0) stays left out. Where all images that are judged are of one set,
    they are judged by that set's own measures, too (MPII's, CrowdPose's, VOC's); those of several sets' images are figures of
    neither, so such are judged as COCO's alone, which is said.

    Raises ConfigError for unknown options or keypoints, and where a set shares no keypoint with the target.
    """

    def __init__(
        self, *, sets: Sequence[Mapping[str, object]], skeleton: str | Mapping[str, object] | None = None, split: str = "val"
    ) -> None:
        if not sets:
            raise ConfigError(
                "data set 'concat' needs at least one of `sets`, each with the name of a data set and its options, as in "
                f'"data.sets=[{{name: coco, root: FOLDER}}, {{name: coco, root: OTHER}}]"; got {sets!r}'
            )
        opened = [_open(entry, f"sets[{number}]", split) for number, entry in enumerate(sets)]
        first = opened[0].task
        target = first.skeleton if skeleton is None else read_skeleton(skeleton)
        self.task = Task(target, first.categories)
        self._members = [
            _member(dataset, entry, self.task, f"sets[{number}]")
            for number, (dataset, entry) in enumerate(zip(opened, sets, strict=True))
        ]
        self._ends = list(itertools.accumulate(len(dataset) for dataset in opened))
        self.image_ids = list(range(1, self._ends[-1] + 1))
        self.weights = _weights(self._members)
        self.labelled = all(dataset.labelled for dataset in opened)

    def sample(self, index: int, maps: frozenset[str]) -> Sample:
        """Read one image with its people's keypoints mapped, in its own px."""
        member, local = self._locate(index)
        sample = member.dataset.sample(local, maps)
        people = self._mapped(sample.people, member)
        lost = sample.people.visibility.any(1) & ~people.visibility.any(1)
        ignore = dict(sample.ignore)
        if "unannotated" in ignore and lost.any():
            ignore["unannotated"] = ignore["unannotated"].copy()
            for box in people.boxes[lost]:
                paint_box(ignore["unannotated"], tuple(box))
        annotated = self.annotated(index)
        return replace(sample, people=people, ignore=ignore, image_id=self.image_ids[index], annotated=annotated)

    def people(self, index: int) -> People:
        """The people of one image with their keypoints mapped."""
        member, local = self._locate(index)
        return self._mapped(member.dataset.people(local), member)

    def source(self, index: int) -> tuple[Dataset, int]:
        """The set that an image is of, and its index there."""
        member, local = self._locate(index)
        return member.dataset, local

    def annotated(self, index: int) -> NDArray[np.bool_]:
        """Which target keypoints (K,) have a source that the image's set annotates."""
        member, local = self._locate(index)
        annotated = np.zeros(self.task.keypoints, bool)
        annotated[member.targets] = member.dataset.annotated(local)[member.sources]
        return annotated

    def ground_truth(self, indices: Sequence[int] | None = None) -> GroundTruth:
        """Annotations with mapped keypoints; annotations are numbered from 1."""
        images: list[Record] = []
        annotations: list[Record] = []
        wanted = range(len(self)) if indices is None else indices
        located = {self.image_ids[index]: self._locate(index) for index in wanted}
        chosen = [{local: number for number, (owner, local) in located.items() if owner is member} for member in self._members]
        parts = [member.dataset.ground_truth(list(local)) for member, local in zip(self._members, chosen, strict=True)]
        categories = [dict(category) for category in parts[0]["categories"]]
        for member, part, numbers in zip(self._members, parts, chosen, strict=True):
            image_ids = {member.dataset.image_ids[local]: number for local, number in numbers.items()}
            new, ids = self._renumbered(part, member, categories, image_ids, len(annotations))
            listed = {image["id"]: _with_groups(image, ids) for image in part["images"]}
            images += [listed[source] | {"id": number} for source, number in image_ids.items()]
            annotations += new
        if self.task.skeleton is not None:
            for category in categories:
                category["keypoints"] = list(self.task.skeleton.keypoints)
        info = {"description": " + ".join(str(part.get("info", {}).get("description", "")) for part in parts)}
        measures = _own_measures([part for part, numbers in zip(parts, chosen, strict=True) if numbers] or parts)
        return {"info": info, "images": images, "annotations": annotations, "categories": categories, "measures": measures}

    def _renumbered(
        self, part: GroundTruth, member: _Member, categories: Sequence[Record], image_ids: Mapping[int, int], before: int
    ) -> tuple[list[Record], dict[int, int]]:
        """A set's annotations with mapped keypoints, numbered from ``before`` + 1, and their new ids by those of the set."""
        pairs = zip(part["categories"], categories, strict=True)
        category_ids = {source["id"]: target["id"] for source, target in pairs}
        ids = {record["id"]: before + number for number, record in enumerate(part["annotations"], 1) if "id" in record}
        numbered = [
            record
            | {"id": before + number, "image_id": image_ids[record["image_id"]], "category_id": category_ids[record["category_id"]]}
            | self._mapped_record(record, member)
            for number, record in enumerate(part["annotations"], 1)
        ]
        return numbered, ids

    def _locate(self, index: int) -> tuple[_Member, int]:
        index = range(len(self))[index]
        number = bisect.bisect_right(self._ends, index)
        return self._members[number], index - (self._ends[number - 1] if number else 0)

    def _mapped(self, people: People, member: _Member) -> People:
        keypoints = np.zeros((len(people), self.task.keypoints, 2), np.float32)
        visibility = np.zeros((len(people), self.task.keypoints), np.uint8)
        keypoints[:, member.targets] = people.keypoints[:, member.sources]
        visibility[:, member.targets] = people.visibility[:, member.sources]
        return replace(people, keypoints=keypoints, visibility=visibility)

    def _mapped_record(self, record: Record, member: _Member) -> Record:
        if not record.get("keypoints") or self.task.skeleton is None:
            return {}
        triples: list[list[float]] = [[0, 0, 0] for _ in range(self.task.keypoints)]
        for target, source in zip(member.targets, member.sources, strict=True):
            triples[target] = record["keypoints"][3 * source : 3 * source + 3]
        labelled = sum(triple[2] > 0 for triple in triples)
        counted = record.get("num_keypoints", labelled)
        return {"keypoints": [value for triple in triples for value in triple], "num_keypoints": labelled if counted else 0}


def _with_groups(image: Record, ids: Mapping[int, int]) -> Record:
    """An image whose ``groups``, if it states any (MPII's), are of people by their new ids."""
    if "groups" not in image:
        return image
    groups = [group | {"people": [ids[person] for person in group["people"] if person in ids]} for group in image["groups"]]
    return image | {"groups": groups}


def _own_measures(parts: Sequence[GroundTruth]) -> Mapping[str, Mapping[str, object]]:
    """What the judged sets are judged by beside COCO's; nothing, and that is said, where there are several of them."""
    asked = [part.get("measures", {}) for part in parts]
    if len(parts) == 1:
        return asked[0]
    if any(asked):
        names = ", ".join(dict.fromkeys(name for own in asked for name in own))
        warn(f"data set 'concat' judges images of several sets by COCO's figures alone; for {names} judge one set at a time")
    return {}


def _open(entry: Mapping[str, object], where: str, split: str) -> Dataset:
    """Build the data set of one entry; ConfigError for a misspelt or missing option."""
    options = {key: value for key, value in entry.items() if key not in ("name", "weight", "keypoints")}
    if "name" not in entry:
        raise ConfigError(f"{where}: no `name`; known {DATASETS.kind}s: {', '.join(DATASETS.names())}")
    component = DATASETS[str(entry["name"])]
    signature = inspect.signature(component)
    if "split" in signature.parameters:
        options.setdefault("split", split)
    try:
        signature.bind(**options)
    except TypeError as error:
        raise ConfigError(f"{where}: {component.__name__}: {error}; its options are {', '.join(signature.parameters)}") from None
    return component(**options)


def _member(dataset: Dataset, entry: Mapping[str, object], task: Task, where: str) -> _Member:
    weight = entry.get("weight", 1.0)
    if not isinstance(weight, int | float) or not (0 < weight < math.inf):
        raise ConfigError(f"{where}: `weight` should be a positive number of draws per image and epoch, got {weight!r}")
    categories = dataset.task.categories
    if categories != task.categories and not len(categories) == len(task.categories) == 1:
        raise ConfigError(
            f"{where}: has categories {', '.join(categories)}, the first set {', '.join(task.categories)}; join sets of the same"
        )
    targets, sources = _mapping(task.skeleton, dataset.task.skeleton, entry.get("keypoints"), where)
    return _Member(dataset, float(weight), targets, sources)


def _mapping(target: Skeleton | None, source: Skeleton | None, stated: object, where: str) -> tuple[list[int], list[int]]:
    """Indices of the target's keypoints and of their sources."""
    if not isinstance(stated, Mapping | None):
        raise ConfigError(f"{where}: `keypoints` should be target name: source name, as in {{neck: throat}}, got {stated!r}")
    if target is None and not stated:
        return [], []
    if target is None or source is None:
        raise ConfigError(f"{where}: keypoints need a skeleton on both sides; the {'target' if target is None else 'set'} has none")
    pairs = stated or {name: name for name in target.keypoints if name in source.keypoints}
    if not pairs:
        raise ConfigError(
            f"{where}: skeletons {target.name!r} ({', '.join(target.keypoints)}) and {source.name!r} "
            f"({', '.join(source.keypoints)}) share no keypoint; say `keypoints`, target name: source name"
        )
    try:
        return [target.index(name) for name in pairs], [source.index(name) for name in pairs.values()]
    except ConfigError as error:
        raise ConfigError(f"{where}: `keypoints` are target name: source name; {error}") from None


def _weights(members: list[_Member]) -> list[float] | None:
    """Per image; None where every image is drawn once."""
    each = [
        member.weight * own for member in members for own in member.dataset.weights or itertools.repeat(1.0, len(member.dataset))
    ]
    return None if set(each) <= {1.0} else each
