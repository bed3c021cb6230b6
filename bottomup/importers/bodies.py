"""Whose keypoints a published network finds: its file says how many there are, and data sets of as many differ in order."""

from __future__ import annotations

from bottomup.errors import ConfigError
from bottomup.importers.published import Published
from bottomup.skeletons import SKELETONS, Skeleton, skeleton_named

_USUAL = ("coco", "crowdpose", "mhp", "coco_wholebody")  # which of several skeletons with as many keypoints is meant unless said


def skeleton_of(published: Published, outputs: str, name: str | None = None) -> Skeleton:
    """The skeleton called ``name``, or the usual one of as many keypoints as half the channels of the tensor ``outputs``.

    Raises CheckpointError where none has so many, ConfigError where the one called so has another number.
    """
    channels = published.size(outputs)
    if name is not None:
        skeleton = skeleton_named(name)
        if 2 * len(skeleton) != channels:
            raise ConfigError(f"skeleton={name} has {len(skeleton)} keypoints, the network in {published.path} has {channels // 2}")
        return skeleton
    known = [SKELETONS[name] for name in dict.fromkeys((*_USUAL, *SKELETONS)) if name in SKELETONS]
    found = next((skeleton for skeleton in known if 2 * len(skeleton) == channels), None)
    if found is None:
        numbers = ", ".join(f"{len(skeleton)} ({skeleton.name})" for skeleton in known)
        raise published.differs(
            outputs, f"a heatmap and a tag of each keypoint, of which there are {numbers}", f"{channels} outputs"
        )
    return found
