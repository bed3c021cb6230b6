"""torchvision's keypoint R-CNN, a top-down peer, judged as our own methods are.

``python benchmarks/peers/keypoint_rcnn.py --weights FILE data=coco data.root=coco [OVERRIDE …]`` writes
``outputs/peers/keypoint_rcnn.json``. FILE is of torchvision's ``KeypointRCNN_ResNet50_FPN_Weights.COCO_V1``; nothing is fetched.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torchvision.models.detection import keypointrcnn_resnet50_fpn

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from bottomup.benchmark.results import Row, write_result  # noqa: E402
from bottomup.commands.setting import dataset_of, device_of  # noqa: E402
from bottomup.compose import load_config  # noqa: E402
from bottomup.data.dataset import Dataset  # noqa: E402
from bottomup.evaluation.coco import evaluate_keypoints  # noqa: E402
from bottomup.types import Instances, Prediction  # noqa: E402

Model = Callable[[list[Tensor]], list[dict[str, Tensor]]]


def as_instances(found: dict[str, Tensor]) -> Instances:
    """What torchvision found in one image, best first.

    It learned from COCO's pixel indices as they are; half a pixel makes them coordinates.
    """
    points, logits = found["keypoints"][..., :2].cpu() + 0.5, found["keypoints_scores"].cpu()
    scores = found["scores"].cpu()
    labels = torch.zeros(len(scores), dtype=torch.int64)
    return Instances(points, logits.sigmoid().clamp(min=1e-6), scores, found["boxes"].cpu(), labels, box_scores=scores)


@torch.inference_mode()
def measure(model: Model, dataset: Dataset, device: str, max_people: int) -> Row:
    """Keypoint AP and the median time of one image."""
    predictions, times = [], []
    for index in range(len(dataset)):
        pixels = torch.from_numpy(dataset.sample(index, frozenset()).pixels).to(device).float() / 255
        began = time.perf_counter()
        (found,) = model([pixels])
        instances = as_instances(found)  # on the host, so nothing needs waiting for
        times.append(1e3 * (time.perf_counter() - began))
        size = (pixels.shape[1], pixels.shape[2])
        predictions.append(Prediction(instances, size, image_id=dataset.image_ids[index]))
    skeleton = dataset.task.skeleton
    if skeleton is None:
        raise SystemExit("the data set has no keypoints")
    metrics = evaluate_keypoints(predictions, dataset.ground_truth(), skeleton, max_people)
    return {"name": "torchvision keypoint R-CNN, ResNet-50-FPN", "median_ms": statistics.median(times), **metrics}


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluate and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("outputs/peers/keypoint_rcnn.json"))
    options, overrides = parser.parse_known_args(arguments)
    config = load_config("evaluate", overrides)
    device = device_of(config)
    model = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None).to(device).eval()
    model.load_state_dict(torch.load(options.weights, map_location=device, weights_only=True))
    row = measure(model, dataset_of(config, "val", config["limit"]), device, int(config["max_people"]))
    print(row)
    print(write_result(options.output, "keypoint_rcnn", {"overrides": overrides}, [row], device))


if __name__ == "__main__":
    main()
