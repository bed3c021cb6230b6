"""Networks with their decoders as files beside themselves: whom each finds, how large the files are, and how long they take.

``python benchmarks/export.py photos=FOLDER posenet=FILE bodypix=FILE demo=FILE [NAME …]`` takes checkpoints of Google's networks
and of ``make demo``; methods without one have drawn weights, which find a lot that is nothing. Every photo goes through PyTorch,
through the exported program of PyTorch and through ONNX Runtime, one after the other on one core, and everybody that is found
counts, however low the score. It writes ``benchmarks/results/export.json``, in which rows that are not named stay.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from bottomup.benchmark.results import Row, circumstances, read_result, write_result  # noqa: E402
from bottomup.export.files import contract_of, quiet, write  # noqa: E402
from bottomup.export.graph import DecodedGraph, program_of  # noqa: E402
from bottomup.grouping.found import Decoded, Found, HostFrame  # noqa: E402
from bottomup.images import find_images  # noqa: E402
from bottomup.loading import load  # noqa: E402
from bottomup.plan.composing import load_config  # noqa: E402
from bottomup.plan.model import ModelPlan  # noqa: E402
from bottomup.predictor import Predictor  # noqa: E402
from bottomup.runtime import Runner  # noqa: E402
from bottomup.runtime.pictures import Framed, pixels_of  # noqa: E402
from bottomup.skeletons import COCO  # noqa: E402
from bottomup.types import Task  # noqa: E402

RESULT = Path(__file__).parent / "results" / "export.json"
WITHIN = {"keypoints": 1e-2, "scores": 1e-4}  # px, and of a score: what counts as the same

_LOUDER = 3.0
_SCORES = ("keypoint_scores", "scores")

Decode = Callable[[Framed], Decoded]


@dataclass(frozen=True)
class Case:
    """One network with one decoder."""

    name: str
    overrides: tuple[str, ...]
    weights: str | None = None  # which of the checkpoints given; None: drawn weights
    size: int = 513
    photos: int = 20
    masks_alone: bool = False

    def predictor(self, checkpoints: dict[str, str]) -> Predictor:
        """The network, of its checkpoint or with drawn weights."""
        if self.weights is not None:
            return load(checkpoints[self.weights], overrides=self.overrides, input_size=self.size, score_threshold=0.0)
        torch.manual_seed(0)
        plan = ModelPlan.of(load_config("predict", [*self.overrides, "backbone.pretrained=false"])).without_pretraining()
        model, decoder = plan.compose(Task(None, ("thing",)) if self.masks_alone else Task(COCO))
        if "retinanet" in model.heads:
            _let_scores_differ(model.stack("retinanet"))
        return Predictor(model, decoder, input_size=self.size, score_threshold=0.0)


def _let_scores_differ(boxes: torch.nn.Module) -> None:
    """Drawn weights of boxes give scores that are alike to the last digit, and of ties each runtime takes its own."""
    with torch.no_grad():
        for module in boxes.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.weight.mul_(_LOUDER)


CASES = (
    Case("PoseNet 0.75, decoder personlab", (), "posenet", photos=195),
    Case("PoseNet 0.75, decoder posenet", ("decoder=posenet", "heads.mid_offsets.refine=0"), "posenet"),
    Case("BodyPix 0.50, decoder personlab, with masks", (), "bodypix", photos=195),
    Case("Associative Embedding of make demo", (), "demo", size=256),
    Case("Associative Embedding of make demo, decoder higherhrnet", ("decoder=higherhrnet",), "demo", size=256),
    Case(
        "MultiPoseNet, MobileNetV2, drawn weights",
        ("method=multiposenet", "backbone=mobilenetv2_fpn", "heads.proposals.threshold=0", "heads.proposals.count=10"),
        size=256,
    ),
    Case(
        "Associative Embedding for masks, drawn weights",
        ("method=associative_embedding_segmentation", "backbone=hourglass_tiny", "decoder.bin=0.001", "decoder.separation=0.01"),
        size=256,
        masks_alone=True,
    ),
)


def main(arguments: Sequence[str]) -> None:
    """Measure what is asked for and write it row by row."""
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    names = [argument for argument in arguments if "=" not in argument] or [case.name for case in CASES]
    if "photos" not in given:
        raise SystemExit(__doc__)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    photos = find_images(given.pop("photos"))
    for case in CASES:
        if case.name in names:
            row = measured(case, photos[: case.photos], given)
            print(row, flush=True)
            rows = {row["name"]: row for row in read_result(RESULT)["rows"]} if RESULT.is_file() else {}
            rows[case.name] = row
            write_result(RESULT, "export", {"within": WITHIN}, [rows[one.name] for one in CASES if one.name in rows])


def measured(case: Case, photos: Sequence[Path], checkpoints: dict[str, str]) -> Row:
    """The row of one network: files, differences and times."""
    predictor = case.predictor(checkpoints)
    with tempfile.TemporaryDirectory() as folder:
        with quiet():
            program = program_of(predictor.model, predictor.decoder)
        onnx = write(program, contract_of(predictor, program, None), Path(folder) / "model.onnx")
        runner = Runner(onnx, threads=1, score_threshold=0.0)
        ways: dict[str, Decode] = {
            "eager": partial(_by_pytorch, DecodedGraph(predictor.model, predictor.decoder), runner),
            "program": partial(_by_pytorch, program.module(), runner),
            "onnx": partial(_by_onnx, runner),
        }
        framed = [Framed.of(pixels_of(photo), runner.contract) for photo in photos]
        found = {name: _timed(way, framed) for name, way in ways.items()}
        row: Row = {"name": case.name, "photos": len(photos), "size": case.size, "megabytes": onnx.stat().st_size / 1e6}
    decoded = {name: [image for image, _ in own] for name, own in found.items()}
    row |= {"ms": {name: median(ms for _, ms in own) for name, own in found.items()}}
    row |= {"instances": sum(len(image.people) for image in decoded["eager"])}
    row |= {name: _differences(decoded["eager"], decoded[name]) for name in ("program", "onnx")}
    return row | dict(circumstances("cpu"))


def _by_pytorch(graph: Callable[..., dict[str, torch.Tensor]], runner: Runner, framed: Framed) -> Decoded:
    contract, content = runner.contract, torch.tensor([framed.content])
    with torch.inference_mode():
        tensors = graph(torch.from_numpy(framed.pixels)[None], content)
    arrays = {name: tensor.numpy(force=True) for name, tensor in tensors.items()}
    size = (framed.pixels.shape[1], framed.pixels.shape[2])
    return contract.grouping(arrays, HostFrame(contract.grids, size, content.numpy()))[0]


def _by_onnx(runner: Runner, framed: Framed) -> Decoded:
    return runner.decode(framed.pixels[None], np.array([framed.content], np.float32))[0]


def _timed(way: Decode, images: Sequence[Framed]) -> list[tuple[Decoded, float]]:
    """What each image holds and the ms that it took; the first runs once before."""
    way(images[0])
    found = []
    for image in images:
        start = time.perf_counter()
        decoded = way(image)
        found.append((decoded, 1e3 * (time.perf_counter() - start)))
    return found


def _differences(ours: Sequence[Decoded], theirs: Sequence[Decoded]) -> dict[str, Any]:
    """How many instances one has and the other has not, the furthest keypoint and the most different score of the others."""
    pairs = [pair for one, other in zip(ours, theirs, strict=True) for pair in _pairs(one.people, other.people)]
    far = [pair for pair in pairs if pair is None or pair[0] > WITHIN["keypoints"] or pair[1] > WITHIN["scores"]]
    alike = [pair for pair in pairs if pair is not None]
    return {
        "differing": len(far),
        "keypoints_px": max((pair[0] for pair in alike), default=0.0),
        "scores": max((pair[1] for pair in alike), default=0.0),
    }


def _pairs(ours: Found, theirs: Found) -> list[tuple[float, float] | None]:
    """How far each instance's keypoints and scores are from those of the same place of the other's order; None has no other."""
    if len(ours) != len(theirs):
        return [None] * max(len(ours), len(theirs))
    places = ("keypoints" if ours.keypoints.shape[1] else "boxes",)
    return [(_apart(ours, theirs, index, places), _apart(ours, theirs, index, _SCORES)) for index in range(len(ours))]


def _apart(ours: Found, theirs: Found, index: int, names: Sequence[str]) -> float:
    return max(_most(getattr(ours, name)[index], getattr(theirs, name)[index]) for name in names)


def _most(one: Any, other: Any) -> float:
    """The greatest difference of two arrays, infinite where one alone is NaN."""
    one, other = np.asarray(one), np.asarray(other)
    if (np.isnan(one) != np.isnan(other)).any():
        return float("inf")
    return float(np.nan_to_num(np.abs(one - other)).max(initial=0.0))


if __name__ == "__main__":
    main(sys.argv[1:])
