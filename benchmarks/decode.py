"""How long the decoders take on one core: people, and the noise of an untrained network.

``python benchmarks/decode.py [--method personlab]`` writes ``benchmarks/results/decode.json`` and ``decode_personlab.json``.

A row is a decoder on a scene: the time of ``decoder(outputs, frame)``, maps to instances with their masks drawn, of one image.
``median_ms`` and ``minimum_ms`` are over ``--runs``; other work on the machine lifts the median, hardly the minimum.
``ratio`` is of the minimum to that of a baseline on the same scene, measured right after: see the module of the method's
scenes. Rows of people are ``valid`` if 95 % of the keypoints come back within 2 px of the input; rows of noise have no
recall and are always valid.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch

from benchmarks import scenes_associative_embedding, scenes_personlab
from benchmarks.scenes import COMES_BACK, Case, Scene
from bottomup.benchmark.results import Row, write_result
from bottomup.contracts import Decoder
from bottomup.types import Prediction

RESULTS = {"associative_embedding": "decode", "personlab": "decode_personlab"}
SCENES = {"associative_embedding": scenes_associative_embedding, "personlab": scenes_personlab}


def measure(scene: Scene, decoder: Decoder, runs: int) -> tuple[list[float], list[Prediction]]:
    """Milliseconds of each run after two that warm up, and what was decoded."""
    frame, times = scene.frame, []
    for _ in range(runs + 2):
        start = time.perf_counter()
        predictions = decoder(scene.outputs, frame)
        for prediction in predictions:
            if prediction.instances.masks is not None:
                list(prediction.instances.masks.windows(prediction.size))
        times.append(1e3 * (time.perf_counter() - start))
    return times[2:], predictions


def row(case: Case, runs: int) -> Row:
    """Measure one case, and its baseline beside it."""
    times, predictions = measure(case.scene, case.decoder, runs)
    with case.patched():
        baseline, _ = measure(case.scene, case.baseline, runs)
    back = case.scene.recall(predictions[0])
    return {
        "name": case.scene.name,
        "options": case.options,
        "median_ms": round(statistics.median(times), 2),
        "minimum_ms": round(min(times), 2),
        "baseline_median_ms": round(statistics.median(baseline), 2),
        "baseline_minimum_ms": round(min(baseline), 2),
        "ratio": round(min(times) / min(baseline), 3),
        "instances": len(predictions[0].instances),
        "recall": None if back is None else round(back, 4),
        "valid": back is None or back >= COMES_BACK,
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=list(SCENES), action="append")
    parser.add_argument("--output", default="benchmarks/results", help="folder")
    parser.add_argument("--runs", type=int, default=30)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for method in arguments.method or SCENES:
        rows = []
        for case in SCENES[method].cases():
            rows.append(row(case, arguments.runs))
            print({key: value for key, value in rows[-1].items() if not key.startswith("baseline")}, flush=True)
        config = SCENES[method].CONFIG | {"runs": arguments.runs}
        print(write_result(Path(arguments.output) / f"{RESULTS[method]}.json", "decode", config, rows))


if __name__ == "__main__":
    main()
