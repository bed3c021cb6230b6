"""What a trained network's tags and its left and right are worth: AP as it is, without the tags, with the sides swapped.

``python benchmarks/cues.py --weights outputs/standard/best.pt experiment=synthetic_standard/associative_embedding``

Rows are "as trained", "tags zero" (every peak of a keypoint then competes for the same person) and "sides swapped" (left
keypoints called right); ``loss`` is the AP that a row loses against the first, in the same run. What loses little is not used.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from bottomup.benchmark.results import Row, write_result
from bottomup.contracts import Decoder
from bottomup.dataset import Dataset
from bottomup.evaluation.coco import evaluate_keypoints
from bottomup.evaluation.run import evaluate_dataset
from bottomup.plan.judging import evaluate_plan
from bottomup.predictor import Predictor
from bottomup.types import Frame, Outputs, Prediction
from bottomup.workflows.models import make_predictor, with_checkpoint


class Tagless(Decoder):
    """A decoder that gets tags of zero."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder, self.requires = decoder, decoder.requires

    def tensors(self, outputs: Outputs, frame: Frame) -> dict[str, Tensor]:
        """As the decoder's, of the same maps with tags of zero."""
        return self.decoder.tensors({**outputs, "tags": torch.zeros_like(outputs["tags"])}, frame)

    def people(self, tensors: dict[str, Tensor], frame: Frame) -> list[Prediction]:
        """As the decoder's."""
        return self.decoder.people(tensors, frame)


def measure(predictor: Predictor, dataset: Dataset, workers: int) -> Iterator[Row]:
    """The three rows."""
    skeleton = dataset.task.skeleton
    assert skeleton is not None  # evaluate_dataset refuses a data set without
    trained = evaluate_dataset(predictor, dataset, workers=workers, progress=True)
    truth = trained.ground_truth
    swapped = evaluate_keypoints([swap(found, skeleton.flip_order) for found in trained.predictions], truth, skeleton)
    predictor.decoder = Tagless(predictor.decoder)
    tagless = evaluate_dataset(predictor, dataset, workers=workers, progress=True).metrics
    for name, metrics in (("as trained", trained.metrics), ("tags zero", tagless), ("sides swapped", swapped)):
        yield {"name": name, "AP": metrics["AP"], "AR": metrics["AR"], "loss": trained.metrics["AP"] - metrics["AP"]}


def swap(found: Prediction, flip: tuple[int, ...]) -> Prediction:
    """The prediction with every keypoint called by its mirrored name."""
    instances = found.instances
    order = list(flip)
    turned = replace(instances, keypoints=instances.keypoints[:, order], keypoint_scores=instances.keypoint_scores[:, order])
    return replace(found, instances=turned)


def main() -> None:
    """Read the command line, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, help="a checkpoint of a training run")
    parser.add_argument("--output", default="benchmarks/results/cues.json")
    parser.add_argument("overrides", nargs="*", help="as bottomup evaluate takes them")
    options = parser.parse_args()
    overrides = [*options.overrides, f"weights={options.weights}"]
    plan = evaluate_plan(overrides)
    dataset = plan.data.dataset("val", plan.limit)
    model, checkpoint = with_checkpoint(plan.model, plan.weights, overrides)
    predictor = make_predictor(model, plan.viewing, plan.place.chosen_device(), checkpoint, dataset.task, plan.weights)
    rows = list(measure(predictor, dataset, plan.place.workers))
    for row in rows:
        print(f"{row['name']:14} AP {row['AP']:.3f}  AR {row['AR']:.3f}  loses {row['loss']:.3f}")
    shown = {"overrides": list(options.overrides), "images": len(dataset)}
    print(write_result(options.output, "cues", shown, rows, device=str(predictor.device)))


if __name__ == "__main__":
    main()
