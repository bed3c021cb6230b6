"""A data set before it is read: which one, which of its images, and as what they are drawn."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import islice
from os import PathLike
from typing import Any, Literal, Self

from bottomup.dataset import DATASETS, Dataset
from bottomup.errors import ConfigError, DataError, unknown
from bottomup.options import check_values, resolved
from bottomup.paths import path_of
from bottomup.plan.component import Component
from bottomup.plan.composing import with_typed
from bottomup.plan.keys import check_typed
from bottomup.plan.overrides import parts_of
from bottomup.plan.schema import Loading
from bottomup.samples.kept import kept
from bottomup.samples.person_crops import PersonCrops
from bottomup.samples.subset import Subset

Purpose = Literal["train", "val"]

_PLACES = ("root", "annotations", "images")  # of a data set's files


@dataclass(frozen=True, kw_only=True)
class DataPlan:
    """A data set by name with its options, and which of its images are drawn, as what.

    ``split`` names the split of every purpose; without it ``train_split`` is trained on and ``val_split`` judged on.
    """

    name: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    split: str | None = None
    train_split: str | None = None
    val_split: str | None = None
    train_only_people: bool | str | None = None  # the data set's only_people where it trains
    max_people: int = 30  # of one training image
    min_people: int = 0  # only images with so many people who have keypoints
    keep: bool = False  # samples in memory
    unit: str = "image"  # or "person", of labels alone in training, or "crop", around one person each, wherever images are read
    min_keypoints: int = 1  # of a person, where those are the unit
    curriculum: bool = False
    together: int = 1  # so many frames of a clip stand beside one another in a batch

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """The ``data`` part of a configuration; ConfigError for what it cannot be."""
        loading = resolved(Loading)
        own = {key: value for key, value in given.items() if key in loading}
        check_values("data", own, loading)
        kinds = ("image", "person", "crop")
        if (own.get("unit") or "image") not in kinds:
            raise ConfigError("data: " + unknown("unit", str(own["unit"]), list(kinds)))
        options = {key: value for key, value in given.items() if key not in loading and key not in ("name", "split")}
        split = {key: str(given[key]) for key in ("split", "train_split", "val_split") if given.get(key) is not None}
        said = {key: value for key, value in own.items() if value is not None and key not in split}
        return cls(name=given.get("name"), options=options, **said | split)

    def plain(self) -> dict[str, Any]:
        """As plain data, from which ``of`` makes it again."""
        own = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "options"}
        return dict(self.options) | own

    def carried(self) -> dict[str, Any]:
        """What a checkpoint carries, so that it is judged on the data of its run: plain, without what is of training alone."""
        return {key: _plain(value) for key, value in self.plain().items() if key not in ("split", "keep")}

    def of_checkpoint(self, saved: Mapping[str, Any] | None, overrides: Sequence[str]) -> Self:
        """The data set of a checkpoint's run, with what the user typed, which is in this one, on top.

        This one where the user chose a data set or an experiment, and where the checkpoint says nothing of data. ConfigError,
        which names the option, where the files are not there any more.
        """
        chosen = {".".join(parts_of(override)) for override in overrides} & {"data", "data.name", "experiment"}
        said = [override for override in overrides if parts_of(override)[0] == "data"]
        if not saved or chosen:
            check_typed({"data": self.plain()}, said, "evaluate")
            return self
        merged = with_typed({"data": saved}, {"data": self.plain()}, said)
        check_typed(merged, said, "evaluate")
        _check_places(merged["data"])
        return type(self).of(merged["data"])

    def dataset(self, purpose: Purpose, limit: int | None = None) -> Dataset:
        """The data set to train on or to judge on, the first ``limit`` images of it.

        ConfigError where none is chosen, DataError where there is nobody to learn from, as nothing is annotated.
        """
        if not self.name:
            raise ConfigError("no data set; choose one with data=synthetic or data=coco data.root=FOLDER")
        options = dict(self.options)
        if purpose == "train" and self.train_only_people and "only_people" in options:
            options["only_people"] = self.train_only_people
        split = self.split_for(purpose)
        dataset = self._read(Component(self.name, options), split, limit)
        if purpose == "train" and not dataset.labelled:
            raise DataError(
                f"split {split} lists images without annotations, from which nothing is learned; give data.train_split= or "
                "data.annotations= that has some"
            )
        return dataset

    def split_for(self, purpose: Purpose) -> str:
        """The split that is trained on, or judged on."""
        return self.split or (self.train_split if purpose == "train" else self.val_split) or purpose

    def called(self, purpose: Purpose) -> str:
        """What people call these images: "coco, val"."""
        return f"{self.name}, {self.split_for(purpose)}"

    def _read(self, component: Component, split: str, limit: int | None) -> Dataset:
        """The images of a split, "train[100:]" and the like, that count, or their people; kept in memory once for equal ones."""
        whole, part = _part_of(split)
        chosen = Component(component.name, dict(component.options) | {"split": whole})
        dataset = chosen.builder(DATASETS, "data", extra=("name", *resolved(Loading)))()
        if part != slice(None) or limit is not None or self.min_people:
            images = (index for index in range(len(dataset))[part] if _annotated(dataset, index, self.min_people))
            dataset = Subset(dataset, list(islice(images, limit)))
        dataset = kept(dataset, (repr((component, self.min_people)), split, limit)) if self.keep else dataset
        return PersonCrops(dataset, self.min_keypoints) if self.unit == "crop" else dataset


def _plain(value: Any) -> Any:
    """A value as a checkpoint holds it: of paths their text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, PathLike) else value


def _check_places(data: Mapping[str, Any]) -> None:
    """Refuse data of a checkpoint's run that are not where they were; what has ``{split}`` in it the data set looks for."""
    inside = [("data.sets", entry.get(key)) for entry in data.get("sets") or () for key in _PLACES]
    for key, place in [*((f"data.{key}", data.get(key)) for key in _PLACES), *inside]:
        if isinstance(place, str) and "{split}" not in place and not path_of(place).exists():
            raise ConfigError(
                f"the checkpoint's run had its data at {key}={place}, which is not there; give {key}= where they lie now, or "
                "another data set with data="
            )


def _part_of(split: str) -> tuple[str, slice]:
    """The split's name and which of its images are meant."""
    if "[" not in split:
        return split, slice(None)
    read = re.fullmatch(r"(.+)\[(\d*):(\d*)\]", split)
    if read is None:
        raise ConfigError(f"split {split!r}: a part of a split is written as in train[100:], train[:100] or train[100:200]")
    name, start, stop = read.groups()
    return name, slice(int(start) if start else None, int(stop) if stop else None)


def _annotated(dataset: Dataset, index: int, fewest: int) -> bool:
    return fewest == 0 or int((dataset.people(index).visibility > 0).any(1).sum()) >= fewest
