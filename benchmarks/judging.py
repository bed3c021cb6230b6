"""What ``evaluate`` computes of predictions, by hotcoco and by pycocotools, on the same drawn people: seconds of one core.

``RAYON_NUM_THREADS=1 OMP_NUM_THREADS=1 python benchmarks/judging.py --images 1000`` writes ``benchmarks/results/judging.json``.
Every image has 20 people and as many predictions, some px off; figures of both are compared and have to be equal. ``per_image`` is
the same time over the images.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from bottomup.benchmark.results import Row, write_result
from bottomup.dataset import GroundTruth, Record
from bottomup.evaluation import backend
from bottomup.evaluation.coco import evaluate_keypoints, keypoint_ap
from bottomup.evaluation.errors import breakdown
from bottomup.evaluation.oks import per_image_oks
from bottomup.skeletons import COCO
from bottomup.types import Instances, Prediction

RESULT = Path(__file__).parent / "results" / "judging.json"
SIDE, PEOPLE = 640, 20
FIGURES: dict[str, Callable[..., dict[str, float]]] = {
    "AP": evaluate_keypoints,
    "AP by keypoint": keypoint_ap,
    "errors": breakdown,
}


def drawn(images: int) -> tuple[list[Prediction], GroundTruth]:
    """Annotated and predicted people: sizes, places, who is labelled and how far off predictions are, all by chance."""
    rng = np.random.default_rng(0)
    listed = [{"id": number, "width": SIDE, "height": SIDE} for number in range(1, images + 1)]
    annotations: list[Record] = []
    predictions = []
    for image in listed:
        size = rng.uniform(20, 200, (PEOPLE, 1, 1))
        points = rng.uniform(0, SIDE, (PEOPLE, 1, 2)) + rng.uniform(-0.5, 0.5, (PEOPLE, len(COCO), 2)) * size
        seen = rng.integers(0, 3, (PEOPLE, len(COCO), 1))
        for place, keypoints in enumerate(np.concatenate((points, seen), 2)):
            area, corner = float(size[place, 0, 0]) ** 2, keypoints[:, :2].min(0)
            record = {"id": len(annotations) + 1, "image_id": image["id"], "category_id": 1, "iscrowd": int(rng.random() < 0.02)}
            box = [*corner.tolist(), *np.ptp(keypoints[:, :2], axis=0).tolist()]
            annotations.append(record | {"keypoints": keypoints.ravel().tolist(), "area": area, "bbox": box})
        found = torch.from_numpy(points + rng.normal(0, 0.05, points.shape) * size).float()
        scores = torch.from_numpy(rng.random(PEOPLE)).float()
        instances = Instances.of_keypoints(found, torch.ones(PEOPLE, len(COCO)), scores)
        predictions.append(Prediction(instances, (SIDE, SIDE), image_id=image["id"]))
    categories = [{"id": 1, "name": "person", "keypoints": list(COCO.keypoints)}]
    return predictions, {"images": listed, "annotations": annotations, "categories": categories}


def timed(by: str, images: int, predictions: list[Prediction], truth: GroundTruth) -> tuple[list[Row], list[dict[str, float]]]:
    """A row of seconds for each group of figures, and the figures."""
    rows, found = [], []
    for name, judge in FIGURES.items():
        began = time.process_time()
        found.append(judge(predictions, truth, COCO))
        seconds = time.process_time() - began
        rows.append({"name": f"{name}, {by}", "figures": name, "by": by, "seconds": seconds, "per_image": seconds / images})
    return rows, found


def main(images: int) -> None:
    """Time both, compare and write."""
    if backend.hotcoco is None:
        raise SystemExit("hotcoco is not installed: pip install 'bottomup[evaluation]'")
    predictions, truth = drawn(images)
    rows, fast = timed("hotcoco", images, predictions, truth)
    began = time.process_time()
    per_image_oks(predictions, truth, COCO)
    seconds = time.process_time() - began
    name = "OKS of each image"
    rows.append({"name": name, "figures": name, "by": "numpy", "seconds": seconds, "per_image": seconds / images})
    backend.hotcoco = None
    slow_rows, slow = timed("pycocotools", images, predictions, truth)
    for ours, theirs in zip(fast, slow, strict=True):
        np.testing.assert_allclose(list(ours.values()), list(theirs.values()), rtol=0, atol=1e-12)
    write_result(RESULT, "judging", {"images": images, "people": PEOPLE}, [*rows, *slow_rows])
    for row in (*rows, *slow_rows):
        print(f"{row['name']}: {row['seconds']:.2f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    main(parser.parse_args().images)
