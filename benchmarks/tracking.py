"""Who is who along drawn clips, by each cue: IDF1, MOTA and identity switches, by motmetrics.

``python benchmarks/tracking.py`` writes ``benchmarks/results/tracking.json``, of ideal maps; with ``--weights NAME=FILE`` it
measures those networks, into ``benchmarks/results/tracking_networks.json``. Twenty clips of sixty frames, of
``data=synthetic_video``, split test. Three sources of people:

* Associative Embedding's ideal maps: keypoints that show, noise on heatmaps and tags. Every person has a tag of their own, which
  wanders from frame to frame; strangers' are four apart.
* PersonLab's ideal maps with masks.
* The networks of ``--weights``, frame by frame.

A person counts in a frame where a quarter of the silhouette and three keypoints show; who is found and is somebody that does not
count is neither right nor wrong. Found is who has an OKS of .5 to what shows. All cues of a source see the same people.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import motmetrics
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bottomup.benchmark.results import Row, write_result
from bottomup.data.synthetic_video import SyntheticVideo
from bottomup.geometry import Grid
from bottomup.loading import load
from bottomup.ops.shown import shown
from bottomup.ops.suppression import oks
from bottomup.ops.targets import nearest_keypoints
from bottomup.options import made
from bottomup.plan.training import train_plan
from bottomup.samples.loader import collate
from bottomup.skeletons import COCO
from bottomup.tracking import Cues, Tracker
from bottomup.types import Batch, Outputs, People, Prediction, Sample, Task

SHARE, KEYPOINTS, ALIKE = 0.25, 3, 0.5  # of who counts: what must show; of who is found: the OKS
BOX_TO_SEGMENT = 0.53  # of a person's box, the segment
NOISE = {"heatmap": 0.1, "tags": 0.3, "drift": 0.05}  # standard deviations: of each cell; of a tag from frame to frame
APART = 4.0  # tag distance of strangers
CUES: dict[str, dict[str, float]] = {
    "boxes": {"boxes": 1.0},
    "OKS": {"oks": 1.0},
    "tags": {"tags": 1.0},
    "OKS and tags": {"oks": 1.0, "tags": 1.0},
    "masks": {"masks": 1.0},
    "OKS and masks": {"oks": 1.0, "masks": 1.0},
}
_NONE = {"boxes": 0.0, "oks": 0.0, "masks": 0.0, "tags": 0.0}
_FIGURES = ("idf1", "mota", "num_switches", "num_fragmentations", "num_misses", "num_false_positives")


@dataclass(frozen=True)
class Truth:
    """One frame's people."""

    sample: Sample
    ids: NDArray[np.int64]  # (N,)
    counts: NDArray[np.bool_]  # (N,)

    def showing(self) -> Sample:
        """The sample with the people that count and, of their keypoints, those that show: what a flawless network would see."""
        seen = self.sample.people.visibility == 2
        people = replace(self.sample.people, visibility=np.where(seen, 2, 0).astype(np.uint8))[self.counts]
        instances = self.sample.instances
        assert instances is not None
        numbers = np.zeros(len(self.ids) + 1, np.int16)
        numbers[1:][self.counts] = np.arange(1, self.counts.sum() + 1)
        return replace(self.sample, people=people, instances=numbers[instances])


def read_clip(dataset: SyntheticVideo, clip: int) -> list[Truth]:
    """The people of a clip's frames."""
    frames = []
    for index in dataset.clip(clip):
        truth = dataset.ground_truth([index])["annotations"]
        sample = dataset.sample(index, frozenset({"instances"}))
        shares = np.array([person["visible_share"] for person in truth])
        counts = (shares >= SHARE) & ((sample.people.visibility == 2).sum(1) >= KEYPOINTS)
        frames.append(Truth(sample, np.array([person["track_id"] for person in truth], np.int64), counts))
    return frames


# ---- who is found ----------------------------------------------------------------------------------------------------------


def ideal_tags(frames: Sequence[Truth], clip: int) -> Iterator[Prediction]:
    """People of Associative Embedding's ideal maps with noise."""
    model, decoder = train_plan(["experiment=demo/associative_embedding", "decoder.tag_threshold=1.0"]).model.compose(Task(COCO))
    rng = np.random.default_rng(clip)
    most = max(int(frame.ids.max(initial=0)) for frame in frames)
    tags = rng.permutation(most) * APART
    for truth in frames:
        tags = tags + NOISE["drift"] * rng.normal(size=most)
        batch = collate([truth.showing()])
        outputs = model.ideal(batch, ["heatmap", "tags"])
        frame = model.frame(batch)
        own = torch.from_numpy(tags[truth.ids[truth.counts] - 1]).float() if truth.counts.any() else torch.zeros(1)
        outputs["tags"] = own[_person(batch, frame.grids["tags"])][:, :, None]
        outputs = {key: maps + _noise(rng, maps) * NOISE[key.removesuffix("_logits")] for key, maps in outputs.items()}
        yield shown(decoder(outputs, frame)[0], decoder.recommended, COCO.sigmas)


def _person(batch: Batch, grid: Grid) -> Tensor:
    return nearest_keypoints(batch, grid).person.long()


def _noise(rng: np.random.Generator, maps: Tensor) -> Tensor:
    return torch.from_numpy(rng.normal(size=tuple(maps.shape))).float()


def ideal_masks(frames: Sequence[Truth], clip: int) -> Iterator[Prediction]:
    """People of PersonLab's ideal maps, with masks."""
    model, decoder = train_plan(["experiment=demo/personlab"]).model.compose(Task(COCO))
    for truth in frames:
        batch = collate([truth.showing()])
        outputs: Outputs = model.ideal(batch, list(model.heads))
        yield shown(decoder(outputs, model.frame(batch))[0], decoder.recommended, COCO.sigmas)


def predicted(weights: str) -> Any:
    """People that a network finds."""
    predictor = load(weights)

    def find(frames: Sequence[Truth], clip: int) -> Iterator[Prediction]:
        return predictor.stream(truth.sample.pixels.transpose(1, 2, 0) for truth in frames)

    return find


# ---- who is who ------------------------------------------------------------------------------------------------------------


def follow(frames: Sequence[Truth], predictions: Sequence[Prediction], weights: dict[str, float]) -> Any:
    """motmetrics' account of one clip."""
    account = motmetrics.MOTAccumulator(auto_id=True)
    tracker = made(Tracker, COCO, options={"cues": Cues(**{**_NONE, **weights})})
    for truth, prediction in zip(frames, tracker.follow(predictions), strict=True):
        instances = prediction.instances
        assert instances.track_ids is not None
        instances = instances[instances.track_ids > 0]
        alike = similarity(truth.sample.people, instances)
        left = ~_ignored(alike, truth.counts)
        far = np.where(alike >= ALIKE, 1 - alike, np.nan)[truth.counts][:, left]
        assert instances.track_ids is not None
        account.update(truth.ids[truth.counts].tolist(), instances.track_ids.numpy()[left].tolist(), far)
    return account


def similarity(people: People, instances: Any) -> NDArray[np.float64]:
    """(N, P) the OKS of those found to the keypoints of people that show."""
    points = np.where((people.visibility == 2)[..., None], people.keypoints, np.nan).astype(np.float32)
    areas = (torch.from_numpy(people.areas), instances.areas * BOX_TO_SEGMENT)
    return oks(torch.from_numpy(points), instances.keypoints, *areas, COCO.sigmas).double().numpy()


def _ignored(alike: NDArray[np.float64], counts: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(P,) bool: those found who are somebody that does not count."""
    if not len(alike):
        return np.zeros(alike.shape[1], bool)
    best = alike.argmax(0)
    return np.asarray((alike.max(0) >= ALIKE) & ~counts[best])


def measure(name: str, find: Any, clips: Sequence[list[Truth]], cues: Sequence[str]) -> Iterator[Row]:
    """A row for each set of cues, of the people that one source finds."""
    found = [list(find(frames, number)) for number, frames in enumerate(clips)]
    host = motmetrics.metrics.create()
    for cue in cues:
        accounts = [follow(frames, people, CUES[cue]) for frames, people in zip(clips, found, strict=True)]
        table = host.compute_many(accounts, metrics=list(_FIGURES), generate_overall=True)
        figures = {figure: float(table.loc["OVERALL"][figure]) for figure in _FIGURES}
        row = {"name": f"{name}: {cue}", "source": name, "cues": cue, **{key: round(value, 4) for key, value in figures.items()}}
        print(row, flush=True)
        yield row


def main() -> None:
    """Read the command line, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", action="append", default=[], metavar="NAME=FILE", help="a checkpoint of Associative Embedding")
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--output")
    options = parser.parse_args()
    torch.set_num_threads(1)
    dataset = SyntheticVideo(split="test", clips=options.clips)
    clips = [read_clip(dataset, clip) for clip in range(options.clips)]
    keypoints = ("boxes", "OKS")
    tagged, masked = (*keypoints, "tags", "OKS and tags"), (*keypoints, "masks", "OKS and masks")
    rows: list[Row] = []
    if not options.weights:
        rows += measure("Associative Embedding, ideal maps with noise", ideal_tags, clips, tagged)
        rows += measure("PersonLab, ideal maps", ideal_masks, clips, masked)
    for named in options.weights:
        name, _, file = named.partition("=")
        rows += measure(name, predicted(file), clips, tagged)
    name = "tracking_networks" if options.weights else "tracking"
    config = {"clips": options.clips, "frames": dataset.frames, "size": dataset.size, "noise": NOISE, "apart": APART}
    print(write_result(options.output or f"benchmarks/results/{name}.json", name, config, rows))


if __name__ == "__main__":
    main()
