"""The parts of a plan that several commands share."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Self

import torch

from bottomup.crops import Crops
from bottomup.devices import device_of
from bottomup.errors import ConfigError
from bottomup.image_files import Orientation
from bottomup.options import check_value
from bottomup.paths import path_of
from bottomup.plan.groups import Refining
from bottomup.precision import Precision
from bottomup.samples.skipping import OnError


def said(kind: type, config: Mapping[str, Any]) -> dict[str, Any]:
    """What a configuration says of the fields of a dataclass; lists as tuples, which are frozen, too."""
    names = [entry.name for entry in fields(kind) if entry.name in config]
    return {name: tuple(config[name]) if isinstance(config[name], list) else config[name] for name in names}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a command writes, on what it runs, and where chance begins."""

    output: str | int | None = None
    seed: int = 0
    device: str | None = None
    workers: int = 0

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """The place that a configuration says."""
        return cls(**said(cls, config))

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    def folder(self, command: str) -> Path:
        """``output``, or outputs/<command>/<time>; ConfigError where no such folder can be made."""
        now = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        folder = Path("outputs") / command / now if self.output is None else path_of(str(self.output))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:  # a file of that name, no right to write, a full disk
            raise ConfigError(
                f"output={folder} is no folder and cannot become one ({error.strerror}); give another output="
            ) from error
        return folder

    def chosen_device(self) -> str:
        """``device``, or cuda where there is one; ConfigError where the one asked for is not there."""
        device = str(self.device or ("cuda" if torch.cuda.is_available() else "cpu"))
        if device not in ("cpu", "cuda"):
            raise ConfigError(f"device is cpu or cuda, got {device!r}")
        return str(device_of(device))


@dataclass(frozen=True, kw_only=True)
class Viewing:
    """In which views an image is seen, how they are joined, and how many images at once, in which precision."""

    scales: Sequence[float] = (1.0,)  # of input_size, the finest first
    flip: bool = False
    views: Literal["maps", "instances", "oks_nms"] = "maps"
    crops: Crops | None = None  # seen beside the whole image
    votes: Sequence[float] | None = None  # of several networks, in their order
    batch_size: int = 8
    precision: Precision = "fp32"
    orientation: Orientation | None = None  # of files that EXIF turns; None: upright
    bit_depth: int | None = None  # of files with 16 bits a channel
    score_threshold: float | None = None  # from which score on people are kept; None: as the decoder recommends
    keypoint_threshold: float | None = None  # above which keypoints are drawn; None: as the decoder recommends
    refine: Refining = field(default_factory=Refining)  # the second look at each person, if there is one
    on_error: OnError = "raise"  # for one image among several that cannot be read

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """The views that a configuration says; ConfigError for crops or a refinement that are none."""
        crops, refine = config.get("crops"), config.get("refine")
        if not isinstance(crops, Crops):
            check_value("crops", crops, Crops | None)
        if not isinstance(refine, str | PathLike | Mapping | None):
            raise ConfigError(f"refine should be a single-person network's file, or a mapping of refine's options, got {refine!r}")
        own = {
            "crops": crops_of(crops),
            "refine": Refining(weights=str(refine)) if isinstance(refine, (str, PathLike)) else Refining.of(refine),
        }
        return cls(**said(cls, config) | own)

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        votes = None if self.votes is None else list(self.votes)
        return asdict(self) | {"scales": list(self.scales), "votes": votes, "refine": self.refine.plain()}


def names_of(weights: str | Sequence[str] | None) -> tuple[str, ...]:
    """The checkpoints, by file or name, that ``weights`` says: none, one or several."""
    return () if not weights else (weights,) if isinstance(weights, str) else tuple(weights)


def plain_names(weights: str | Sequence[str] | None) -> str | list[str] | None:
    """The same as plain data."""
    return weights if weights is None or isinstance(weights, str) else list(weights)


def crops_of(given: Crops | Mapping[str, Any] | None) -> Crops | None:
    """Crops as they are or as a mapping of their options, None for none; ConfigError for everything else."""
    if given is None or isinstance(given, Crops):
        return given
    if not isinstance(given, Mapping):
        raise ConfigError(f'crops should be a mapping of their options, as {{"size": 640, "overlap": 0.25}}, got {given!r}')
    return Crops(**given)
