"""Networks with their decoders as files beside themselves: whom each finds, how large the files are, and how long they take.

``python benchmarks/export.py data.root=FOLDER posenet=FILE bodypix=FILE associative_embedding=FILE demo=FILE multiposenet=FILE``
takes checkpoints, and names of rows: of Google's networks; of one that learned the first twenty photos of a COCO folder's val
split by heart, whose AP on those it tells; and of two that know drawn people alone and take parts of photos for such. Every photo
goes through PyTorch, through the exported program of PyTorch and through ONNX Runtime, one after the other on one core, of which
the time counts, not the clock's. How much float32 leaves open says the network in float64, with the same decoder. Everybody that
is found counts, however low the score, and who is worth showing once more. It writes ``benchmarks/results/export.json``, in which
rows that are not named stay.

The one was trained by ``bottomup train data=coco data.root=FOLDER data.split=val data.image_ids=FILE data.min_people=0 limit=20
heads.heatmap.criterion=logistic experiment=overfit/associative_embedding engine.optimiser.lr=2e-3 engine.steps=1100``, from 1,600
steps with the four of them that show three people or more; the others as ``make demo`` and ``benchmarks/page.py`` do.
"""

from __future__ import annotations

import copy
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
from bottomup.evaluation.run import evaluate_dataset  # noqa: E402
from bottomup.export.files import contract_of, quiet, write  # noqa: E402
from bottomup.export.graph import DecodedGraph, program_of  # noqa: E402
from bottomup.grouping.found import Decoded, Found, HostFrame  # noqa: E402
from bottomup.grouping.matching import assign  # noqa: E402
from bottomup.images import find_images  # noqa: E402
from bottomup.loading import load  # noqa: E402
from bottomup.model import PoseModel  # noqa: E402
from bottomup.plan.judging import evaluate_plan  # noqa: E402
from bottomup.predictor import Predictor  # noqa: E402
from bottomup.runtime import Runner  # noqa: E402
from bottomup.runtime.pictures import Framed, pixels_of  # noqa: E402

RESULT = Path(__file__).parent / "results" / "export.json"
WITHIN = {"keypoints": 1e-2, "scores": 1e-4}  # px, and of a score: what counts as the same

_SCORES = ("keypoint_scores", "scores")
_SPLIT = "val"
_FAR = 1e6  # px: of two whose keypoints are not the same

Decode = Callable[[Framed], Decoded]


@dataclass(frozen=True)
class Case:
    """One network with one decoder."""

    name: str
    overrides: tuple[str, ...]
    weights: str  # which of the checkpoints given
    size: int = 513
    photos: int = 20
    judged: bool = False  # whether the photos are those that it was trained on, so that its AP says how well it knows them

    def predictor(self, checkpoints: dict[str, str]) -> Predictor:
        """The network of its checkpoint, which finds everybody however they score."""
        return load(checkpoints[self.weights], overrides=self.overrides, input_size=self.size, score_threshold=0.0)


CASES = (
    Case("PoseNet 0.75, decoder personlab", (), "posenet", photos=195),
    Case("PoseNet 0.75, decoder posenet", ("decoder=posenet", "heads.mid_offsets.refine=0"), "posenet"),
    Case("BodyPix 0.50, decoder personlab, with masks", (), "bodypix", photos=195),
    Case("Associative Embedding, trained on the photos", (), "associative_embedding", size=256, judged=True),
    Case(
        "Associative Embedding, trained on the photos, decoder higherhrnet",
        ("decoder=higherhrnet",),
        "associative_embedding",
        size=256,
        judged=True,
    ),
    Case("Associative Embedding of make demo", (), "demo", size=256),
    Case("MultiPoseNet, trained on drawn people", (), "multiposenet", size=256),
)


def main(arguments: Sequence[str]) -> None:
    """Measure what is asked for and write it row by row."""
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    names = [argument for argument in arguments if "=" not in argument] or [case.name for case in CASES]
    if "data.root" not in given:
        raise SystemExit(__doc__)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    root = Path(given.pop("data.root"))
    photos = find_images(root / _SPLIT)
    for case in CASES:
        if case.name in names:
            row = measured(case, photos[: case.photos], given) | precision(case, photos[: case.photos], given, root)
            print(row, flush=True)
            rows = {row["name"]: row for row in read_result(RESULT)["rows"]} if RESULT.is_file() else {}
            rows[case.name] = row
            write_result(RESULT, "export", {"within": WITHIN}, [rows[one.name] for one in CASES if one.name in rows])


def measured(case: Case, photos: Sequence[Path], checkpoints: dict[str, str]) -> Row:
    """The row of one network: files, differences and times."""
    predictor = case.predictor(checkpoints)
    model, decoder = predictor.model, predictor.decoder
    with tempfile.TemporaryDirectory() as folder:
        with quiet():
            program = program_of(model, decoder)
        onnx = write(program, contract_of(predictor, program, None), Path(folder) / "model.onnx")
        runner = Runner(onnx, threads=1, score_threshold=0.0)
        ways: dict[str, Decode] = {
            "eager": partial(_by_pytorch, DecodedGraph(model, decoder), runner),
            "program": partial(_by_pytorch, program.module(), runner),
            "onnx": partial(_by_onnx, runner),
            "float64": partial(_by_pytorch, DecodedGraph(_in_double(model), decoder), runner),
        }
        framed = [Framed.of(pixels_of(photo), runner.contract) for photo in photos]
        decoded, ms = _in_turn(ways, framed)
        row: Row = {"name": case.name, "photos": len(photos), "size": case.size, "megabytes": onnx.stat().st_size / 1e6, "ms": ms}
    least = decoder.recommended.score
    row |= {"instances": sum(len(image.people) for image in decoded["eager"]), "shown_from": least}
    row |= {"shown": sum(int((image.people.scores >= least).sum()) for image in decoded["eager"])}
    row |= {name: _differences(decoded["eager"], decoded[name], least) for name in ways if name != "eager"}
    return row | dict(circumstances("cpu"))


def precision(case: Case, photos: Sequence[Path], checkpoints: dict[str, str], root: Path) -> Row:
    """The AP of a network on the photos that it was trained on; None for others."""
    if not case.judged:
        return {"AP": None}
    chosen = f"data.image_ids=[{','.join(str(int(photo.stem)) for photo in photos)}]"
    given = ("data=coco", f"data.root={root}", f"data.split={_SPLIT}", chosen, f"weights={checkpoints[case.weights]}")
    plan = evaluate_plan([*given, "workers=0", *case.overrides])
    dataset = plan.data.dataset("val", plan.limit)
    return {"AP": evaluate_dataset(case.predictor(checkpoints), dataset).metrics["AP"]}


def _in_double(model: PoseModel) -> PoseModel:
    """A copy whose features and maps are found in float64; what its heads then give is float32, as ever."""
    copied = copy.deepcopy(model).double()
    for _, stack in copied.stacks():
        if not stack.reads:
            stack.float()
    return copied


def _by_pytorch(graph: Callable[..., dict[str, torch.Tensor]], runner: Runner, framed: Framed) -> Decoded:
    contract, content = runner.contract, torch.tensor([framed.content])
    with torch.inference_mode():
        tensors = graph(torch.from_numpy(framed.pixels)[None], content)
    arrays = {name: tensor.numpy(force=True) for name, tensor in tensors.items()}
    size = (framed.pixels.shape[1], framed.pixels.shape[2])
    return contract.grouping(arrays, HostFrame(contract.grids, size, content.numpy()))[0]


def _by_onnx(runner: Runner, framed: Framed) -> Decoded:
    return runner.decode(framed.pixels[None], np.array([framed.content], np.float32))[0]


def _in_turn(ways: dict[str, Decode], images: Sequence[Framed]) -> tuple[dict[str, list[Decoded]], dict[str, float]]:
    """What each way finds in each image and the median ms of a core that it took; the first image runs once before."""
    found: dict[str, list[Decoded]] = {name: [] for name in ways}
    ms: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way(images[0])
    for image in images:
        for name, way in ways.items():
            start = time.process_time()
            found[name].append(way(image))
            ms[name].append(1e3 * (time.process_time() - start))
    return found, {name: median(own) for name, own in ms.items()}


def _differences(ours: Sequence[Decoded], theirs: Sequence[Decoded], least: float) -> dict[str, Any]:
    """How many instances one has and the other has not, so many of them scoring ``least`` and more, and how far the others are
    apart: the furthest keypoint, of those too that count as different, and the most different score."""
    pairs = [pair for one, other in zip(ours, theirs, strict=True) for pair in _pairs(one.people, other.people)]
    far = [pair for pair in pairs if pair.keypoints > WITHIN["keypoints"] or pair.scores > WITHIN["scores"]]
    alike = [pair for pair in pairs if pair.keypoints < float("inf")]
    return {
        "differing": len(far),
        "differing_shown": sum(pair.score >= least for pair in far),
        "keypoints_px": max((pair.keypoints for pair in alike), default=0.0),
        "scores": max((pair.scores for pair in alike), default=0.0),
    }


@dataclass(frozen=True)
class Pair:
    """How far an instance of one is from the other's; infinite where the other has none."""

    score: float
    keypoints: float = float("inf")  # px
    scores: float = float("inf")


def _pairs(ours: Found, theirs: Found) -> list[Pair]:
    """Every instance with the nearest of the other, one to one, whatever the order of those that score alike."""
    places = ("keypoints" if ours.keypoints.shape[1] else "boxes",)
    apart = np.array([[_apart(ours, i, theirs, j, places) for j in range(len(theirs))] for i in range(len(ours))])
    apart = apart.reshape(len(ours), len(theirs)).clip(max=_FAR)
    rows, columns = assign(apart, np.isfinite(apart))
    both = [
        Pair(float(max(ours.scores[i], theirs.scores[j])), _apart(ours, i, theirs, j, places), _apart(ours, i, theirs, j, _SCORES))
        for i, j in zip(rows, columns, strict=True)
    ]
    alone = [*np.delete(ours.scores, rows), *np.delete(theirs.scores, columns)]
    return both + [Pair(float(score)) for score in alone]


def _apart(ours: Found, i: int, theirs: Found, j: int, names: Sequence[str]) -> float:
    return max(_most(getattr(ours, name)[i], getattr(theirs, name)[j]) for name in names)


def _most(one: Any, other: Any) -> float:
    """The greatest difference of two arrays, infinite where one alone is NaN."""
    one, other = np.asarray(one), np.asarray(other)
    if (np.isnan(one) != np.isnan(other)).any():
        return float("inf")
    return float(np.nan_to_num(np.abs(one - other)).max(initial=0.0))


if __name__ == "__main__":
    main(sys.argv[1:])
