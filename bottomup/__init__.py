"""Poses and masks of people, bottom-up: one image pass, three papers, one library."""

from bottomup.loading import load
from bottomup.model import PoseModel
from bottomup.plan.files import available
from bottomup.predictor import Predictor
from bottomup.skeletons import Skeleton
from bottomup.types import Instances, Prediction
from bottomup.version import __version__

__all__ = ["Instances", "PoseModel", "Prediction", "Predictor", "Skeleton", "__version__", "available", "load"]
