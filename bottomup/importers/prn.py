"""The Pose Residual Network of its authors (pose-residual-network-pytorch) as a checkpoint of ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bottomup.checkpoint import Checkpoint
from bottomup.importers.entries import Entries, permuted, rearranged
from bottomup.importers.naming import Names, as_checkpoint
from bottomup.importers.published import Published, read_published
from bottomup.ops.crops import CROP
from bottomup.skeletons import COCO
from bottomup.types import Task

LAYERS = ("dens1", "bneck", "dens2")
_PLACES = (0, 3, 6)  # of our perceptron's layers, whose activations stand between them


def import_prn(path: str | Path) -> tuple[Checkpoint, list[str]]:
    """Read the authors' PRN into a checkpoint; also the names of the tensors that it does not use, of which there are none.

    Theirs has two hidden layers, where the paper has one, a ReLU on its output, the softmax over all cells of a person, and peaks
    of mass 1: options of our head. Its maps lie as (56, 36, K), ours as (K, 56, 36), so the weights are moved. Differs: our
    candidates keep their place between the crop's cells, theirs come to a cell's middle; our gaussians are cut at the border,
    theirs go on as if the border's cells were repeated behind it.

    The model has neither backbone nor boxes: it is judged on true boxes and keypoints (``evaluate weights=THIS
    oracle=[candidates,proposals]``), or joined with a network that has them (``combine method=multiposenet
    heads.prn.hidden=[1024,1024] heads.prn.input_mass=1 init=[NETWORK,THIS]``). Raises CheckpointError where the file is another
    network.
    """
    published = read_published(path)
    overrides = ["experiment=multiposenet/prn", "~heads.proposals.first", *prn_overrides(published)]
    ours, _ = rearranged(published, prn_entries(range(len(COCO))))
    return as_checkpoint(ours, overrides, Task(COCO), prn_names()), []


def prn_overrides(published: Published, prefix: str = "") -> list[str]:
    """The overrides that make our head and decoder the authors', of a PRN whose names begin with ``prefix``.

    CheckpointError where its layers do not follow on each other, or are not of crops like ours.
    """
    units = CROP[0] * CROP[1] * len(COCO)
    first, second = (published.size(f"{prefix}{layer}.weight") for layer in LAYERS[:2])
    for layer, shape in zip(LAYERS, ((first, units), (second, first), (units, second)), strict=True):
        published.expect(f"{prefix}{layer}.weight", shape)
    return [f"heads.prn.hidden=[{first},{second}]", "heads.prn.input_mass=1.0", "decoder=prn_authors"]


def prn_entries(keypoints: Sequence[int], prefix: str = "") -> dict[str, Entries]:
    """Which of their units ours are; ``keypoints`` says which of theirs each of ours is."""
    whole = permuted((*CROP, len(keypoints)), (2, 0, 1)).view(len(keypoints), -1)
    places = whole[list(keypoints)].flatten()
    return {f"{prefix}{layer}": Entries(axis, places, len(places)) for layer, axis in (("dens1", 1), ("dens2", 0))}


def prn_names(prefix: str = "") -> Names:
    """What they call our layers."""
    return [
        (rf"^heads\.prn\.heads\.0\.relate\.layers\.{place}\.", f"{prefix}{layer}.")
        for place, layer in zip(_PLACES, LAYERS, strict=True)
    ]
