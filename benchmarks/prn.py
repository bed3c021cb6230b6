"""How long people take to be told apart, by how many they are: MultiPoseNet's Fig. 6 without the rest of the network.

``python benchmarks/prn.py`` writes ``benchmarks/results/prn.json``: milliseconds on one core, in float32, of the crops, the
perceptron, its softmax and the assignment (decoder ``prn``) of one image. ``one_by_one_ms`` is as many calls with one person
each, the baseline, measured right after; ``ratio`` that of all steps together to it. The last row has few people in a hundred
padded proposals. With ``--weights best.pt --root FOLDER --split SPLIT`` it is instead AP on COCO's labels, of true boxes and true
keypoints, from weights of float32 and of eight bits (``heads.prn.weights=int8``), in ``benchmarks/results/prn_int8.json``.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import torch

from bottomup.benchmark.results import Row, write_result
from bottomup.benchmark.speed import milliseconds
from bottomup.contracts import Source
from bottomup.decoders.prn import Prn as Decoder
from bottomup.heads.prn import Prn
from bottomup.ops.crops import CROP
from bottomup.skeletons import COCO
from bottomup.types import Frame, Outputs, Task

RESULT = Path(__file__).parent / "results" / "prn.json"
ACCURACY = RESULT.with_name("prn_int8.json")
PEOPLE = (1, 3, 10, 20, 30, 100)
SIDE = 800.0  # px of the image
TASK = Task(COCO)


def scene(people: int, proposals: int) -> Outputs:
    """People in boxes anywhere, each with all keypoints inside, and proposals padded to a number."""
    random = torch.Generator().manual_seed(people)
    corner = torch.rand(people, 2, generator=random) * (SIDE - 200)
    boxes = torch.cat((corner, corner + 80 + 120 * torch.rand(people, 2, generator=random)), dim=1)
    inside = torch.rand(17, people, 2, generator=random)
    points = boxes[:, :2] + inside * (boxes[:, 2:] - boxes[:, :2])
    padded = torch.zeros(proposals, 4)
    padded[:people] = boxes
    return {
        "candidates": torch.cat((points, torch.ones(17, people, 1)), dim=-1)[None],
        "proposals": padded[None],
        "proposal_scores": (torch.arange(proposals) < people).float()[None],
    }


def median(call: Callable[[], object], runs: int) -> float:
    """Milliseconds, the median of some runs after one that warms up."""
    return statistics.median(milliseconds(call, runs, warm_up=1))


@torch.inference_mode()
def row(head: Prn, people: int, proposals: int, runs: int) -> Row:
    """The steps of one number of people, and the same people one by one."""
    outputs = scene(people, proposals)
    frame = Frame({}, (int(SIDE), int(SIDE)), torch.tensor([[0.0, 0.0, SIDE, SIDE]]))
    decoder = Decoder(TASK)
    crops = head.crops(outputs)
    flat = crops.flatten(2)
    layers = head.get_submodule("relate.layers")
    corrected, logits = layers(flat), head.relate(crops)
    found = outputs | {"assignment_logits": logits}
    steps = {
        "crops_ms": median(lambda: head.crops(outputs), runs),
        "perceptron_ms": median(lambda: layers(flat), runs),
        "softmax_ms": median(lambda: (corrected + flat).log_softmax(-1), runs),
        "assignment_ms": median(lambda: decoder(found, frame), runs),
    }
    one = scene(1, 1)
    together = median(lambda: decoder(outputs | head({}, outputs), frame), runs)
    alone = people * median(lambda: decoder(one | head({}, one), frame), runs)
    name = f"{people} {'person' if people == 1 else 'people'}" + (f" of {proposals}" if proposals > people else "")
    measured = {key: round(value, 2) for key, value in steps.items()}
    return {
        "name": name,
        **measured,
        "all_ms": round(together, 2),
        "one_by_one_ms": round(alone, 2),
        "ratio": round(together / alone, 4),
    }


def accuracy(weights: str, root: str, split: str) -> list[Row]:
    """AP of a checkpoint of ``experiment=multiposenet/prn`` from weights of either kind."""
    from benchmarks.assignment import measure

    common = ["experiment=multiposenet/prn", "heads.candidates={}", "heads.proposals.who=all", "data.min_people=1", "batch_size=1"]
    given = [*common, f"weights={weights}", f"data.root={root}", f"data.val_split='{split}'"]
    return [{"name": kind, **measure([*given, f"heads.prn.weights={kind}"])} for kind in ("fp32", "int8")]


def main() -> None:
    """Measure every number of people and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    for name in ("--weights", "--root", "--split"):
        parser.add_argument(name)
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.weights:
        write_result(ACCURACY, "prn_int8", {"split": arguments.split}, accuracy(arguments.weights, arguments.root, arguments.split))
        return
    head = Prn(Source(None, {}), TASK).eval()
    rows = [row(head, people, people, arguments.runs) for people in PEOPLE] + [row(head, 20, 100, arguments.runs)]
    for measured in rows:
        print(measured)
    write_result(arguments.output, "prn", {"crop": list(CROP), "runs": arguments.runs}, rows)


if __name__ == "__main__":
    main()
