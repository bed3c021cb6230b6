"""Who is followed, and where each one will be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from bottomup.masks import concatenated
from bottomup.tracking.cues import shifted, step
from bottomup.types import Instances

_LEAST_GAIN = 0.3  # of a new step in the velocity; the first steps weigh as a mean's
_SHRINKS = 0.97  # a frame: how fast somebody half hidden is taken for smaller
_LEAST_AREA = 1.0  # px², of somebody of one keypoint


@dataclass(frozen=True)
class Tracks:
    """T people as they were last seen; px of the video's frames."""

    numbers: Tensor  # (T,) int64, in the order of birth
    people: Instances  # their keypoints also those that were not found when they were last seen, moved along
    areas: Tensor  # (T,) px², of all of them: who is half hidden has not become smaller
    velocity: Tensor  # (T, 2) px a frame
    hits: Tensor  # (T,) int64: in how many frames they were seen
    missed: Tensor  # (T,) int64: for how many frames they have not been
    filtered: Tensor  # (T, K, 2) px: their smoothed keypoints, NaN where they were not found
    speed: Tensor  # (T, K, 2) px a second, of those

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: Tensor) -> Tracks:
        """Some of them, by mask or indices."""
        return Tracks(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    @classmethod
    def begun(cls, found: Instances, first: int) -> Tracks:
        """A track of everybody who is found, numbered from ``first``."""
        count = len(found)
        nowhere = torch.full_like(found.keypoints, torch.nan)
        numbers = torch.arange(first, first + count)
        still, once = torch.zeros(count, 2), torch.ones(count, dtype=torch.int64)
        areas = found.areas.clamp(min=_LEAST_AREA)
        return cls(numbers, found, areas, still, once, torch.zeros_like(once), nowhere, torch.zeros_like(nowhere))

    @property
    def now(self) -> Instances:
        """The people where they should be in the next frame."""
        return shifted(self.people, self.velocity * (self.missed + 1)[:, None])

    def seen(self, rows: Tensor, found: Instances, tag_memory: float) -> Tracks:
        """The tracks ``rows`` (S,) one frame later, when they were ``found`` (S), in their order.

        Tags are running means, which keep ``tag_memory`` of what they were.
        """
        own = self[rows]
        elapsed = (own.missed + 1)[:, None]
        gain = (1 / own.hits).clamp(min=_LEAST_GAIN)[:, None]
        velocity = own.velocity + gain * (step(own.people, found) / elapsed - own.velocity)
        expected = shifted(own.people, own.velocity * elapsed).keypoints
        keypoints = torch.where(found.keypoints.isfinite(), found.keypoints, expected)
        tags = found.tags
        if tags is not None and own.people.tags is not None and own.people.tags.shape == tags.shape:
            tags = torch.lerp(tags, own.people.tags, tag_memory)
        areas = torch.maximum(found.areas, own.areas * _SHRINKS ** elapsed[:, 0])
        people = replace(found, keypoints=keypoints, tags=tags)
        return replace(own, people=people, areas=areas, velocity=velocity, hits=own.hits + 1, missed=torch.zeros_like(own.missed))

    def unseen(self, rows: Tensor) -> Tracks:
        """The tracks ``rows`` one frame later, in which they were not found."""
        own = self[rows]
        return replace(own, missed=own.missed + 1)


def joined(parts: Sequence[Tracks]) -> Tracks:
    """The tracks of all parts, at least one, one after the other; an empty part says nothing of what the others have."""
    parts = [part for part in parts if len(part)] or [parts[-1]]
    tensors = {f.name: torch.cat([getattr(part, f.name) for part in parts]) for f in fields(Tracks) if f.name != "people"}
    return Tracks(people=_joined([part.people for part in parts]), **tensors)


def _joined(parts: Sequence[Instances]) -> Instances:
    def all_of(name: str) -> Any:
        values = [getattr(part, name) for part in parts]
        if any(value is None for value in values):
            return None
        return concatenated(values) if name == "masks" else torch.cat(values)

    return Instances(**{f.name: all_of(f.name) for f in fields(Instances)})
