"""Steps that once cost several times what they have to, each beside its floor: what no code of this step can be faster than.

``taskset -c 0 python benchmarks/floors.py data=COCO bodypix=CHECKPOINT before=WORKTREE`` writes ``benchmarks/results/floors.json``.
``data`` is a folder as ``data=coco`` reads (split val), ``bodypix`` an imported checkpoint, ``before`` a worktree of the commit
that is compared with: every step runs in a process of its own in both, in turns, on one core, and the least of all rounds is told.
``only=judging,prn`` measures some of the steps, a loader's by what stands before its comma, and leaves the rows of the others as
they are in the file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULT = Path(__file__).parent / "results" / "floors.json"
IMAGES, ROUNDS = 60, 3
PEOPLE = 500  # images that are judged, of twenty people each
_FILL = (124, 116, 104)
_MAPS = {"crowd", "unannotated", "padding"}
_HSV = {
    "name": "ColorJitter",
    "brightness": [0.7, 1.3],
    "contrast": [0.5, 1.5],
    "saturation": [0.5, 1.5],
    "hue": [-0.2, 0.2],
    "p": 1,
}
LOADERS: dict[str, tuple[str, dict[str, Any], set[str], int]] = {  # row -> augment, options in place of its, maps, input px
    "Associative Embedding, 512 px": ("associative_embedding", {}, _MAPS, 512),
    "Associative Embedding by HSV, 512 px": ("associative_embedding", {"transforms": [_HSV], "colours": None}, _MAPS, 512),
    "Associative Embedding without colour jitter, 512 px": (
        "associative_embedding",
        {"transforms": [], "colours": None},
        _MAPS,
        512,
    ),
    "PersonLab, 801 px": ("personlab", {}, {*_MAPS, "unmasked", "instances"}, 801),
    "MultiPoseNet, 480 px": ("multiposenet", {}, {*_MAPS, "unmasked"}, 480),
}
Figures = dict[str, tuple[float, float]]  # row -> what it takes, and its floor


def least(call: Callable[[], object], runs: int = 4) -> float:
    """Milliseconds of this process: the least of some runs."""
    times = []
    for _ in range(runs):
        began = time.process_time()
        call()
        times.append(1e3 * (time.process_time() - began))
    return min(times)


def least_of_each(calls: Sequence[Callable[[], object]], runs: int = 10) -> list[float]:
    """Milliseconds of this process: of each call the least of some runs, all of them in turn, as other work disturbs some."""
    rounds = [[_seconds(call) for call in calls] for _ in range(runs)]
    return [1e3 * min(times) for times in zip(*rounds, strict=True)]


def _seconds(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def loader(name: str, data: str) -> Figures:
    """An image in batches of four as a worker makes them; floor: its decoding."""
    import cv2
    import numpy as np

    from bottomup.data.coco import Coco
    from bottomup.plan.composing import load_config
    from bottomup.samples.augment import Augment
    from bottomup.samples.loader import TrainingSet, collate
    from bottomup.samples.workers import start_worker
    from bottomup.skeletons import COCO

    start_worker(0)
    augment, options, maps, side = LOADERS[name]
    composed = load_config("train", [f"augment={augment}"])["augment"]
    composed |= {name: value for name, value in options.items() if name in composed}  # what it is compared with has no colours
    dataset = Coco(root=data, split="val")
    chosen = np.random.default_rng(0).permutation(len(dataset))[:IMAGES].tolist()
    files = [Path(data) / "val" / dataset.ground_truth([index])["images"][0]["file_name"] for index in chosen]
    coded = [np.frombuffer(file.read_bytes(), np.uint8) for file in files]
    samples = TrainingSet(dataset, Augment((side, side), _FILL, COCO.flip_order, **composed), frozenset(maps), 0)

    def load(start: int) -> None:
        collate([samples[0, index] for index in chosen[start : start + 4]], 30)

    def decode(file: Any) -> None:
        cv2.imdecode(file, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)

    loads, decodes = [partial(load, start) for start in range(0, IMAGES, 4)], [partial(decode, file) for file in coded]
    times = least_of_each([*loads, *decodes])
    return {f"loader, {name}": (sum(times[: len(loads)]) / IMAGES, sum(times[len(loads) :]) / IMAGES)}


def personlab(data: str, bodypix: str) -> Figures:
    """BodyPix's decoder and its masks drawn, of everybody who is found in ten images at 513 px; floor: a fifth of the network."""
    import torch

    from bottomup.benchmark.speed import draw_masks
    from bottomup.loading import load
    from bottomup.samples.loader import collate

    predictor = load(bodypix, score_threshold=0.0)
    files = sorted((Path(data) / "val").glob("*.jpg"))[:10]
    network, decoder, masks = 0.0, 0.0, 0.0
    with torch.inference_mode():
        for file in files:
            batch = collate([predictor.boxed(predictor.sample(str(file)))])
            seen = predictor.seen(batch)
            found = predictor.decode(batch, seen)
            network += least(partial(predictor.seen, batch)) / len(files)
            decoder += least(partial(predictor.decode, batch, seen)) / len(files)
            masks += least(partial(draw_masks, found)) / len(files)
    return {"PersonLab's decoder, 513 px": (decoder, network / 5), "PersonLab's masks, 513 px": (masks, network / 5)}


def judging() -> Figures:
    """Figures of people drawn by chance, for an image, all of it as ``evaluate`` has it; floor: the package's part of AP."""
    from benchmarks.judging import FIGURES, drawn
    from bottomup.evaluation.oks import match, per_image_oks
    from bottomup.evaluation.precision_recall import keypoint_curves
    from bottomup.evaluation.records import read_records
    from bottomup.skeletons import COCO

    predictions, truth = drawn(PEOPLE)
    records = read_records(predictions, truth, COCO)
    floor = least(lambda: match(records, COCO.sigmas, 20).accumulate(), 2)
    judges: dict[str, Callable[..., object]] = {**FIGURES, "the OKS of each image": per_image_oks, "curves": keypoint_curves}
    figures = {name: least(partial(judge, predictions, truth, COCO), 4) for name, judge in judges.items()}
    figures.setdefault("all of it", sum(figures.values()))  # what it is compared with read and matched people for each of them anew
    return {f"judging, {name}": (value / PEOPLE, floor / PEOPLE) for name, value in figures.items()}


def batches(bodypix: str) -> Figures:
    """An image of a batch of eight, with its decoding and of the network alone; floor: one that comes alone."""
    import torch

    from bottomup.benchmark.speed import predict, stacked
    from bottomup.loading import load
    from bottomup.samples.loader import collate

    predictor = load(bodypix, input_size=257)
    one = collate([predictor.boxed(predictor.sample(torch.randint(0, 255, (257, 257, 3), dtype=torch.uint8).numpy()))])
    small, images = _demo(), torch.randint(0, 255, (1, 3, 128, 128), dtype=torch.uint8)
    last = torch.channels_last
    with torch.inference_mode():
        return {
            "an image of a batch of eight, BodyPix at 257 px": _eighth(partial(predict, predictor), stacked(one, 8), one),
            "an image of a batch of eight, the network of that alone": _eighth(predictor.seen, stacked(one, 8), one),
            "an image of a batch of eight, the demo's network at 128 px": _eighth(
                small, images.repeat(8, 1, 1, 1).contiguous(memory_format=last), images.contiguous(memory_format=last)
            ),
        }


def _eighth(call: Callable[[Any], object], eight: object, one: object) -> tuple[float, float]:
    call(eight)
    call(one)
    return least(partial(call, eight), 6) / 8, least(partial(call, one), 12)


def _demo() -> Callable[[Any], object]:
    """The network of experiment=demo/associative_embedding, as it is drawn."""
    import torch

    from bottomup.engine.distributed import ranks
    from bottomup.plan.composing import load_config
    from bottomup.plan.training import TrainPlan
    from bottomup.workflows.train import make_trainer

    plan = TrainPlan.of(load_config("train", ["experiment=demo/associative_embedding", "workers=0", "device=cpu"]))
    with ranks("cpu") as place:
        trainer = _trainer(make_trainer(plan, Path(), place))
    network: Callable[[Any], object] = trainer.model.to(memory_format=torch.channels_last).eval()
    return network


def _trainer(made: Any) -> Any:
    """What a plan is made to; the commit that is compared with makes nothing else."""
    return made[0] if isinstance(made, tuple) else made


def prn() -> Figures:
    """The Pose Residual Network of some people, from eight bits where it can; floor: its weights of float32 read once."""
    from inspect import signature

    import torch

    from benchmarks.prn import TASK, scene
    from bottomup.contracts import Source
    from bottomup.heads.prn import Prn

    options: Any = {"weights": "int8"} if "weights" in signature(Prn).parameters else {}  # what it is compared with has none
    exact, head = Prn(Source(None, {}), TASK).eval(), Prn(Source(None, {}), TASK, **options).eval()
    weights = [parameter.detach() for parameter in exact.parameters()]
    with torch.inference_mode():
        floor = least(lambda: [weight.sum() for weight in weights], 8)
        head({}, scene(1, 1))
        found = {"PRN, one person": (least(lambda: exact({}, scene(1, 1)), 8), floor)}
        for people, name in ((1, "one person"), (8, "eight people"), (30, "thirty people")):
            outputs = scene(people, people)
            found[f"PRN, {name}, weights=int8"] = (least(partial(head, {}, outputs), 6), floor)
    return found


def training() -> Figures:
    """Forward, targets, loss and backward of the demo's networks; floor: forward and backward of the sum of all maps."""
    return {f"training step, demo/{method}": _step(method) for method in ("associative_embedding", "personlab", "multiposenet")}


def _step(method: str) -> tuple[float, float]:
    import torch

    from bottomup.engine.distributed import ranks
    from bottomup.engine.objective import forward_losses
    from bottomup.plan.composing import load_config
    from bottomup.plan.training import TrainPlan
    from bottomup.workflows.train import make_trainer

    plan = TrainPlan.of(load_config("train", [f"experiment=demo/{method}", "workers=0", "device=cpu"]))
    with ranks("cpu") as place:
        trainer = _trainer(make_trainer(plan, Path(), place))
        batch, model, given = next(trainer.batches(0)), trainer.model.train(), trainer.given

        def step() -> None:
            forward_losses(model, batch, given, torch.float32).total.mean().backward()

        def least_step() -> None:
            teaching = model.teaching(batch, given) if given else None
            maps = [value for stage in model(batch.images, given=teaching, stages="all") for value in stage.values()]
            sum((value.float().mean() for value in maps if value.requires_grad), torch.zeros(())).backward()

        step()
        least_step()
        return least(step), least(least_step)


STEPS: dict[str, Callable[..., Figures]] = {
    **{name: partial(loader, name) for name in LOADERS},
    "personlab": personlab,
    "judging": judging,
    "prn": prn,
    "batches": batches,
    "training": training,
}
GOALS = {
    "loader, Associative Embedding, 512 px": 2.0,
    "loader, PersonLab, 801 px": 2.5,
    "loader, MultiPoseNet, 480 px": 2.0,
    "PersonLab's decoder, 513 px": 1.0,
    "PersonLab's masks, 513 px": 1.0,
    "an image of a batch of eight, BodyPix at 257 px": 0.77,
    "an image of a batch of eight, the demo's network at 128 px": 0.77,
}


def child(step: str, given: dict[str, str]) -> None:
    """Measure one step in this process, and say it as JSON."""
    sys.path.append(str(ROOT))
    import benchmarks

    benchmarks.__path__.insert(0, str(Path.cwd() / "benchmarks"))  # a tree's own count before those of this one
    import cv2
    import torch

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    call = STEPS[step]
    wanted = call.func.__code__ if isinstance(call, partial) else call.__code__
    names = wanted.co_varnames[: wanted.co_argcount]
    print(json.dumps(call(**{name: given[name] for name in names if name in given})))


def measured(step: str, tree: Path, given: Sequence[str]) -> Figures:
    """What a process of its own measures, with the code of a tree."""
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__)), f"step={step}", *given]
    done = subprocess.run(command, env=environment, cwd=tree, stdout=subprocess.PIPE, text=True, check=True)
    read: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return {name: (figure, floor) for name, (figure, floor) in read.items()}


def main(given: dict[str, str]) -> None:
    """Measure every step in both trees, in turns, and write."""
    from bottomup.benchmark.results import read_result, write_result

    named = given.pop("only").split(",") if "only" in given else list(STEPS)
    only = [step for step in STEPS if step in named or step.split(",")[0] in named]
    options = [f"{name}={value}" for name, value in given.items()]
    trees = {"now": ROOT, "before": Path(given["before"])}
    commit = subprocess.run(("git", "rev-parse", "HEAD"), cwd=given["before"], capture_output=True, text=True, check=True)
    config = {"before": commit.stdout.strip(), "rounds": ROUNDS, "images": IMAGES}
    rows = {row["name"]: row for row in read_result(RESULT)["rows"]} if set(only) < set(STEPS) else {}
    for step in only:
        rounds = [{tree: measured(step, trees[tree], options) for tree in trees} for _ in range(ROUNDS)]
        for name in rounds[0]["now"]:
            figure, before = (min(one[tree][name][0] for one in rounds) for tree in trees)
            floor = min(one[tree][name][1] for one in rounds for tree in trees)
            rows[name] = {
                "name": name,
                "ms": round(figure, 3),
                "before_ms": round(before, 3),
                "floor_ms": round(floor, 3),
                "ratio": round(figure / floor, 3),
                "before_ratio": round(before / floor, 3),
                "goal": GOALS.get(name),
            }
            print(rows[name], flush=True)
    write_result(RESULT, "floors", config, list(rows.values()))  # once: a file that was written is a working tree that is not clean


if __name__ == "__main__":
    options = dict(argument.split("=", 1) for argument in sys.argv[1:])
    if "step" in options:
        child(options.pop("step"), options)
    else:
        main(options)
