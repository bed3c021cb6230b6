"""The data that flows from an image to instances.

Axis letters everywhere: B batch, N annotated people (padded), P predicted instances, K keypoints, D tag size, C channels or
categories, H W input size, h w map size. Points are (x, y), sizes (height, width). Frames: *image* px is the stored file,
*input* px the network's input; everything between Sample and Prediction is in input px. What is predicted stands in
``instances`` and ``prediction``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bottomup.geometry import Grid, area_scale, chain, flip_boxes, mirrors, transform_boxes, transform_points
from bottomup.instances import Instances as Instances
from bottomup.prediction import Prediction as Prediction
from bottomup.skeletons import Skeleton

Features = dict[str, Tensor]  # level name -> (B, C, h, w)
Outputs = dict[str, Tensor]  # what heads predict; keys and axes declared by Head.provides
Targets = dict[str, Tensor]

OUTSIDE = (
    3  # the visibility of a keypoint whose place is known, but out of the picture: it is nobody's label, yet its disk may reach in
)

IgnoreMap = Literal["crowd", "unannotated", "unmasked", "padding"]
IGNORE_MAPS: tuple[str, ...] = get_args(IgnoreMap)


@dataclass(frozen=True)
class Task:
    """What is to be found; every head and decoder gets it."""

    skeleton: Skeleton | None = None
    categories: tuple[str, ...] = ("person",)

    @property
    def keypoints(self) -> int:
        """K, the number of keypoints; 0 where the task has no skeleton."""
        return len(self.skeleton) if self.skeleton else 0


@dataclass(frozen=True)
class People:
    """Ground truth of one image, without its crowds."""

    keypoints: NDArray[np.float32]  # (N, K, 2) px
    visibility: NDArray[np.uint8]  # (N, K): 0 unlabelled, 1 occluded, 2 visible; 3 OUTSIDE of the picture
    boxes: NDArray[np.float32]  # (N, 4) xyxy px
    areas: NDArray[np.float32]  # (N,) px², of the segment where there is one: the s² of OKS
    labels: NDArray[np.int64]  # (N,) category index
    has_mask: NDArray[np.bool_]  # (N,)
    tracks: NDArray[np.int64] | None = None  # (N,) who each is along a video, unlike anybody of another; None: not known

    def __len__(self) -> int:
        return len(self.keypoints)

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """(N, K): keypoints that are annotated, and in the picture."""
        return np.asarray((self.visibility > 0) & (self.visibility != OUTSIDE))

    @classmethod
    def empty(cls, keypoints: int) -> People:
        """Nobody, with K = ``keypoints``."""
        return cls(
            np.zeros((0, keypoints, 2), np.float32), np.zeros((0, keypoints), np.uint8), np.zeros((0, 4), np.float32),
            np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros(0, bool),
        )  # fmt: skip

    def __getitem__(self, index: NDArray[Any] | slice) -> People:
        """Some of the people, by mask, indices or slice."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        chosen: dict[str, Any] = {name: None if value is None else value[index] for name, value in values.items()}
        return People(**chosen)

    def transform(self, matrix: NDArray[np.float64], flip_order: tuple[int, ...]) -> People:
        """Move everything by an affine matrix (2, 3); where it mirrors, keypoints swap sides by ``flip_order``."""
        matrix32 = matrix.astype(np.float32)
        keypoints = transform_points(self.keypoints, matrix32)
        visibility = self.visibility
        if mirrors(matrix):
            keypoints, visibility = keypoints[:, flip_order], visibility[:, flip_order]
        boxes = transform_boxes(self.boxes, matrix32)
        return replace(self, keypoints=keypoints, visibility=visibility, boxes=boxes, areas=self.areas * area_scale(matrix32))


@dataclass(frozen=True)
class Sample:
    """One image with its people, all in one frame: the file's as read, the input's once augmented."""

    image: NDArray[np.uint8] | None  # (3, H, W) RGB, in memory as a rule (H, W, 3); None: labels alone
    people: People
    ignore: dict[str, NDArray[np.bool_]]  # IGNORE_MAPS in use, (H, W) each; of a map that is not there nothing is ignored
    instances: NDArray[np.int16] | None  # (H, W): 0 none, n + 1 inside the mask of person n alone, -1 inside several
    image_id: int
    file_size: tuple[int, int]  # (H, W)
    to_input: NDArray[np.float64]  # (2, 3) affine, image px -> this frame's px
    content: tuple[float, float, float, float] | None = None  # xyxy of the image without padding; None: all of it
    frame: tuple[int, int] | None = None  # (H, W) of this frame where there is no image to say it
    annotated: NDArray[np.bool_] | None = None  # (K,) keypoints that its data set annotates at all; None: every one
    beside: People | None = None  # people just out of the picture: the disks of their keypoints may reach in
    focus: NDArray[np.float64] | None = None  # (4,) xyxy of what of it a network is to see, as a person with a margin; None: all

    @classmethod
    def of_pixels(cls, pixels: NDArray[np.uint8], image_id: int, keypoints: int) -> Sample:
        """An image (H, W, 3) RGB in its own frame, of whose people, with K = ``keypoints``, nothing is known."""
        return cls(
            image=pixels.transpose(2, 0, 1),
            people=People.empty(keypoints),
            ignore={},
            instances=None,
            image_id=image_id,
            file_size=(pixels.shape[0], pixels.shape[1]),
            to_input=np.eye(2, 3),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the frame that it is in."""
        shape = self.frame if self.image is None else (self.image.shape[1], self.image.shape[2])
        assert shape is not None  # a sample without an image has a frame
        return shape

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The image (3, H, W); ValueError for labels alone."""
        if self.image is None:
            raise ValueError(f"image {self.image_id} is needed, but only its labels were read")
        return self.image

    def move_people(self, matrix: NDArray[np.float64], flip_order: tuple[int, ...]) -> Sample:
        """The sample with its people and focus moved by an affine matrix (2, 3); image and maps stay."""
        annotated = self.annotated
        if annotated is not None and mirrors(matrix):
            annotated = annotated[list(flip_order)]
        people = self.people.transform(matrix, flip_order)
        focus = None if self.focus is None else transform_boxes(self.focus[None], matrix)[0]
        return replace(self, people=people, annotated=annotated, focus=focus, to_input=chain(self.to_input, matrix))


@dataclass(frozen=True)
class Batch:
    """Samples of one shape, people padded to a fixed N; everything in input px."""

    size: tuple[int, int]
    keypoints: Tensor  # (B, N, K, 2) float32
    visibility: Tensor  # (B, N, K) uint8, as People's
    boxes: Tensor  # (B, N, 4) float32
    areas: Tensor  # (B, N) float32
    labels: Tensor  # (B, N) int64
    has_mask: Tensor  # (B, N) bool
    present: Tensor  # (B, N) bool: False is padding, or somebody just out of the picture
    content: Tensor  # (B, 4) float32 xyxy; on the host
    image_ids: tuple[int, ...]
    file_sizes: tuple[tuple[int, int], ...]  # (H, W) each
    to_input: Tensor  # (B, 2, 3) float64; on the host
    ignore: dict[str, Tensor] = field(default_factory=dict)  # (B, H, W) bool each
    images: Tensor | None = None  # (B, 3, H, W) uint8, as a rule channels last; None for heads that train on labels alone
    instances: Tensor | None = None  # (B, H, W) int16
    tracks: Tensor | None = None  # (B, N) int64, as People's; padding counts for nobody
    annotated: Tensor | None = None  # (B, K) bool: keypoints that the image's data set annotates at all; None: every one
    # Both are counted when collated, for a device would have to be waited for.
    most: int | None = None  # how many of the N are somebody, in the image with the most; they stand first; None: not known
    outside: bool = True  # whether a keypoint may be OUTSIDE

    def __len__(self) -> int:
        return len(self.image_ids)

    @property
    def labelled(self) -> Tensor:
        """(B, N, K) bool: keypoints of present people that are annotated, and in the picture."""
        return self.placed & (self.visibility != OUTSIDE) & self.present[..., None]

    @property
    def placed(self) -> Tensor:
        """(B, N, K) bool: keypoints whose place is known, in the picture or out of it: whoever's, their disks are no background."""
        return self.visibility > 0

    def ignored(self, names: frozenset[str]) -> Tensor:
        """(B, H, W) bool: the union of the named ignore maps; nothing where none is there."""
        union = torch.zeros((len(self), *self.size), dtype=torch.bool, device=self.keypoints.device)
        for name in sorted(names & self.ignore.keys()):
            union = union | self.ignore[name]
        return union

    def to(self, device: torch.device | str, non_blocking: bool = True) -> Batch:
        """The batch on a device, all but what is asked of on the host: where its images lie, ``content`` and ``to_input``."""
        moved = self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))
        return replace(moved, content=self.content, to_input=self.to_input)

    def pin_memory(self) -> Batch:
        """The batch in page-locked memory; called by the DataLoader."""
        return self._map(lambda tensor: tensor.pin_memory())

    def _map(self, move: Any) -> Batch:
        moved: dict[str, Any] = {}
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, Tensor):
                moved[entry.name] = move(value)
            elif entry.name == "ignore":
                moved["ignore"] = {name: move(value) for name, value in self.ignore.items()}
        return replace(self, **moved)


@dataclass(frozen=True)
class Frame:
    """Where maps lie."""

    grids: Mapping[str, Grid]  # of each output key that is a map
    size: tuple[int, int]  # (H, W) input px
    content: Tensor  # (B, 4) xyxy input px: the image without its padding
    scale: float = 1.0  # of the predictor's input_size, at which this view is seen

    def flipped(self) -> Frame:
        """The frame of the mirrored input."""
        return replace(self, content=flip_boxes(self.content, self.size[1]))
