"""``bottomup import-weights [KIND] FILE output=DIR [OPTION=VALUE]``: a published network becomes an ordinary checkpoint.

KIND, which most files show themselves, is tfjs (PoseNet, BodyPix), pose_ae (pose-ae-train), mmpose (a bottom-up network of 0.x),
higherhrnet (its authors' release), multiposenet (MultiPoseNet.pytorch) or prn (the Pose Residual Network of its authors). Options:
output_stride=16 and refine=2 of tfjs, and skeleton=NAME of mmpose and higherhrnet, where several skeletons have as many keypoints.
A best.pt that is in DIR already stays, unless overwrite=true is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bottomup.checkpoint import save_checkpoint
from bottomup.errors import ConfigError
from bottomup.importers.kinds import KINDS, import_file
from bottomup.paths import path_of
from bottomup.plan.parts import Place
from bottomup.workflows.folders import alone, without_leftovers

_USAGE = f"bottomup import-weights [KIND] FILE output=DIR [OPTION=VALUE]; KIND is one of {', '.join(KINDS)}"
_WRITTEN = "best.pt"
_OVERWRITE = "overwrite"


def run(arguments: Sequence[str] = ()) -> dict[str, Any]:
    """Write ``output``/best.pt; returns its path and the names of the tensors that found no use."""
    plain = [argument for argument in arguments if "=" not in argument]
    options = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    if len(plain) not in (1, 2) or not options.get("output"):
        raise ConfigError(f"expected {_USAGE}; got {' '.join(arguments) or 'nothing'}")
    output = options.pop("output")
    _check_free(path_of(output) / _WRITTEN, options.pop(_OVERWRITE, "false"))
    numbered = {name: int(text) if text.isdigit() else text for name, text in options.items()}
    checkpoint, unused = import_file(plain[-1], plain[0] if len(plain) == 2 else None, **numbered)
    folder = Place(output=output).folder("import-weights")
    with without_leftovers(folder), alone(folder):
        path = save_checkpoint(folder / _WRITTEN, checkpoint)
    print(f"{len(checkpoint.model)} tensors; not used: {', '.join(unused) or 'none'}")
    print(path)
    return {"path": str(path), "unused": unused}


def _check_free(file: Path, overwrite: str) -> None:
    """Refuse to write over a file unless that is asked for, and over a folder in any case."""
    if overwrite.lower() not in ("true", "false"):
        raise ConfigError(f"{_OVERWRITE} should be true or false, got {overwrite!r}")
    if file.is_dir() or (file.exists() and overwrite.lower() == "false"):
        replaced = "" if file.is_dir() else f", or replace it by {_OVERWRITE}=true"
        raise ConfigError(f"{file.parent} holds a {file.name} already; give another output={replaced}")
