"""Google's BodyPix weights through our network and decoder, beside the masks that Google's own code gives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bottomup.decoders.personlab import InstanceMasks, Personlab, Suppression
from bottomup.importers.personlab import import_personlab
from bottomup.plan.model import ModelPlan
from bottomup.predictor import to_image
from bottomup.skeletons import COCO
from bottomup.types import Frame, Prediction, Task

REFERENCES = {  # folder of the reference -> weights, output stride
    "bodypix_coco197388_float-050_s16": ("bodypix_mobilenetv1_050_float/model-stride16.json", 16),
    "bodypix_coco40083_float-050_s16": ("bodypix_mobilenetv1_050_float/model-stride16.json", 16),
    "bodypix_coco785_quant2-075_s16": ("bodypix_mobilenetv1_075_quant2/model-stride16.json", 16),
    "bodypix_coco40083_quant2-075_s8_fixdil": ("bodypix_mobilenetv1_075_quant2/model-stride8.json", 8),
}


def predict(folder: Path, weights: Path, stride: int) -> Prediction:
    """What our decoder finds in the reference's input, in px of its image, with BodyPix's thresholds."""
    reference = json.loads((folder / "poses.json").read_text())
    checkpoint, _ = import_personlab(weights, stride, refine=2)
    model, _ = ModelPlan.of(checkpoint.config).compose(checkpoint.task)
    model.load_state_dict(checkpoint.model)
    inputs = torch.from_numpy(np.load(folder / "input.npy")).float().permute(2, 0, 1)[None]
    with torch.no_grad():
        outputs = model.eval()((inputs + 1) / 2 * 255, stages="all")[-1]
    (h, w), size, pad = inputs.shape[-2:], (reference["H"], reference["W"]), reference["padding"]
    x = w / (size[1] + pad["left"] + pad["right"])
    y = h / (size[0] + pad["top"] + pad["bottom"])
    left, top = pad["left"] * x, pad["top"] * y
    content = torch.tensor([[left, top, left + size[1] * x, top + size[0] * y]])
    frame = Frame(model.grids, (h, w), content)
    masks = InstanceMasks(mode="nearest", threshold=0.7, distance=None)
    decoder = Personlab(Task(COCO), max_people=10, suppression=Suppression(instance_threshold=0.1), masks=masks)
    (prediction,) = decoder(outputs, frame)
    return to_image(prediction, np.array([[x, 0.0, left], [0.0, y, top]]), size, 0, frame, 0)


@pytest.mark.parametrize("name", REFERENCES)
def test_masks_of_the_nearest_agree_with_google_s(name: str, shared: Path) -> None:
    """On 98 % of the pixels, though each side's distance and poses are its own."""
    folder, (weights, stride) = shared / "reference" / name, REFERENCES[name]
    labels = torch.from_numpy(np.load(folder / "instance_labels.npy").astype(np.int64))
    masks = predict(folder, shared / "weights" / weights, stride).instances.masks
    assert masks is not None
    drawn, mine = masks.draw((labels.shape[0], labels.shape[1])), torch.zeros_like(labels)
    assert (drawn.sum(0) <= 1).all()
    for label in range(1, int(labels.max()) + 1):
        theirs = labels == label
        overlap = (drawn & theirs).sum((1, 2)) / (drawn | theirs).sum((1, 2))
        mine[drawn[overlap.argmax()]] = label
    assert (mine == labels).float().mean() > 0.98
