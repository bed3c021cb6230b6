"""The kinds of published files: who imports each, and how a file shows which it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bottomup.checkpoint import Checkpoint
from bottomup.errors import CheckpointError, ConfigError, unknown
from bottomup.importers.higherhrnet import import_higherhrnet
from bottomup.importers.mmpose import import_mmpose
from bottomup.importers.multiposenet import import_multiposenet
from bottomup.importers.personlab import import_personlab
from bottomup.importers.pose_ae import import_pose_ae
from bottomup.importers.prn import import_prn
from bottomup.importers.published import read_published
from bottomup.options import check_values, resolved
from bottomup.paths import path_of

Importer = Callable[..., tuple[Checkpoint, list[str]]]  # (path, **options) -> the checkpoint, the tensors that it does not use


class Kind(NamedTuple):
    """One kind of files."""

    holds: str
    importer: Importer
    begins: bytes = b""  # the first bytes of all files of a kind that PyTorch does not write
    names: str = ""  # a regular expression for a tensor that PyTorch's files of this kind alone have


KINDS = {
    "tfjs": Kind("Google's PoseNet or BodyPix, the JSON of a TF.js graph model", import_personlab, begins=b"{"),
    "pose_ae": Kind("pose-ae-train's hourglasses", import_pose_ae, names=r"outs\.0\.conv\.weight"),
    "mmpose": Kind(
        "a bottom-up network of mmpose 0.x",
        import_mmpose,
        names=r"keypoint_head\.final_layers?\.(0\.)?weight|backbone\.out_convs\.0\.conv\.weight",
    ),
    "higherhrnet": Kind("HigherHRNet of its authors", import_higherhrnet, names=r"deconv_layers\.0\.0\.0\.weight"),
    "multiposenet": Kind("MultiPoseNet.pytorch, HDF5", import_multiposenet, begins=b"\x89HDF"),
    "prn": Kind("the Pose Residual Network of its authors", import_prn, names=r"dens1\.weight"),
}
_READ = 64  # bytes


def import_file(path: str | Path, kind: str | None = None, **options: object) -> tuple[Checkpoint, list[str]]:
    """The checkpoint of a published file, whose ``kind`` it shows where that is not given; also the tensors without use.

    Raises ConfigError for an unknown kind or an option that its importer does not have, CheckpointError for a file that is of none
    of the kinds, or does not fit its own.
    """
    kind = kind_of(path) if kind is None else kind
    if kind not in KINDS:
        raise ConfigError(unknown("kind of published files", kind, list(KINDS)))
    importer = KINDS[kind].importer
    known = {name: hint for name, hint in resolved(importer).items() if name not in ("path", "return")}
    check_values("", options, known)
    return importer(path, **options)


def kind_of(path: str | Path) -> str:
    """The kind that a file shows itself to be of; CheckpointError lists the kinds where that is none, or not one alone."""
    beginning = _beginning(path)
    found = [name for name, kind in KINDS.items() if kind.begins and beginning.startswith(kind.begins)]
    if not found:
        tensors = read_published(path).tensors
        found = [name for name, kind in KINDS.items() if kind.names and any(re.fullmatch(kind.names, tensor) for tensor in tensors)]
    if len(found) != 1:
        listed = "; ".join(f"{name} ({kind.holds})" for name, kind in KINDS.items())
        why = "of none of the kinds that are known" if not found else f"of more than one kind ({', '.join(found)})"
        raise CheckpointError(f"{path}: {why}; give the kind if it is one of {listed}")
    return found[0]


def _beginning(path: str | Path) -> bytes:
    try:
        with path_of(path).open("rb") as file:
            return file.read(_READ).lstrip()
    except OSError as error:
        raise CheckpointError(f"{path}: not readable ({error.strerror}); give a file of published weights") from error
