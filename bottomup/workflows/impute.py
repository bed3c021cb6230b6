"""Keypoints for the people that nobody annotated any of: PersonLab §3.3."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from bottomup.dataset import Dataset, GroundTruth, Record
from bottomup.errors import ConfigError
from bottomup.geometry import to_indices
from bottomup.paths import path_of, write_json
from bottomup.plan.imputing import ImputePlan
from bottomup.predictor import Predictor
from bottomup.refine import Poses, check_same_keypoints, poses_in
from bottomup.samples.loader import prepared_samples
from bottomup.samples.subset import Subset
from bottomup.types import Sample
from bottomup.workflows.models import make_network

_VISIBLE = 2  # COCO's word for a keypoint that is seen, as those are that a network finds
_IMAGES = 8  # whose people go through the network together


def impute(plan: ImputePlan) -> dict[str, Any]:
    """Write ``output``: the data set's annotations, with keypoints for those people who have none; returns how many there are.

    Who gets some is marked ``imputed``, as data=coco reads it. Crowds stay as they are, and so does who has no keypoint above the
    threshold. ConfigError where weights or output are missing, or the file is there already.
    """
    output = _output(plan)
    if not plan.weights:
        raise ConfigError("weights= is missing: give a checkpoint of method=single_person")
    network = make_network(plan.weights, plan.viewing.scales, plan.viewing.precision, plan.place.chosen_device())
    dataset = plan.data.dataset("train", plan.limit)
    check_same_keypoints(network, dataset.task.skeleton)
    truth = dataset.ground_truth()
    lacking = _lacking(truth)
    found = _impute_all(network, dataset, lacking, plan)
    annotations = [found.get(record["id"], record) for record in truth["annotations"]]
    info = {"description": f"{dataset.path}, keypoints imputed", "weights": str(plan.weights), "impute": plan.impute.plain()}
    content = {"info": info, "images": truth["images"], "annotations": annotations, "categories": truth["categories"]}
    write_json(output, content)
    people = sum(map(len, lacking.values()))
    keypoints = sum(record["num_keypoints"] for record in found.values())
    print(f"{len(found)} of {people} people without keypoints have {keypoints} now: {output}")
    return {"images": len(dataset), "people": people, "imputed": len(found), "keypoints": keypoints}


def _output(plan: ImputePlan) -> Path:
    """The file to write; ConfigError where that is none, or is there already and not to be replaced."""
    if plan.place.output is None or not str(plan.place.output).endswith(".json"):
        raise ConfigError(f"output= should be the JSON file to write, as imputed_train2017.json, got {plan.place.output}")
    path = path_of(str(plan.place.output))
    if path.exists() and not plan.overwrite:
        raise ConfigError(f"{path} is there already; give another output=, or replace it by overwrite=true")
    return path


def _lacking(truth: GroundTruth) -> dict[int, list[Record]]:
    """The people without keypoints by image id, those of categories that have such, crowds not among them."""
    posed = {category["id"] for category in truth["categories"] if category.get("keypoints")}
    lacking: dict[int, list[Record]] = {image["id"]: [] for image in truth["images"]}
    for record in truth["annotations"]:
        if record["category_id"] in posed and not record["iscrowd"] and not any(record["keypoints"][2::3]):
            lacking[record["image_id"]].append(record)
    return lacking


def _impute_all(network: Predictor, dataset: Dataset, lacking: Mapping[int, list[Record]], plan: ImputePlan) -> dict[int, Record]:
    """The records, by id, of those who have keypoints now, a few images at a time."""
    chosen = Subset(dataset, [index for index, image_id in enumerate(dataset.image_ids) if lacking[image_id]])
    samples = prepared_samples(chosen, _as_it_is, frozenset(), plan.place.workers)
    stream = iter(tqdm(samples, total=len(chosen), unit="image", disable=None, file=sys.stderr))
    found: dict[int, Record] = {}
    while some := list(islice(stream, _IMAGES)):
        images = [torch.from_numpy(sample.pixels) for _, sample in some]
        records = [lacking[chosen.image_ids[index]] for index, _ in some]
        for own, poses in zip(records, _poses(network, images, records, plan.impute.scale), strict=True):
            imputed = (_imputed(*one, plan.impute.threshold) for one in zip(own, poses.points, poses.scores, strict=True))
            found |= {record["id"]: record for record in imputed if record["num_keypoints"]}
    return found


def _poses(network: Predictor, images: Sequence[Tensor], records: Sequence[Sequence[Record]], scale: float) -> list[Poses]:
    """What the network finds in the boxes of each image's records."""
    boxes = [torch.tensor([record["bbox"] for record in own]) for own in records]
    boxes = [torch.cat((own[:, :2], own[:, :2] + own[:, 2:]), dim=1) for own in boxes]
    return poses_in(network, images, boxes, scale)


def _imputed(record: Record, points: Tensor, scores: Tensor, threshold: float) -> Record:
    """A record with the keypoints (K, 2) px that score above ``threshold``, and the mark of such."""
    surely = scores > threshold
    places = torch.where(surely[:, None], to_indices(points), 0.0).double().round(decimals=2).tolist()
    keypoints = [value for (x, y), found in zip(places, surely.tolist(), strict=True) for value in (x, y, _VISIBLE * found)]
    return record | {"keypoints": keypoints, "num_keypoints": int(surely.sum()), "imputed": True}


def _as_it_is(sample: Sample) -> Sample:
    return sample
