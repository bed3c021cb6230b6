"""``bottomup import-weights tfjs PATH output=DIR``: a published checkpoint becomes an ordinary one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bottomup.checkpoint import save_checkpoint
from bottomup.errors import ConfigError, unknown
from bottomup.importers.personlab import import_personlab
from bottomup.paths import path_of

_USAGE = "bottomup import-weights tfjs PATH output=DIR [output_stride=16] [refine=2]"
_IMPORTERS = {"tfjs": import_personlab}
_OPTIONS = ("output", "output_stride", "refine")


def run(arguments: Sequence[str] = ()) -> dict[str, Any]:
    """Write ``output``/best.pt; returns its path and the names of the tensors that found no use."""
    plain = [argument for argument in arguments if "=" not in argument]
    options = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    if len(plain) != 2 or "output" not in options:
        raise ConfigError(f"expected {_USAGE}; got {' '.join(arguments) or 'nothing'}")
    if plain[0] not in _IMPORTERS:
        raise ConfigError(unknown("format", plain[0], list(_IMPORTERS)))
    for option in options:
        if option not in _OPTIONS:
            raise ConfigError("import-weights: " + unknown("option", option, list(_OPTIONS)))
    whole = {name: _whole(name, options[name]) for name in ("output_stride", "refine") if name in options}
    checkpoint, unused = _IMPORTERS[plain[0]](plain[1], **whole)
    path = save_checkpoint(path_of(options["output"]) / "best.pt", checkpoint)
    print(f"{len(checkpoint.model)} tensors; not used: {', '.join(unused) or 'none'}")
    print(path)
    return {"path": str(path), "unused": unused}


def _whole(name: str, text: str) -> int:
    if not text.isdigit():
        raise ConfigError(f"import-weights: {name} is a whole number, got {text!r}")
    return int(text)
