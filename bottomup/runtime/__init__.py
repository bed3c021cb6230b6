"""Predictions from an exported file, without PyTorch: numpy, scipy, OpenCV and ONNX Runtime are all that is imported.

``load("people.onnx")("photo.jpg").instances.keypoints``: what ``bottomup.load`` gives for a checkpoint, as arrays.
"""

from bottomup.runtime.contract import Contract
from bottomup.runtime.prediction import Prediction
from bottomup.runtime.runner import Runner, load

__all__ = ["Contract", "Prediction", "Runner", "load"]
