"""How long the associative-embedding decoder takes on one core: people, and the noise of an untrained network.

``python benchmarks/decode.py --output benchmarks/results/decode.json``

A row is a decoder on a scene: the time of ``decoder(outputs, frame)``, maps to instances, of one image. ``median_ms`` and
``minimum_ms`` are over ``--runs``; other work on the machine lifts the median, hardly the minimum. ``ratio`` is of the
minimum to that of the same scene with peaks found by max_pool2d (same window), measured right after. Rows of people are
``valid`` if 95 % of the keypoints come back within 2 px of the input; rows of noise have no recall and are always valid.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from benchmarks.schema import Row, write_result
from bottomup.decoders import associative_embedding
from bottomup.decoders.associative_embedding import AssociativeEmbedding
from bottomup.geometry import Grid
from bottomup.ops.peaks import Peaks
from bottomup.skeletons import COCO
from bottomup.types import Frame, Outputs, Prediction, Task

GRID, SIDE, TAG_SIZE, SIGMA = Grid.centred(4), 128, 2, 2.0  # cells
NEAR = 2.0  # input px, of a keypoint that comes back
COMES_BACK = 0.95  # of the keypoints, else the row is void
WEAK = 0.06  # the height of one keypoint in ten where the decoder fills; below its threshold


@dataclass(frozen=True)
class Scene:
    """Maps of one image, and the keypoints (N, K, 2) in input px that they show; None for noise."""

    name: str
    outputs: Outputs
    keypoints: Tensor | None

    @property
    def frame(self) -> Frame:
        """All of the image is content."""
        px = SIDE * GRID.stride
        return Frame({"heatmap": GRID, "tags": GRID}, (px, px), torch.tensor([[0.0, 0.0, px, px]]))


def people_scene(people: int, weak: bool) -> Scene:
    """People on a lattice, keypoints about them; gaussians and tags with a little noise."""
    rng = torch.Generator().manual_seed(people)
    columns = int(np.ceil(np.sqrt(people)))
    pitch = SIDE / columns
    slots = torch.stack((torch.arange(people) % columns, torch.arange(people) // columns), dim=-1)
    spread = 0.3 * pitch * (2 * torch.rand(people, len(COCO), 2, generator=rng) - 1)
    cells = (slots[:, None] + 0.5) * pitch + spread  # (N, K, 2)
    squared = _squared_distances(cells)  # (N, K, h, w)
    height = torch.where((torch.rand(people, len(COCO), generator=rng) < 0.1) & weak, WEAK, 0.9)
    gaussians = (height[..., None, None] * torch.exp(-squared / (2 * SIGMA**2))).amax(0)
    heatmap = gaussians + 0.003 * torch.randn(gaussians.shape, generator=rng)
    tags = 3.0 * slots.float()[squared.argmin(0)].permute(0, 3, 1, 2)  # (K, D, h, w): the nearest person's
    tags = tags + 0.1 * torch.randn(tags.shape, generator=rng)
    name = f"{people} {'person' if people == 1 else 'people'}"
    return Scene(name, {"heatmap": heatmap[None], "tags": tags[None]}, GRID.to_input(cells))


def _squared_distances(cells: Tensor) -> Tensor:
    x = (cells[..., :1] - torch.arange(SIDE)).square()
    y = (cells[..., 1:] - torch.arange(SIDE)).square()
    return x[..., None, :] + y[..., :, None]


def noise_scene(name: str, heatmap: Callable[..., Tensor]) -> Scene:
    """What an untrained network may give."""
    rng = torch.Generator().manual_seed(0)
    tags = torch.randn(1, len(COCO), TAG_SIZE, SIDE, SIDE, generator=rng)
    return Scene(name, {"heatmap": heatmap(1, len(COCO), SIDE, SIDE, generator=rng), "tags": tags}, None)


def sigmoid_noise(*shape: int, generator: torch.Generator) -> Tensor:
    """The sigmoid of normal noise."""
    return torch.randn(*shape, generator=generator).sigmoid()


def pooled_peaks(heatmap: Tensor, count: int, window: int = 5) -> Peaks:
    """The usual way to find peaks: cells that equal the maximum of their window."""
    highest = F.max_pool2d(heatmap, window, 1, window // 2)
    scores, index = torch.where(heatmap == highest, heatmap, 0.0).flatten(2).topk(count)
    return Peaks(scores, torch.stack((index % SIDE, index // SIDE), dim=-1).float())


def recall(prediction: Prediction, keypoints: Tensor) -> float:
    """The part of the keypoints (N, K, 2) that came back within ``NEAR``, with one instance for each person."""
    apart = (prediction.instances.keypoints[:, None] - keypoints).norm(dim=-1)
    back = (apart < NEAR).float().mean(-1).numpy()  # (P, N)
    rows, columns = linear_sum_assignment(back, maximize=True)
    return float(back[rows, columns].sum() / len(keypoints))


def measure(scene: Scene, decoder: AssociativeEmbedding, runs: int) -> tuple[list[float], list[Prediction]]:
    """Milliseconds of each run after two that warm up, and what was decoded."""
    frame, times = scene.frame, []
    for _ in range(runs + 2):
        start = time.perf_counter()
        predictions = decoder(scene.outputs, frame)
        times.append(1e3 * (time.perf_counter() - start))
    return times[2:], predictions


def row(scene: Scene, options: dict[str, Any], runs: int) -> Row:
    """Measure one scene with one decoder, and with pooled peaks beside it."""
    decoder = AssociativeEmbedding(Task(COCO), **options)
    times, predictions = measure(scene, decoder, runs)
    with patch.object(associative_embedding, "find_peaks", pooled_peaks):
        baseline, _ = measure(scene, decoder, runs)
    back = None if scene.keypoints is None else recall(predictions[0], scene.keypoints)
    return {
        "name": scene.name,
        "options": options,
        "median_ms": round(statistics.median(times), 2),
        "minimum_ms": round(min(times), 2),
        "pooled_median_ms": round(statistics.median(baseline), 2),
        "pooled_minimum_ms": round(min(baseline), 2),
        "ratio": round(min(times) / min(baseline), 3),
        "instances": len(predictions[0].instances),
        "recall": None if back is None else round(back, 4),
        "valid": back is None or back >= COMES_BACK,
    }


def cases() -> Iterator[tuple[Scene, dict[str, Any]]]:
    """Every scene with every decoder."""
    for people in (1, 3, 10, 30):
        for options in ({}, {"fill_threshold": 0.03}):
            yield people_scene(people, weak=bool(options)), options
    for name, heatmap in (("sigmoid of normal noise", sigmoid_noise), ("uniform noise", torch.rand)):
        for max_people in (30, 100):
            for options in ({}, {"fill_threshold": 0.03}):
                yield noise_scene(name, heatmap), {"max_people": max_people, **options}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default="benchmarks/results/decode.json")
    parser.add_argument("--runs", type=int, default=30)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for scene, options in cases():
        rows.append(row(scene, options, arguments.runs))
        print({key: value for key, value in rows[-1].items() if key != "pooled_median_ms"}, flush=True)
    config = {"keypoints": len(COCO), "side": SIDE, "stride": GRID.stride, "tag_size": TAG_SIZE, "runs": arguments.runs}
    print(write_result(arguments.output, "decode", config, rows))


if __name__ == "__main__":
    main()
