"""All published networks beside each other: size, cost, what the decoder makes of flawless maps, and what their authors print.

``python benchmarks/zoo.py data=coco data.root=FOLDER [NAME …] [OVERRIDE …]`` builds each network, or those named, with drawn
weights, and counts its parameters and the multiply-adds of 512 x 512 px; takes the time of that on one core, by block; and judges
on a split what its decoder makes of ideal maps at the size and side that the network is run at. It writes
``benchmarks/results/zoo.json``, in which rows of networks that are not named stay. No file of a network is needed.

Decoding is timed on ideal maps, as maps of drawn weights are noise; a network for another skeleton than the data set's has
neither that nor AP.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch

from bottomup.benchmark.results import Row, circumstances, read_result, write_result
from bottomup.benchmark.speed import DECODER, TOTAL, block_latencies, gigamacs, sizes
from bottomup.dataset import Dataset
from bottomup.errors import BottomupError
from bottomup.evaluation.run import evaluate_dataset
from bottomup.plan.judging import EvaluatePlan, evaluate_plan
from bottomup.predictor import Predictor
from bottomup.samples.loader import collate
from bottomup.skeletons import skeleton_named
from bottomup.types import Batch, Task
from bottomup.zoo.entries import Entry, entries, entry_named

RESULT = Path(__file__).parent / "results" / "zoo.json"
SIDE = 512  # px, of what is timed
RUNS = 5  # of which times are the median
_BLOCKS = ("backbone", "necks", "heads")

_ideal_ap: dict[str, float] = {}  # of what decodes alike, by its description


def main(arguments: Sequence[str]) -> None:
    """Measure what is asked for and write it row by row."""
    if not arguments:
        raise SystemExit(__doc__)
    torch.set_num_threads(1)
    chosen = [entry_named(argument) for argument in arguments if "=" not in argument] or list(entries())
    overrides = [argument for argument in arguments if "=" in argument]
    shown = [given for given in overrides if not given.startswith("data.root=")]
    rows = {row["name"]: row for row in read_result(RESULT)["rows"]} if RESULT.is_file() else {}
    for entry in chosen:
        rows[entry.name] = measured(entry, overrides)
        print(rows[entry.name], flush=True)
        kept = [rows[one.name] for one in entries() if one.name in rows]
        write_result(RESULT, "zoo", {"overrides": shown, "side": SIDE, "runs": RUNS}, kept)


def measured(entry: Entry, overrides: Sequence[str], runs: int = RUNS) -> Row:
    """The row of one network; with the reason, and without figures, where it cannot be built."""
    first = next(iter(entry.published), None)
    row: Row = {
        "name": entry.name,
        "method": entry.method,
        "parameters": None,
        "gigamacs": None,
        "ms": {},
        "ideal_AP": None,
        "published_AP": first.AP if first else None,
        "published": f"{first.images}, {first.protocol}" if first else None,
        "source": entry.figures,
        "reason": "",
        **circumstances("cpu"),
    }
    try:
        for part in _parts(entry, overrides, runs):
            row |= part
    except BottomupError as error:
        row["reason"] = str(error)
    return row


def _parts(entry: Entry, overrides: Sequence[str], runs: int) -> Iterator[Row]:
    """What is measured of a network, each part as soon as it is known."""
    run_as = [f"decoder={entry.decoder}", f"input_size={entry.input_size}", f"side={entry.side}"]
    plan = evaluate_plan([*entry.architecture, *run_as, *overrides])
    dataset = plan.data.dataset("val", plan.limit)
    predictor, given = _predictor(plan, entry), plan.model.given
    model = predictor.model
    yield {"parameters": sum(sizes(model, given).values())}
    timed = Predictor(model, predictor.decoder, input_size=SIDE, side="square")
    if model.backbone is not None:
        yield {"gigamacs": gigamacs(model, model.side(SIDE), given)}
    alike = _alike(model.task, dataset.task)
    yield {"ms": _milliseconds(timed, dataset, given, runs, alike)}
    if alike:
        yield {"ideal_AP": _ideal(predictor, dataset, plan)}
    else:
        yield {"reason": f"no ideal maps: the data set has no labels of {entry.skeleton}"}


def _alike(ours: Task, theirs: Task) -> bool:
    """Whether a network's keypoints are those that a data set has labels of."""
    return ours.skeleton is not None and theirs.skeleton is not None and ours.skeleton.keypoints == theirs.skeleton.keypoints


def _predictor(plan: EvaluatePlan, entry: Entry) -> Predictor:
    """The network with drawn weights, run as its authors do."""
    model = plan.model.without_pretraining()
    built, decoder = model.compose(Task(skeleton_named(entry.skeleton)))
    return Predictor(built, decoder, input_size=model.input_size, side=model.side, head_scales=model.head_scales)


def _milliseconds(predictor: Predictor, dataset: Dataset, given: Sequence[str], runs: int, alike: bool) -> dict[str, float]:
    """The median time by block and of all of them together; of heads and necks the sum."""
    network = block_latencies(predictor, _batches(predictor, dataset, given, runs), given)
    blocks = {
        block: sum(times["p50_ms"] for name, times in network.items() if name.partition(".")[0] == block) for block in _BLOCKS
    }
    if alike:
        oracle = decoded_heads(predictor)
        blocks[DECODER] = block_latencies(predictor, _batches(predictor, dataset, oracle, runs), oracle)[DECODER]["p50_ms"]
    return blocks | {TOTAL: sum(blocks.values())}


def _batches(predictor: Predictor, dataset: Dataset, oracle: Sequence[str], runs: int) -> list[Batch]:
    return [collate([sample]) for _, sample in islice(predictor.samples(dataset, oracle), runs)]


def decoded_heads(predictor: Predictor) -> list[str]:
    """The heads whose outputs the decoder reads: with all of them ideal, what is missing is the decoder's."""
    return [name for name, stack in predictor.model.stacks() if predictor.model.decoded & stack.last.provides.keys()]


def _ideal(predictor: Predictor, dataset: Dataset, plan: EvaluatePlan) -> float:
    """AP of ideal maps, measured once for networks whose maps and decoders are the same."""
    model = replace(plan.model, backbone=None, necks={}, neck=None).plain()
    key = repr((model, predictor.model.grids))
    if key not in _ideal_ap:
        judged = evaluate_dataset(predictor, dataset, oracle=decoded_heads(predictor), max_people=plan.max_people)
        _ideal_ap[key] = judged.metrics["AP"]
    return _ideal_ap[key]


if __name__ == "__main__":
    main(sys.argv[1:])
