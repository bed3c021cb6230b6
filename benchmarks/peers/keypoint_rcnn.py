"""torchvision's keypoint R-CNN, a top-down peer, judged and timed as our own methods are: same images, evaluator and run.

``python benchmarks/peers/keypoint_rcnn.py weights=FILE ours=CHECKPOINT data=coco data.root=coco [OVERRIDE …]`` writes
``outputs/peers/benchmark.json``, or that of another folder, ``output=``. Its rows are those of ``bottomup benchmark``, so that
``bottomup report results=[outputs/bench,outputs/peers]`` lays the peer beside our own. All overrides but these hold for both:

* ``weights``: a file of torchvision's ``KeypointRCNN_ResNet50_FPN_Weights.COCO_V1``; nothing is fetched, and without it the network
  is untrained;
* ``ours``: one of our checkpoints, which is judged and timed as well;
* ``peer``: torchvision's own options, as ``peer={min_size: 400}``.

The peer is given images as they are and resizes them itself, within its time; the time of ours starts at the resized image.
"""

from __future__ import annotations

import inspect
import pickle
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
import yaml
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.detection import KeypointRCNN, keypointrcnn_resnet50_fpn

from bottomup.benchmark.exhibits import EXHIBITS, catalogue, described
from bottomup.benchmark.results import Row, blank_row, write_result
from bottomup.benchmark.speed import milliseconds, peak_mebibytes
from bottomup.commands.benchmark import TABLE
from bottomup.dataset import Dataset
from bottomup.drawing.sheets import to_picture
from bottomup.errors import BottomupError, CheckpointError, ConfigError, unknown
from bottomup.evaluation.boxes import evaluate_boxes
from bottomup.evaluation.coco import evaluate_keypoints
from bottomup.paths import write_json
from bottomup.plan.benchmarking import benchmark_plan
from bottomup.plan.overrides import key_of, value_of
from bottomup.skeletons import COCO
from bottomup.thresholds import Thresholds
from bottomup.types import Instances, Prediction
from bottomup.workflows.measure import conditions, judged_dataset, with_weights
from bottomup.workflows.measure import measure as measure_ours

NAME = "torchvision's keypoint R-CNN, ResNet-50-FPN"
PEER, OURS = "keypoint_rcnn", "ours"  # folders of pictures
SHOWN = Thresholds(score=0.75)  # people, of the report's page: as torchvision's own gallery shows them
_OWN = ("weights", "ours", "output", "peer")  # what is no override of bottomup benchmark here
_WARM_UP = 3  # images that are not counted

Config = Mapping[str, object]
Model = Callable[[list[Tensor]], list[dict[str, Tensor]]]


def network(weights: str | None, options: Mapping[str, object]) -> nn.Module:
    """torchvision's network, of a file's weights or untrained; an error of ours where options or file do not fit."""
    known = inspect.signature(KeypointRCNN).parameters  # others torchvision passes over
    for name in options.keys() - known.keys():
        raise ConfigError("peer: " + unknown("option", name, list(known)))
    model: nn.Module = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None, **options).eval()
    if weights is None:
        return model
    try:
        model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, TypeError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"weights={weights}: not readable as this network's ({str(error).splitlines()[0]})") from error
    return model


def find(model: Model, images: Sequence[Tensor]) -> list[Instances]:
    """The people in some images (3, H, W) uint8, in their px, on the host."""
    return [as_instances(found) for found in model([image.float() / 255 for image in images])]


def as_instances(found: Mapping[str, Tensor]) -> Instances:
    """What torchvision found in one image, best first.

    It learned from COCO's pixel indices as they are; half a pixel makes them coordinates.
    """
    points, logits = found["keypoints"][..., :2].cpu() + 0.5, found["keypoints_scores"].cpu()
    scores = found["scores"].cpu()
    labels = torch.zeros(len(scores), dtype=torch.int64)
    return Instances(points, logits.sigmoid().clamp(min=1e-6), scores, found["boxes"].cpu(), labels, box_scores=scores)


@torch.inference_mode()
def predict(model: Model, dataset: Dataset, device: str) -> list[Prediction]:
    """The people of every image, each by itself."""
    found = []
    for index, image_id in enumerate(dataset.image_ids):
        image = _image(dataset, index, device)
        (instances,) = find(model, [image])
        found.append(Prediction(instances, (image.shape[1], image.shape[2]), image_id=image_id))
    return found


def judge(predictions: Sequence[Prediction], dataset: Dataset, max_people: int) -> dict[str, float]:
    """Keypoint and box AP, as of our own; ConfigError where the data set's keypoints are not the peer's."""
    if dataset.task.skeleton is None or dataset.task.skeleton.keypoints != COCO.keypoints:
        raise ConfigError("keypoint R-CNN finds COCO's keypoints; choose a data set that has them")
    truth = dataset.ground_truth()
    return evaluate_keypoints(predictions, truth, dataset.task.skeleton, max_people) | evaluate_boxes(predictions, truth)


def speed(model: nn.Module, dataset: Dataset, device: str, runs: int, batch_sizes: Sequence[int]) -> Row:
    """Times, memory and multiply-adds, of the first images, each by itself; the counter sees those of the first."""
    images = [_image(dataset, index, device) for index in islice(range(len(dataset)), runs)]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        find(model, images[:1])
    with torch.inference_mode():
        peak = peak_mebibytes(lambda: find(model, images[:1]), torch.device(device))
        times = _times(model, images)
        rates = _throughput(model, images[0], batch_sizes, runs)
    return {
        "gigamacs": counter.get_total_flops() / 2e9,
        "peak_mebibytes": peak,
        "latency": {"total": {"p50_ms": statistics.median(times), "p90_ms": float(np.percentile(times, 90))}},
        "images_per_second": rates,
    }


def _image(dataset: Dataset, index: int, device: str) -> Tensor:
    return torch.from_numpy(dataset.sample(index, frozenset()).pixels).to(device)


def _times(model: Model, images: Sequence[Tensor]) -> list[float]:
    """Milliseconds from each image on the device to its people on the host."""
    for image in images[:_WARM_UP]:
        find(model, [image])
    return [milliseconds(partial(find, model, [image]), 1, 0)[0] for image in images]


def _throughput(model: Model, image: Tensor, sizes: Sequence[int], runs: int) -> dict[str, float]:
    """Images a second by batch size, of one image many times."""
    count = max(3, runs // max(sizes))
    times = {size: milliseconds(partial(find, model, [image] * size), count) for size in sizes}
    return {str(size): 1e3 * size / statistics.median(own) for size, own in times.items()}


def exhibit(folder: Path, predictions: Sequence[Prediction], dataset: Dataset, count: int) -> None:
    """Write the first images and their people for the report's page, as ``bottomup benchmark`` does."""
    folder.mkdir(parents=True, exist_ok=True)
    shown = []
    for index, prediction in enumerate(predictions[:count]):
        file = f"{index}.jpg"
        cv2.imwrite(str(folder / file), to_picture(dataset.sample(index, frozenset()).pixels)[..., ::-1])
        shown.append({"image_id": prediction.image_id, "file": file, "maps": {}, **described(prediction, SHOWN, COCO)})
    write_json(folder / EXHIBITS, catalogue(COCO, SHOWN, shown))


def peer_row(model: nn.Module, name: str, overrides: Sequence[str], folder: Path) -> Row:
    """Judge, time and show the peer."""
    plan = benchmark_plan(overrides)
    device, options, dataset = plan.place.chosen_device(), plan.measure, judged_dataset(plan)
    model = model.to(device)
    predictions = predict(model, dataset, device)
    row = blank_row(name, {"cell": name}, overrides, PEER, device) | {
        "judged": conditions(plan.plain(), len(dataset)),
        "figures": judge(predictions, dataset, plan.max_people),
    }
    row["parameters"] = {part: sum(p.numel() for p in module.parameters()) for part, module in model.named_children()}
    if options.runs:
        row |= speed(model, dataset, device, options.runs, options.batch_sizes)
    if options.pictures:
        exhibit(folder / PEER, predictions, dataset, options.pictures)
    return row


def our_row(checkpoint: str, overrides: Sequence[str], folder: Path) -> Row:
    """Judge, time and show one of our checkpoints as ``bottomup benchmark`` does."""
    own = [*overrides, f"weights='{checkpoint}'"]
    plan = benchmark_plan(own)
    name = f"ours: {checkpoint}"
    row = blank_row(name, {"cell": name}, own, OURS, plan.place.chosen_device())
    return row | measure_ours(*with_weights(plan, own), folder / OURS, folder / "trainings")


def compare(arguments: Sequence[str]) -> list[Row]:
    """The rows of the peer and, where one is named, of our checkpoint; ``benchmark.json`` holds them too."""
    given = {key_of(text): value_of(text) for text in arguments if key_of(text) in _OWN}
    overrides = [text for text in arguments if key_of(text) not in _OWN]
    weights, ours, folder = given.get("weights"), given.get("ours"), Path(given.get("output") or "outputs/peers")
    options = yaml.safe_load((given.get("peer") or "{}").replace(":", ": "))  # Hydra's {a:1}, too
    model = network(weights, options)
    rows = [peer_row(model, NAME if weights else f"{NAME}, untrained", overrides, folder)]
    if ours:
        rows.append(our_row(ours, overrides, folder))
    device = benchmark_plan(overrides).place.chosen_device()
    print(write_result(folder / TABLE, "benchmark", given | {"overrides": overrides}, rows, device))
    return rows


def main(arguments: Sequence[str]) -> None:
    """Compare and print; one readable sentence on a user's error."""
    if not arguments or arguments[0] in ("-h", "--help"):
        raise SystemExit(__doc__)
    try:
        rows = compare(arguments)
    except BottomupError as error:
        raise SystemExit(str(error)) from None
    for row in rows:
        print({key: row[key] for key in ("name", "figures", "latency")})


if __name__ == "__main__":
    main(sys.argv[1:])
