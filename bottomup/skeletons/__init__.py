"""What people (or animals) are made of: names, left/right pairs, tree, OKS sigmas; built-in ones by name."""

from __future__ import annotations

from bottomup.errors import ConfigError, unknown
from bottomup.skeletons.bodies import AIC, COCO, CROWDPOSE, MHP, MPII, POSETRACK18
from bottomup.skeletons.halpe import HALPE26, HALPE136
from bottomup.skeletons.skeleton import Skeleton, warn_of_mirroring
from bottomup.skeletons.whole_body import COCO_WHOLEBODY

__all__ = [
    "AIC", "COCO", "COCO_WHOLEBODY", "CROWDPOSE", "HALPE26", "HALPE136", "MHP", "MPII", "POSETRACK18", "SKELETONS", "Skeleton",
    "skeleton_named", "warn_of_mirroring",
]  # fmt: skip

_BUILT_IN = (COCO, CROWDPOSE, MPII, AIC, MHP, POSETRACK18, COCO_WHOLEBODY, HALPE26, HALPE136)
SKELETONS = {skeleton.name: skeleton for skeleton in _BUILT_IN}


def skeleton_named(name: str) -> Skeleton:
    """A built-in skeleton by name; ConfigError with the nearest names."""
    if name not in SKELETONS:
        raise ConfigError(unknown("skeleton", name, sorted(SKELETONS)))
    return SKELETONS[name]
