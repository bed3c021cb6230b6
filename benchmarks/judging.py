"""What ``evaluate`` computes of predictions, on drawn people: seconds of one core, by hotcoco and AP by pycocotools besides.

``RAYON_NUM_THREADS=1 OMP_NUM_THREADS=1 python benchmarks/judging.py`` writes ``benchmarks/results/judging.json``: as many images as
COCO's val has, each of 20 people and as many predictions, some px off. Every figure is timed with the reading of predictions that
it needs, "all of it" as ``evaluate`` has them, which reads once. The packages' figures are compared and have to be equal.
``per_image`` is seconds over images, ``wall`` what a clock says, ``mb`` how much more memory it took at most.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from bottomup.benchmark.results import Row, write_result
from bottomup.dataset import GroundTruth, Record
from bottomup.evaluation import backend
from bottomup.evaluation.coco import evaluate_keypoints, keypoint_ap
from bottomup.evaluation.comparison import Comparison
from bottomup.evaluation.errors import breakdown
from bottomup.evaluation.oks import per_image_oks
from bottomup.skeletons import COCO, Skeleton
from bottomup.types import Instances, Prediction

RESULT = Path(__file__).parent / "results" / "judging.json"
SIDE, PEOPLE = 640, 20


def everything(predictions: Sequence[Prediction], truth: GroundTruth, skeleton: Skeleton) -> dict[str, float]:
    """AP and AR, curves, AP by keypoint, errors and the OKS of each image, the mean of which is told; as ``evaluate`` has them."""
    compared = Comparison(predictions, truth, skeleton)
    oks, _ = compared.per_image_oks(), compared.curves()
    mean = sum(oks.values()) / max(len(oks), 1)
    return compared.metrics() | compared.keypoint_ap() | compared.breakdown() | {"mean OKS of images": mean}


FIGURES: dict[str, Callable[..., dict[str, float]]] = {
    "all of it": everything,
    "AP": evaluate_keypoints,
    "AP by keypoint": keypoint_ap,
    "errors": breakdown,
}


def drawn(images: int) -> tuple[list[Prediction], GroundTruth]:
    """Annotated and predicted people: sizes, places, who is labelled and how far off predictions are, all by chance."""
    rng = np.random.default_rng(0)
    listed = [{"id": number, "width": SIDE, "height": SIDE} for number in range(1, images + 1)]
    annotations: list[Record] = []
    predictions: list[Prediction] = []
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


def timed(name: str, by: str, judge: Callable[[], object]) -> Row:
    """A row of what a group of figures takes."""
    before, began, wall = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time(), time.perf_counter()
    judge()
    seconds, passed = time.process_time() - began, time.perf_counter() - wall
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"name": f"{name}, {by}", "figures": name, "by": by, "seconds": seconds, "wall": passed, "mb": round(more / 1024)}


def main(images: int) -> None:
    """Time, compare and write."""
    if backend.hotcoco is None:
        raise SystemExit("hotcoco is not installed: pip install 'bottomup[evaluation]'")
    judged = (*drawn(images), COCO)
    rows = [timed(name, "hotcoco", partial(judge, *judged)) for name, judge in FIGURES.items()]
    rows.append(timed("OKS of each image", "numpy", partial(per_image_oks, *judged)))
    ours, theirs = evaluate_keypoints(*judged), dict[str, float]()
    backend.hotcoco = None
    rows.append(timed("AP", "pycocotools", lambda: theirs.update(evaluate_keypoints(*judged))))
    np.testing.assert_allclose(list(ours.values()), [theirs[name] for name in ours], rtol=0, atol=1e-12)
    rows = [row | {"per_image": row["seconds"] / images} for row in rows]
    write_result(RESULT, "judging", {"images": images, "people": PEOPLE}, rows)
    for row in rows:
        print(f"{row['name']}: {row['seconds']:.2f} s of a core, {row['wall']:.2f} s, {row['mb']} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    main(parser.parse_args().images)
