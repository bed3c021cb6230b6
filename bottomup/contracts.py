"""The four contracts: an image becomes instances by backbone -> necks -> heads -> decoder.

A head knows three things about its maps: how to predict them (``forward``), what they should be (``encode``, ``ideal``) and
how wrong they are (``loss``). Everything method-specific lives behind these classes; the model, the engine, the data and the
predictor know only this page.

A *stage* is one dictionary of features that is supervised: an hourglass stack, the middle of a ResNet, a pyramid level.
Stages are aligned at the end, and the prediction of a key is that of the last stage it exists on, or of a head that joins its
stages their merge.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from bottomup.devices import beside, constant, on_host
from bottomup.errors import ConfigError
from bottomup.geometry import Grid, enlarge, resample, resize
from bottomup.grouping.found import Grouping, HostFrame
from bottomup.registry import Registry
from bottomup.thresholds import Thresholds
from bottomup.types import Batch, Features, Frame, Instances, Outputs, Prediction, Targets, Task

FeedBack = Callable[[Features, int], Tensor]  # (a stage's features, its index) -> its fed-back maps (B, C, h, w)


class Level(NamedTuple):
    """One feature map that a backbone or neck offers; heads' maps of it lie on ``grid``.

    Where the features themselves lie on a ``coarse`` one they are enlarged by the nearest cell, or what ``pointwise`` heads make of
    them is.
    """

    channels: int
    grid: Grid
    coarse: Grid | None = None

    def enlarge(self, maps: Tensor) -> Tensor:
        """Maps (B, C, h, w) on ``grid``, of the grid that the features lie on."""
        if self.coarse is None:
            return maps
        h, w = maps.shape[-2:]
        return enlarge(maps, self.coarse, self.grid, self.grid.shape((self.coarse.side(h), self.coarse.side(w))))


FeatureSpec = dict[str, Level]  # of one stage, finest level first


@dataclass(frozen=True)
class Normalisation:
    """How uint8 RGB becomes the network's input: (image / 255 - mean) / std."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


NormalisationName = Literal["imagenet", "none", "symmetric"]
NORMALISATIONS: dict[NormalisationName, Normalisation] = {
    "imagenet": Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "none": Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),  # RGB in [0, 1], as pose-ae-train feeds it
    "symmetric": Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),  # RGB in [-1, 1], as TensorFlow's MobileNets
}


class Staged(nn.Module, ABC):
    """What heads read, a backbone or a neck: one Features per supervised stage."""

    stages: list[FeatureSpec]
    feeds_back: bool = False  # whether predictions of a stage enter the next

    def connect(self, channels: int) -> None:
        """Take ``channels`` fed-back channels in; called once, before training, where ``feeds_back``."""
        raise NotImplementedError(f"{type(self).__name__} feeds nothing back")

    def used_from(self, stage: int) -> list[str]:
        """The names of those modules within that only stages from this one on, counted from 0, have use for."""
        return []


class Backbone(Staged):
    """Image to features, (B, 3, H, W) normalised float to one Features per supervised stage."""

    normalisation: Normalisation = NORMALISATIONS["imagenet"]
    coarsest: Grid  # of the coarsest map inside; input sides must fit it even where no head reads it

    @abstractmethod
    def forward(self, images: Tensor, feed_back: FeedBack | None = None) -> list[Features]:
        """Features of every stage; ``feed_back`` is called once for every stage but the last where ``feeds_back``."""


class Neck(Staged):
    """Features to features; several heads may share one. Its positional argument is the stages it reads."""

    @abstractmethod
    def forward(self, stages: list[Features], feed_back: FeedBack | None = None) -> list[Features]:
        """Its stages' features from its source's; ``feed_back`` as that of a backbone."""

    def keep(self, levels: set[str]) -> None:
        """Drop the weights that only other levels than these, which some head reads, have use for; called once."""
        return


@dataclass(frozen=True)
class Source:
    """What a head is built on."""

    features: FeatureSpec | None = None  # None: it reads only earlier heads' outputs
    grids: dict[str, Grid] = field(default_factory=dict)  # of the maps that earlier heads of this stage provide

    @property
    def level(self) -> Level:
        """The single level of a head that reads one."""
        return self.levels[0]

    @property
    def levels(self) -> list[Level]:
        """The levels in their order, finest first; ValueError for a head without features."""
        if not self.features:
            raise ValueError("this head is built without features; give it a level to read")
        return list(self.features.values())

    def grid_of(self, key: str) -> Grid:
        """The grid of the single level, on which the maps ``key`` of an earlier head lie too; ConfigError where they do not."""
        grid = self.grids.get(key, self.level.grid)
        if grid != self.level.grid:
            raise ConfigError(f"{key} lie on {grid}, the level of a head that reads them on {self.level.grid}: give both one level")
        return grid


class Least(NamedTuple):
    """What a figure of a head must reach for it to have learned, and what to do where it does not."""

    value: float
    advice: str


class Head(nn.Module, ABC):
    """Maps of one kind: predicted, made from annotations, judged, joined.

    Constructors take ``(source, task, *, ...options)``: what stands before the star comes from the composer, what stands
    after it from the YAML. ``provides`` and ``requires`` say output keys with their axes, such as ``"B K h w"``; a required
    key may name alternatives (``"heatmap | heatmap_logits"``) or end in ``?`` where it is optional.
    """

    provides: dict[str, str]
    requires: dict[str, str]
    grids: dict[str, Grid]  # of the maps it provides
    ignores: frozenset[str] = frozenset()  # which ignore maps its loss reads
    reads_features: bool = True  # False: it reads earlier heads' outputs only, and exists on the last stage only
    pointwise: bool = False  # whether its maps, (B, C, h, w), are of each cell's features alone: then enlarging them may follow
    reads_instances: bool = False  # whether encode or ideal reads Batch.instances
    feedback: int = 0  # channels of its maps that what feeds predictions back may take in
    frames: int = 1  # how many frames of a clip, side by side in a batch, its loss reads at once
    matches: bool = False  # whether encode reads outputs (its targets depend on what was predicted)
    beside: frozenset[str] = frozenset()  # keys whose ideal outputs its own are of, row by row: both are given, or neither
    least: ClassVar[Mapping[str, Least]] = {}  # of its ``metrics`` those that training warns of while they are lower
    refined: frozenset[str] = frozenset()  # those of its offsets that its option ``refine`` has continued
    limits: Mapping[str, int] = MappingProxyType({})  # its options that bound how many people of an image are found

    def __init__(self, source: Source, task: Task) -> None:
        super().__init__()
        self.source, self.task = source, task
        self.provides, self.requires, self.grids = {}, {}, {}

    @abstractmethod
    def forward(self, features: Features, outputs: Outputs) -> Outputs:
        """The maps it provides, from its levels and earlier heads' outputs of the same stage."""

    def trim(self, outputs: Outputs) -> Outputs:
        """Its outputs without the padding that no image of the batch needs; done where shapes need not be static."""
        return outputs

    def encode(self, batch: Batch, outputs: Outputs) -> Targets:
        """What the maps should be, on the batch's device; ``outputs`` are detached and read only where ``matches``."""
        return {}

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        """Each term's (B,) unweighted float32 loss per image; a connected 0 where nothing is supervised."""
        return {}

    def metrics(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        """Each figure worth logging beside the losses: (B,), NaN where an image has none."""
        return {}

    @abstractmethod
    def ideal(self, batch: Batch) -> Outputs:
        """What a flawless network would give."""

    def teaching(self, batch: Batch) -> Outputs:
        """What takes the place of its outputs where heads after it train on annotations alone (teacher forcing): ideal ones."""
        return self.ideal(batch)

    def unflip(self, outputs: Outputs, frame: Frame) -> Outputs:
        """Undo a horizontal flip of its maps: mirror them and swap left and right keypoints; x offsets change sign."""
        return {key: self._unflip(outputs[key], axes) for key, axes in self.provides.items()}

    def _unflip(self, maps: Tensor, axes: str) -> Tensor:
        letters = axes.split()
        if letters[-1] != "w":
            raise NotImplementedError(f"{type(self).__name__} must define flip for its output with axes ({axes})")
        maps = maps.flip(-1)
        if "K" in letters and self.task.skeleton is not None:
            maps = maps.index_select(letters.index("K"), constant(self.task.skeleton.flip_order, maps, torch.int64))
        if letters[-3] == "2":  # an offset field: x points the other way
            maps = maps * constant((-1.0, 1.0), maps).view(2, 1, 1)
        return maps

    def merge(self, views: list[Outputs], frames: list[Frame], onto: Frame) -> Outputs:
        """Join unflipped views, or stages: resampled onto the grids of ``onto``, then their mean, of logits as probabilities."""
        aligned = {key: torch.stack(self.aligned(key, views, frames, onto)) for key in self.provides}
        return {key: _mean_probability(maps) if key.endswith("_logits") else maps.mean(0) for key, maps in aligned.items()}

    def aligned(self, key: str, views: list[Outputs], frames: list[Frame], onto: Frame, mode: str = "bilinear") -> list[Tensor]:
        """Every view's map ``key`` resampled so that its content lies on that of ``onto``; offsets grow with the content."""
        grid = onto.grids[key]
        shape = grid.shape(onto.size)
        is_offset = self.provides[key].split()[-3] == "2"

        def moved(maps: Tensor, frame: Frame) -> Tensor:
            own, same = frame.grids[key], _same(frame, onto)
            if same and own == grid:
                return maps
            flat = maps.flatten(1, -3)
            if same:
                return resize(flat, own, grid, shape, mode).view(*maps.shape[:-2], *shape)
            there = resample(flat, own, frame.content, grid, onto.content, shape, mode).view(*maps.shape[:-2], *shape)
            return there * beside(_growth(frame, onto), there).view(-1, 1, 2, 1, 1) if is_offset else there

        return [moved(view[key], frame) for view, frame in zip(views, frames, strict=True)]


def _mean_probability(logits: Tensor) -> Tensor:
    """The logits of the mean probability of views (V, ...)."""
    logits = logits.float()
    return F.logsigmoid(logits).logsumexp(0) - F.logsigmoid(-logits).logsumexp(0)


def _growth(frame: Frame, onto: Frame) -> Tensor:
    """(B, 2) by how much the content of ``onto`` is larger, along x and y."""
    return (onto.content[:, 2:] - onto.content[:, :2]) / (frame.content[:, 2:] - frame.content[:, :2])


def _same(frame: Frame, onto: Frame) -> bool:
    """Whether two views show the same in the same place; of one image's stages that is known without a look at numbers."""
    return frame.size == onto.size and (frame.content is onto.content or torch.equal(frame.content, onto.content))


class Decoder(ABC):
    """Outputs to instances; it has options but no learned weights. Its positional argument is the task."""

    requires: dict[str, str]
    raw: frozenset[str] = frozenset()  # offsets that it refines itself, so that no head may have
    recommended: Thresholds = Thresholds()  # what of its instances is worth showing, whose scores only it knows the meaning of
    limits: Mapping[str, int] = MappingProxyType({})  # its options that bound how many people of an image are found
    posed: bool = True  # False: it finds masks of objects, their categories told apart, and no keypoints (K = 0)
    grouping: Grouping | None = None  # its sequential part, which needs no PyTorch; None: its own ``people`` is all there is

    @abstractmethod
    def tensors(self, outputs: Outputs, frame: Frame) -> dict[str, Tensor]:
        """The parallel part: static shapes, on the device, exportable."""

    def people(self, tensors: dict[str, Tensor], frame: Frame) -> list[Prediction]:
        """The sequential part, on the host: one Prediction an image in input px, nothing outside ``frame.content``."""
        assert self.grouping is not None, f"{type(self).__name__} needs a grouping, or people of its own"
        arrays = {name: _array(tensor) for name, tensor in tensors.items()}
        decoded = self.grouping(arrays, HostFrame(frame.grids, frame.size, _array(frame.content)))
        pixels = [None if image.segmentation is None else torch.from_numpy(image.segmentation) for image in decoded]
        return [Prediction(Instances.of(image.people), frame.size, own) for image, own in zip(decoded, pixels, strict=True)]

    def suppress(self, joined: Instances) -> Instances:
        """Those of instances, joined from several views and best first, that better ones do not explain, in input px; here all."""
        return joined

    def __call__(self, outputs: Outputs, frame: Frame) -> list[Prediction]:
        """Decode a batch: ``tensors``, one transfer to the host, ``people``."""
        return self.people(on_host(self.tensors(outputs, frame)), frame)


def _array(tensor: Tensor) -> NDArray[Any]:
    """A tensor on the host; numbers of half the precision, which numpy lacks in part, as float32."""
    array: NDArray[Any] = (tensor.float() if tensor.is_floating_point() else tensor).numpy(force=True)
    return array


@dataclass(frozen=True)
class Requirement:
    """One entry of ``requires``: any of ``keys`` will do."""

    keys: tuple[str, ...]
    axes: str
    optional: bool

    def choose(self, available: Iterable[str]) -> str | None:
        """The first alternative that is available."""
        there = set(available)
        return next((key for key in self.keys if key in there), None)


def requirements(requires: dict[str, str]) -> list[Requirement]:
    """Read a ``requires`` dictionary."""
    found = []
    for key, axes in requires.items():
        names = tuple(name.strip() for name in key.rstrip("?").split("|"))
        found.append(Requirement(names, axes, key.endswith("?")))
    return found


def probability(outputs: Outputs, name: str) -> Tensor:
    """The linear map ``name``, or the sigmoid of ``name_logits``: the only place that activates."""
    return outputs[name] if name in outputs else outputs[f"{name}_logits"].float().sigmoid()


def probability_grid(where: Frame | Source, name: str) -> Grid:
    """The grid of what ``probability`` returns, as a batch's frame or a head's source states it."""
    return where.grids[name] if name in where.grids else where.grids[f"{name}_logits"]


BACKBONES: Registry[Backbone] = Registry("backbone", "bottomup.backbones")
NECKS: Registry[Neck] = Registry("neck", "bottomup.necks")
HEADS: Registry[Head] = Registry("head", "bottomup.heads")
DECODERS: Registry[Decoder] = Registry("decoder", "bottomup.decoders")
