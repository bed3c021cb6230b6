"""MultiPoseNet whole by the number of people, its Fig. 6: from an image of 384 x 576 px to instances, ResNet-50, on one core.

``python benchmarks/multiposenet_people.py`` writes ``benchmarks/results/multiposenet_people.json`` and
``docs/multiposenet_people.svg``. All of the network runs on an image. As it is untrained, what it says is then exchanged for
flawless maps of that many people, from which candidates and boxes are found, crops go through the Pose Residual Network, and
keypoints are given out: nothing is left out, and nobody is missed. Times are the processor's for this process, so that others on
the machine do not count: ``network_ms`` to the maps, which take as long whatever they show and have one median of all runs, and
``people_ms`` from there. A row is ``valid`` if 95 % of the keypoints come back within 2 px.
"""

from __future__ import annotations

import statistics
import time
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.by_people import measure_and_draw
from benchmarks.scenes import COMES_BACK, Scene, named
from bottomup.benchmark.results import Row
from bottomup.benchmark.speed import milliseconds
from bottomup.contracts import Decoder
from bottomup.geometry import Grid
from bottomup.model import PoseModel
from bottomup.plan.composing import load_config
from bottomup.plan.model import ModelPlan
from bottomup.report.plots import draw_lines
from bottomup.samples.loader import collate
from bottomup.skeletons import COCO
from bottomup.types import Batch, Frame, Outputs, People, Prediction, Sample, Task

PEOPLE = (1, 3, 5, 10, 15, 20)
SIZE = (384, 576)  # of the image
_FILLED = 0.8  # of a person's cell of the lattice that the box takes, along each side
_WARM_UP = 1  # runs that are not counted


def composed() -> tuple[PoseModel, Decoder]:
    """The network with weights that nobody trained, and its decoder."""
    torch.manual_seed(0)
    model, decoder = ModelPlan.of(load_config("train", ["method=multiposenet", "backbone.pretrained=false"])).compose(Task(COCO))
    return model.eval().to(memory_format=torch.channels_last), decoder


def batch_of(count: int, model: PoseModel) -> Batch:
    """An image of noise with people side by side on a lattice, all of whose keypoints are in their boxes."""
    rng = np.random.default_rng(count)
    columns = int(np.ceil(np.sqrt(count * SIZE[1] / SIZE[0])))
    pitch = np.array((SIZE[1] / columns, SIZE[0] / np.ceil(count / columns)))
    middles = (np.stack((np.arange(count) % columns, np.arange(count) // columns), -1) + 0.5) * pitch
    half = _FILLED * pitch / 2
    boxes = np.concatenate((middles - half, middles + half), 1).astype(np.float32)
    keypoints = (middles[:, None] + rng.uniform(-0.9, 0.9, (count, len(COCO), 2)) * half).astype(np.float32)
    size = (model.side(SIZE[0]), model.side(SIZE[1]))
    people = People(
        keypoints, np.full((count, len(COCO)), 2, np.uint8), boxes, (boxes[:, 2:] - boxes[:, :2]).prod(1).astype(np.float32),
        np.zeros(count, np.int64), np.ones(count, bool),
    )  # fmt: skip
    return collate(
        [
            Sample(
                image=rng.integers(0, 256, (3, *size), np.uint8),
                people=people,
                ignore={},
                instances=_painted(boxes, size),
                image_id=1,
                file_size=SIZE,
                to_input=np.eye(2, 3),
                content=(0.0, 0.0, float(SIZE[1]), float(SIZE[0])),
            )
        ]
    )


def _painted(boxes: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.int16]:
    """(H, W) whose box a pixel is in, counted from 1."""
    owners = np.zeros(size, np.int16)
    for number, (x1, y1, x2, y2) in enumerate(boxes.round().astype(int), 1):
        owners[y1:y2, x1:x2] = number
    return owners


@torch.inference_mode()
def measure(runs: int) -> list[Row]:
    """A row for each number of people."""
    timed = partial(milliseconds, warm_up=_WARM_UP, clock=time.process_time)  # other work on the machine lifts the wall's time
    model, decoder = composed()
    network: list[float] = []
    rows: list[Row] = []
    for count in PEOPLE:
        batch = batch_of(count, model)
        looking, frame = model.looking(), model.frame(batch)
        ideal: Outputs = {key: maps.contiguous() for key, maps in model.ideal(batch, looking).items()}
        network += timed(lambda: model(batch.images, wanted=model.keys_of(looking)), runs)  # noqa: B023  # called here
        found: list[list[Prediction]] = []
        people = timed(lambda: found.append(decoder(model(None, given=ideal, trim=True)[0], frame)), 5 * runs)  # noqa: B023
        row = {"name": named(count), "people": count, "people_ms": round(statistics.median(people), 1)}
        rows.append(row | _checked(found[-1][0], batch, frame))
        print(rows[-1], flush=True)
    return [_whole(row, statistics.median(network)) for row in rows]


def _whole(row: Row, network: float) -> Row:
    """A row with the time of the network, and of all of it."""
    whole = network + row["people_ms"]
    return row | {"network_ms": round(network, 1), "all_ms": round(whole, 1), "images_per_second": round(1e3 / whole, 3)}


def _checked(prediction: Prediction, batch: Batch, frame: Frame) -> Row:
    """Whether what came out is those who were put in."""
    back = Scene("", {}, Grid.centred(4), max(frame.size), batch.keypoints[0]).recall(prediction) or 0.0
    return {"recall": round(back, 4), "valid": back >= COMES_BACK}


def plot(rows: list[Row]) -> str:
    """Milliseconds against people as SVG: all of it, and what follows the network's maps."""
    parts = {"MultiPoseNet, ResNet-50": "all_ms", "from its maps to people": "people_ms"}
    lines = {name: [(row["people"], row[key]) for row in rows if row["valid"]] for name, key in parts.items()}
    return draw_lines(lines, "people in the image", "ms of one core")


if __name__ == "__main__":
    measure_and_draw("multiposenet_people", __doc__, 3, {"size": list(SIZE)}, measure, plot)
