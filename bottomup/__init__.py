"""Poses and masks of people, bottom-up: one image pass, three papers, one library.

The names of ``__all__`` are imported when they are first used, so that ``import bottomup`` alone takes no time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from bottomup.version import __version__

if TYPE_CHECKING:
    from bottomup.crops import Crops
    from bottomup.engine.optim import Average, Optimiser, Schedule
    from bottomup.engine.settings import Settings
    from bottomup.ensemble import Ensemble
    from bottomup.loading import load, save
    from bottomup.model import PoseModel
    from bottomup.plan.component import Component
    from bottomup.plan.data import DataPlan
    from bottomup.plan.files import available
    from bottomup.plan.groups import Validating
    from bottomup.plan.judging import EvaluatePlan
    from bottomup.plan.model import HeadPlan, ModelPlan
    from bottomup.plan.parts import Place, Viewing
    from bottomup.plan.training import TrainPlan, train_plan
    from bottomup.predictor import Predictor
    from bottomup.skeletons import Skeleton
    from bottomup.tracking import Tracker
    from bottomup.types import Instances, Prediction, Task
    from bottomup.workflows.evaluate import evaluate
    from bottomup.workflows.train import train

_MODULES = {
    "Average": "engine.optim",
    "Component": "plan.component",
    "Crops": "crops",
    "DataPlan": "plan.data",
    "Ensemble": "ensemble",
    "EvaluatePlan": "plan.judging",
    "HeadPlan": "plan.model",
    "Instances": "types",
    "ModelPlan": "plan.model",
    "Optimiser": "engine.optim",
    "Place": "plan.parts",
    "PoseModel": "model",
    "Prediction": "types",
    "Predictor": "predictor",
    "Schedule": "engine.optim",
    "Settings": "engine.settings",
    "Skeleton": "skeletons",
    "Task": "types",
    "Tracker": "tracking",
    "TrainPlan": "plan.training",
    "Validating": "plan.groups",
    "Viewing": "plan.parts",
    "available": "plan.files",
    "evaluate": "workflows.evaluate",
    "load": "loading",
    "save": "loading",
    "train": "workflows.train",
    "train_plan": "plan.training",
}

__all__ = [
    "Average",
    "Component",
    "Crops",
    "DataPlan",
    "Ensemble",
    "EvaluatePlan",
    "HeadPlan",
    "Instances",
    "ModelPlan",
    "Optimiser",
    "Place",
    "PoseModel",
    "Prediction",
    "Predictor",
    "Schedule",
    "Settings",
    "Skeleton",
    "Task",
    "Tracker",
    "TrainPlan",
    "Validating",
    "Viewing",
    "__version__",
    "available",
    "evaluate",
    "load",
    "save",
    "train",
    "train_plan",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
