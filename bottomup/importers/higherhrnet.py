"""HigherHRNet as its authors released it, as a checkpoint of ours."""

from __future__ import annotations

from pathlib import Path

from bottomup.checkpoint import Checkpoint
from bottomup.importers.bodies import skeleton_of
from bottomup.importers.hrnet import higher_names, sizes
from bottomup.importers.naming import as_checkpoint
from bottomup.importers.published import read_published
from bottomup.types import Task

_OVERRIDES = ("method=higherhrnet", "decoder=higherhrnet", "input_size=512", "side=short")


def import_higherhrnet(path: str | Path, *, skeleton: str | None = None) -> tuple[Checkpoint, list[str]]:
    """Read a HigherHRNet of its authors; also the names of the tensors that it does not use, of which there are none.

    Files of training in half precision have ``1.`` before all names. ``skeleton`` says whose keypoints it finds where several have
    as many. It is to see images of 512 px; those that were trained at 640 px do not say so. Raises CheckpointError where the file
    is another network's.
    """
    published = read_published(path)
    task = Task(skeleton_of(published, "final_layers.0.weight", skeleton))
    return as_checkpoint(published, [*_OVERRIDES, *sizes(published)], task, higher_names()), []
