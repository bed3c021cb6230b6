"""The outputs of several views of a batch become one: mirrored ones are mirrored back, all are merged head by head."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bottomup.contracts import Head
from bottomup.model import PoseModel
from bottomup.types import Frame, Outputs


def unflip(model: PoseModel, outputs: Outputs, frame: Frame) -> Outputs:
    """Undo the horizontal flip of the outputs of all heads that have features; ``frame`` is the flipped one."""
    seen = [head for head in _looking(model) if _holds(outputs, head)]
    return {key: maps for head in seen for key, maps in head.unflip(outputs, frame).items()}


def merge(model: PoseModel, views: Sequence[Outputs], frames: Sequence[Frame], onto: Frame, given: Iterable[str] = ()) -> Outputs:
    """Join views, then run the heads without features on what was merged; of those that were ``given`` the first view's stand.

    Each head's outputs are joined of those views that hold them, onto the frame ``onto``.
    """
    kept = model.keys_of(name for name in given if not model.stack(name).reads)
    merged: Outputs = {key: views[0][key] for key in kept}
    for head in _looking(model):
        own = [(outputs, frame) for outputs, frame in zip(views, frames, strict=True) if _holds(outputs, head)]
        if own:
            merged |= head.merge([outputs for outputs, _ in own], [frame for _, frame in own], onto)
    if model.decoded <= merged.keys():
        return merged
    whole: Outputs = model(None, given=merged, trim=True)[0]
    return whole


def _looking(model: PoseModel) -> list[Head]:
    """The last stages of the heads that have features."""
    return [stack.last for _, stack in model.stacks() if stack.reads]


def _holds(outputs: Outputs, head: Head) -> bool:
    return outputs.keys() >= head.provides.keys()
