"""Every decoder on the same people, by how many they are: from maps to instances, on one core.

``python benchmarks/people.py`` writes ``benchmarks/results/people.json`` and ``docs/people.svg``. The maps are each method's ideal
ones for one image of 801 px. MultiPoseNet's time has its candidates, its network of 70 million parameters (untrained) and the
assignment in it; its boxes are the true ones. Times are the processor's for this process, ``ratio`` is to the same decoder with one
person, ``mebibytes`` what the process holds more at its peak. A row is ``valid`` if 95 % of the keypoints come back within 2 px.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch

from benchmarks.by_people import measure_and_draw
from benchmarks.scenes import COMES_BACK, Scene, lattice
from benchmarks.scenes_personlab import scene_batch
from bottomup.benchmark.results import Row
from bottomup.benchmark.speed import milliseconds, peak_mebibytes
from bottomup.contracts import Head, Level, Source
from bottomup.decoders.associative_embedding import AssociativeEmbedding
from bottomup.decoders.personlab import Personlab, Voting
from bottomup.decoders.posenet import Posenet
from bottomup.decoders.prn import Prn as PrnDecoder
from bottomup.geometry import Grid
from bottomup.grouping.walked import InstanceMasks, Suppression
from bottomup.heads.candidates import Candidates
from bottomup.heads.heatmap import Heatmap
from bottomup.heads.long_offsets import LongOffsets
from bottomup.heads.mid_offsets import MidOffsets
from bottomup.heads.prn import Prn
from bottomup.heads.proposals import Proposals
from bottomup.heads.segmentation import Segmentation
from bottomup.heads.short_offsets import ShortOffsets
from bottomup.heads.tags import Tags
from bottomup.report.plots import draw_lines
from bottomup.skeletons import COCO
from bottomup.types import Batch, Outputs, Prediction, Task

PEOPLE = (1, 3, 10, 30, 60, 100, 500)
SIDE, TASK = 801, Task(COCO)
GRID = {"tags": Grid.centred(4), "offsets": Grid.cornered(8), "prn": Grid.centred(4)}

_WARM_UP = 10  # runs that are not counted; the first decoder of all warms up the core, too

Decode = Callable[[], list[Prediction]]


def people_of(count: int) -> Batch:
    """An image of people on a lattice, each with all keypoints and a mask."""
    slots, keypoints = lattice(count, SIDE, 0.3, torch.Generator().manual_seed(count))
    return scene_batch(keypoints, slots, SIDE)


def decodings(batch: Batch) -> Iterator[tuple[str, Grid, Decode]]:
    """Each decoder with ideal maps of the batch."""
    count = len(batch.keypoints[0])
    grid = GRID["tags"]
    outputs = _ideal(batch, [Heatmap(_source(grid), TASK, sigma=8.0), Tags(_source(grid), TASK)])
    yield "associative embedding", grid, _decoded(AssociativeEmbedding(TASK, max_people=count), outputs, grid)

    grid = GRID["offsets"]
    source = Source({"C5": Level(1, grid)}, {"short_offsets": grid})
    radius = min(32.0, 0.1 * SIDE / count**0.5)  # small people have small disks
    fields = [kind(source, TASK, radius=radius) for kind in (ShortOffsets, MidOffsets, LongOffsets)]
    disks = Heatmap(source, TASK, shape="disk", criterion="mse", radius=radius)
    outputs = _ideal(batch, [disks, *fields, Segmentation(source, TASK)])
    options: dict[str, Any] = {
        "max_people": count,
        "voting": Voting(radius=radius, max_peaks=max(40, count)),
        "suppression": Suppression(radius=radius / 3),
    }
    yield "PersonLab", grid, _decoded(Personlab(TASK, masks=InstanceMasks(mode=None), **options), outputs, grid)
    yield "PersonLab with masks", grid, _decoded(Personlab(TASK, **options), outputs, grid)
    yield (
        "PersonLab, Google's decoder",
        grid,
        _decoded(Posenet(TASK, max_people=count, max_peaks=max(40, count), nms_radius=radius / 3), outputs, grid),
    )

    grid = GRID["prn"]
    outputs = _ideal(batch, [Heatmap(_source(grid), TASK, sigma=7.0), Proposals(Source(None, {}), TASK)])
    candidates = Candidates(Source(None, {"heatmap": grid}), TASK, count=max(30, count))
    networks: dict[str, Literal["fp32", "int8"]] = {"MultiPoseNet": "fp32", "MultiPoseNet, weights=int8": "int8"}
    for name, weights in networks.items():
        yield name, grid, _assigned(candidates, Prn(Source(None, {}), TASK, weights=weights).eval(), outputs, grid)


def _source(grid: Grid) -> Source:
    return Source({"maps": Level(1, grid)}, {"heatmap": grid})


def _ideal(batch: Batch, heads: list[Head]) -> Outputs:
    outputs: Outputs = {}
    for head in heads:
        outputs |= {key: maps.contiguous() for key, maps in head.ideal(batch).items()}
    return outputs


def _decoded(decoder: Any, outputs: Outputs, grid: Grid) -> Decode:
    frame = Scene("", outputs, grid, SIDE, None).frame

    @torch.inference_mode()
    def decode() -> list[Prediction]:
        found: list[Prediction] = decoder(outputs, frame)
        for prediction in found:
            if prediction.instances.masks is not None:
                list(prediction.instances.masks.windows(prediction.size))
        return found

    return decode


def _assigned(candidates: Candidates, network: Prn, outputs: Outputs, grid: Grid) -> Decode:
    frame, decoder = Scene("", outputs, grid, SIDE, None).frame, PrnDecoder(TASK)

    @torch.inference_mode()
    def decode() -> list[Prediction]:
        found = outputs | candidates({}, outputs)
        return decoder(found | network({}, found), frame)

    return decode


def measure(runs: int) -> list[Row]:
    """A row for each number of people and each decoder."""
    rows: list[Row] = []
    alone: dict[str, float] = {}
    for count in PEOPLE:
        batch = people_of(count)
        for name, grid, decode in decodings(batch):
            times = milliseconds(decode, runs, _WARM_UP, time.process_time)
            scene = Scene(name, {}, grid, SIDE, batch.keypoints[0])
            back = scene.recall(decode()[0])
            alone.setdefault(name, statistics.median(times))
            row = {"name": f"{name}, {count}", "decoder": name, "people": count, "median_ms": round(statistics.median(times), 2)}
            row |= {"minimum_ms": round(min(times), 2), "ratio": round(statistics.median(times) / alone[name], 3)}
            row["mebibytes"] = round(peak_mebibytes(decode, torch.device("cpu")) or 0.0)
            rows.append(row | {"recall": round(back or 0.0, 4), "valid": (back or 0.0) >= COMES_BACK})
            print(rows[-1], flush=True)
    return rows


def plot(rows: list[Row]) -> str:
    """Milliseconds against people as SVG, a line for each decoder."""
    lines: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        if row["valid"]:
            lines[row["decoder"]].append((row["people"], row["median_ms"]))
    return draw_lines(lines, "people in the image", "ms on one core", logarithmic=True)


if __name__ == "__main__":
    measure_and_draw("people", __doc__, 10, {"side": SIDE}, measure, plot)
