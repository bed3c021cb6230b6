"""Poses and masks of people, bottom-up: one image pass, three papers, one library."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bottomup.version import __version__

if TYPE_CHECKING:
    from bottomup.loading import load
    from bottomup.model import PoseModel
    from bottomup.plan.files import available
    from bottomup.predictor import Predictor
    from bottomup.skeletons import Skeleton
    from bottomup.types import Instances, Prediction

__all__ = ["Instances", "PoseModel", "Prediction", "Predictor", "Skeleton", "__version__", "available", "load"]

_MODULES = {  # of the public names; imported when asked for, so that the command line's help does not wait for torch
    "load": "bottomup.loading",
    "PoseModel": "bottomup.model",
    "available": "bottomup.plan.files",
    "Predictor": "bottomup.predictor",
    "Skeleton": "bottomup.skeletons",
    "Instances": "bottomup.types",
    "Prediction": "bottomup.types",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
