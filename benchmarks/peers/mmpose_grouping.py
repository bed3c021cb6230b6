"""mmpose's decoder of Associative Embedding beside ours: the same maps, options and core, in the same run.

``python benchmarks/peers/mmpose_grouping.py`` gives the scenes of ``benchmarks/decode.py`` to both and writes
``benchmarks/results/peers_mmpose_grouping.json``. ``ratio`` is of our minimum time to mmpose's, measured right after: below 1 ours
is faster. ``recall`` is of the keypoints within ``NEAR``, half a cell; ``agreement`` is the part of our keypoints near which mmpose
has one, people matched one to one: on noise, where nobody is right, it only says how alike both are. mmpose always fills what is
missing, with a cell as it is, half a cell off; ours fills where ``fill_threshold`` says so. Rows are ``valid`` as there.

``python benchmarks/peers/mmpose_grouping.py ours=CHECKPOINT [OVERRIDE …]`` is ``bottomup benchmark`` of a checkpoint with both
decoders, by default into ``outputs/peers_grouping``. Both need ``INSTALL``: mmpose is no dependency, and of what it asks for itself
chumpy and xtcocotools are not needed to decode.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.scenes import COMES_BACK, Case, Scene
from benchmarks.scenes_associative_embedding import CONFIG, cases
from bottomup.benchmark.results import Row, write_result
from bottomup.benchmark.speed import milliseconds
from bottomup.commands import benchmark
from bottomup.contracts import DECODERS, Decoder, probability, probability_grid
from bottomup.errors import BottomupError, ConfigError
from bottomup.geometry import Grid
from bottomup.plan.overrides import key_of
from bottomup.skeletons import COCO
from bottomup.types import Frame, Instances, Outputs, Prediction, Task

RESULT = Path(__file__).parents[1] / "results" / "peers_mmpose_grouping.json"
MATRIX = Path(__file__).parent / "grouping.yaml"
INSTALL = (
    "pip install addict yapf rich termcolor munkres==3.0.0 && "
    "pip install --no-deps mmpose==1.3.2 mmengine-lite==0.10.7 mmcv-lite==2.2.0"
)
_PACKAGES = ("mmpose", "mmengine-lite", "mmcv-lite", "munkres")
_WARM_UP = 2  # runs that are not counted
_MIDDLE = 0.5  # of a cell: where mmpose's own configurations place what they find


class MmposeGrouping(Decoder):
    """mmpose's codec as a decoder of ours, under our names of its options; those that ours alone has mean nothing to it.

    ConfigError where mmpose is not installed.
    """

    def __init__(
        self,
        task: Task,
        *,
        max_people: int = 30,
        window: int = 3,
        detection_threshold: float = 0.1,
        tag_threshold: float = 1.0,
        **_: object,
    ) -> None:
        if task.skeleton is None:
            raise ConfigError("decoder mmpose_grouping needs a skeleton; the task has none")
        self.requires = {"heatmap | heatmap_logits": "B K h w", "tags": "B K D h w"}
        self.codec = _codec_class()(
            input_size=(1, 1),
            heatmap_size=(1, 1),  # no scale between both: points come in cells
            decode_keypoint_order=list(task.skeleton.grouping),
            decode_nms_kernel=window,
            decode_keypoint_thr=detection_threshold,
            decode_tag_thr=tag_threshold,
            decode_topk=max_people,
            decode_max_instances=max_people,
            decode_center_shift=_MIDDLE,
        )

    def tensors(self, outputs: Outputs, frame: Frame) -> dict[str, Tensor]:
        """The maps as mmpose reads them: ``tags`` (B, D·K, h, w) has the first numbers of all keypoints' tags before the second."""
        return {"heatmap": probability(outputs, "heatmap").float(), "tags": outputs["tags"].float().transpose(1, 2).flatten(1, 2)}

    def people(self, tensors: dict[str, Tensor], frame: Frame) -> list[Prediction]:
        """What mmpose finds, in input px, best first."""
        grid = probability_grid(frame, "heatmap")
        found = self.codec.batch_decode(tensors["heatmap"], tensors["tags"])  # points, their scores and people's, of each image
        return [Prediction(_instances(*one), frame.size) for one in zip(*found, [grid] * len(found[0]), strict=True)]


def _codec_class() -> Any:
    try:
        return import_module("mmpose.codecs").AssociativeEmbedding
    except ImportError as error:
        raise ConfigError(f"mmpose's decoder is not there ({error}): {INSTALL}") from error


def _instances(points: NDArray[Any], keypoint_scores: NDArray[Any], scores: NDArray[Any], grid: Grid) -> Instances:
    """Points (P, K, 2) in cells, a cell's middle at + 0.5; a keypoint without a positive score is none."""
    order = np.argsort(-scores, kind="stable")
    kept = torch.from_numpy(keypoint_scores[order]).clamp(0, 1)
    placed = grid.to_input(torch.from_numpy(points[order]) - _MIDDLE)
    return Instances.of_keypoints(placed.where(kept[..., None] > 0, torch.nan), kept, torch.from_numpy(scores[order]))


def row(case: Case, runs: int) -> Row:
    """Measure our decoder on a scene, and mmpose's on the same maps right after."""
    scene, peer = case.scene, MmposeGrouping(Task(COCO), **case.options)
    maps = peer.tensors(scene.outputs, scene.frame)  # before the clock starts: mmpose's own models give them so
    (ours,), (theirs,) = case.decoder(scene.outputs, scene.frame), peer.people(maps, scene.frame)
    times = milliseconds(partial(case.decoder, scene.outputs, scene.frame), runs, _WARM_UP)
    their_times = milliseconds(partial(peer.people, maps, scene.frame), runs, _WARM_UP)
    back, their_back = scene.recall(ours), scene.recall(theirs)
    return {
        "name": scene.name,
        "options": case.options,
        "median_ms": round(statistics.median(times), 2),
        "minimum_ms": round(min(times), 2),
        "mmpose_median_ms": round(statistics.median(their_times), 2),
        "mmpose_minimum_ms": round(min(their_times), 2),
        "ratio": round(min(times) / min(their_times), 3),
        "instances": len(ours.instances),
        "mmpose_instances": len(theirs.instances),
        "recall": None if back is None else round(back, 4),
        "mmpose_recall": None if their_back is None else round(their_back, 4),
        "agreement": round(agreement(scene, ours, theirs), 4),
        "valid": back is None or back >= COMES_BACK,
    }


def agreement(scene: Scene, ours: Prediction, theirs: Prediction) -> float:
    """The part of our keypoints that come back among theirs, with one of their people for each of ours; 1 where ours are none."""
    keypoints = ours.instances.keypoints
    found = int((~keypoints.isnan().any(-1)).sum())
    both = replace(scene, keypoints=keypoints).recall(theirs) if found else None  # NaN is near nothing
    return 1.0 if both is None else both * keypoints.shape[:2].numel() / found


def measure(runs: int) -> list[Row]:
    """A row for each scene and setting of our decoder, on one core."""
    torch.set_num_threads(1)
    rows: list[Row] = []
    for case in cases():
        rows.append(row(case, runs))
        print(rows[-1], flush=True)
    return rows


def compare(overrides: Sequence[str]) -> list[Row]:
    """The rows of ``bottomup benchmark`` for the model that ``ours`` names, or the overrides compose, with either decoder."""
    DECODERS.register_as("mmpose_grouping")(MmposeGrouping)
    named = ["weights=" + text.partition("=")[2] if key_of(text) == "ours" else text for text in overrides]
    where = [] if any(key_of(text) == "output" for text in named) else ["output=outputs/peers_grouping"]
    rows: list[Row] = benchmark.run([f"matrix='{MATRIX}'", *where, *named])["rows"]
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare both on a checkpoint's maps where there are overrides, else on the scenes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="ours=CHECKPOINT and what bottomup benchmark takes")
    parser.add_argument("--runs", type=int, default=30, help="of each scene")
    parser.add_argument("--output", type=Path, default=RESULT, help="of the scenes")
    options = parser.parse_args(arguments)
    try:
        _codec_class()
        if options.overrides:
            compare(options.overrides)
            return
    except BottomupError as error:
        raise SystemExit(str(error)) from None
    config = CONFIG | {"runs": options.runs, "packages": {package: version(package) for package in _PACKAGES}}
    print(write_result(options.output, "peers_mmpose_grouping", config, measure(options.runs)))


if __name__ == "__main__":
    main()
