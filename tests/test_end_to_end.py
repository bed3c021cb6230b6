"""From a command to a picture: train, resume, evaluate, predict, load by name."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

import bottomup
from bottomup.cli import main
from bottomup.data.synthetic import Synthetic

RUN = [
    *(
        "experiment=demo/associative_embedding",
        "input_size=64",
        "data.size=64",
        "backbone.channels=8",
        "backbone.growth=4",
        "workers=0",
    ),
    *("engine.batch_size=4", "engine.validate_every=3", "engine.log_every=1", "engine.tensorboard=false", "validation.limit=4"),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    assert main(["train", *RUN, "engine.steps=3", f"output={folder}"]) == 0
    return folder


def test_training_writes_what_the_conventions_say(trained: Path) -> None:
    assert {"config.yaml", "metrics.json", "best.pt", "last.pt", "log.jsonl"} <= {path.name for path in trained.iterdir()}
    metrics = json.loads((trained / "metrics.json").read_text())
    assert {"AP", "AP50", "AP75", "APM", "APL", "AR"} <= metrics["last"].keys() and "AP" in metrics["best"]


def test_a_finished_run_goes_on(trained: Path) -> None:
    assert main(["train", *RUN, "engine.steps=5", "resume=true", f"output={trained}"]) == 0
    steps = [json.loads(line)["step"] for line in (trained / "log.jsonl").read_text().splitlines()]
    assert max(steps) == 5


def test_evaluating_and_predicting_from_a_checkpoint(trained: Path, tmp_path: Path) -> None:
    options = [
        "experiment=demo/associative_embedding",
        f"weights={trained}/best.pt",
        "limit=6",
        "data.size=64",
        "workers=0",
        "flip=true",
        "scales=[1.0,0.5]",
    ]
    assert main(["evaluate", *options, "pictures=2", f"output={tmp_path}/evaluate"]) == 0
    metrics = json.loads((tmp_path / "evaluate" / "metrics.json").read_text())
    assert metrics["images"] == 6 and {"AP", "errors", "keypoints"} <= metrics.keys()
    assert len(list((tmp_path / "evaluate" / "pictures").glob("*.png"))) >= 2
    written = yaml.safe_load((tmp_path / "evaluate" / "config.yaml").read_text())
    assert (written["backbone"]["channels"], written["input_size"], written["flip"]) == (8, 64, True)  # as the checkpoint has them

    images = tmp_path / "images"
    images.mkdir()
    for index in range(3):
        picture = Synthetic(split="test", size=96 + 16 * index).sample(index, frozenset()).image.transpose(1, 2, 0)
        cv2.imwrite(str(images / f"{index}.png"), np.ascontiguousarray(picture))
    command = [
        "predict",
        f"weights={trained}/best.pt",
        f"images={images}",
        "maps=true",
        "decoder.detection_threshold=0.01",
        "decoder.fill_threshold=null",
    ]
    assert main([*command, f"output={tmp_path}/predict"]) == 0
    assert {f"{index}{kind}.png" for index in range(3) for kind in ("", "_heatmap", "_tags", "_tag_plot")} <= {
        path.name for path in (tmp_path / "predict" / "pictures").iterdir()
    }


def test_loading_by_name_batched_equals_single(trained: Path) -> None:
    predictor = bottomup.load(
        "associative_embedding",
        weights=trained / "best.pt",
        overrides=["decoder.detection_threshold=0.001", "decoder.fill_threshold=null"],
    )
    predictor.model.double()  # an untrained network's maps are full of near ties
    images = [Synthetic(split="test", size=64 + 32 * (i % 2)).sample(i, frozenset()).image.transpose(1, 2, 0) for i in range(5)]
    together = predictor(images)
    for image, prediction in zip(images, together, strict=True):
        alone = predictor(image)
        torch.testing.assert_close(alone.instances.keypoints, prediction.instances.keypoints, equal_nan=True, atol=1e-3, rtol=1e-4)


def test_a_transfer_lists_what_starts_anew(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *RUN, "engine.steps=1", "heads.tags.dim=2", f"init={trained}/best.pt", f"output={tmp_path}"]) == 0
    assert "heads.tags.heads.0.conv.weight" in capsys.readouterr().err


def test_the_wrong_checkpoint_is_refused(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "evaluate",
        "experiment=demo/associative_embedding",
        f"weights={trained}/best.pt",
        "backbone.channels=16",
        "limit=2",
        f"output={tmp_path}",
    ]
    assert main(command) == 1
    assert "of another model" in capsys.readouterr().err


def test_labels_alone_train_and_judge_the_pose_residual_network(tmp_path: Path) -> None:
    options = [
        "experiment=multiposenet/prn",
        "data=synthetic",
        "data.size=64",
        "data.people=[2,3]",
        "data.images=8",
        "workers=0",
    ]
    small = ["heads.prn.hidden=[4]", "engine.steps=3", "engine.batch_size=4", "engine.validate_every=3", "validation.limit=4"]
    assert main(["train", *options, *small, "data.curriculum=true", f"output={tmp_path}/train"]) == 0
    weights = f"weights={tmp_path}/train/last.pt"
    oracle = ["oracle=[candidates,proposals]", "limit=4", "pictures=1"]
    assert main(["evaluate", *options, weights, *oracle, f"output={tmp_path}/evaluate"]) == 0
    metrics = json.loads((tmp_path / "evaluate" / "metrics.json").read_text())
    assert metrics["AR"] > 0.3  # people apart from each other need no network
    faulty = ["heads.candidates.jitter=0.05", "heads.candidates.misses=0.3"]
    for name in ("first", "again"):
        assert main(["evaluate", *options, weights, *oracle, *faulty, f"output={tmp_path}/{name}"]) == 0
    first, again = (json.loads((tmp_path / name / "predictions.json").read_text()) for name in ("first", "again"))
    assert first == again  # the same faults
    assert main(["evaluate", *options, *oracle, f"output={tmp_path}/none"]) == 1  # but what has weights wants them


def test_parts_trained_apart_become_one_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = [
        "data=synthetic",
        "data.size=64",
        "data.images=4",
        "workers=0",
        "input_size=64",
        "engine.steps=1",
        "engine.batch_size=2",
    ]
    model = ["method=multiposenet", "backbone=mobilenetv2_fpn", "backbone.network=test_resnet"]
    model += ["heads.prn.hidden=[4]", "necks.keypoints.channels=8"]
    model += ["necks.keypoints.reduced=4", "necks.people.channels=8", "heads.proposals.count=5", "augment=none"]
    keypoints, boxes, prn, whole = (str(tmp_path / name) for name in ("keypoints", "boxes", "prn", "whole"))
    first, second = ["trained=[heatmap,segmentation]"], ["trained=[retinanet]", "freeze=[backbone]", f"init={keypoints}/last.pt"]
    for part, stage in ((keypoints, first), (boxes, second)):
        assert main(["train", *model, *small, *stage, "heads.prn.relation=max", "engine.validate_every=0", f"output={part}"]) == 0
    labels = ["experiment=multiposenet/prn", *small, "heads.prn.hidden=[4]", "engine.validate_every=0", f"output={prn}"]
    assert main(["train", *labels]) == 0
    parts = f"init=[{boxes}/last.pt,{prn}/last.pt]"
    assert main(["combine", *model, "input_size=64", parts, f"output={whole}"]) == 0
    evaluate = ["evaluate", "data=synthetic", "data.size=64", "limit=2", "workers=0", "pictures=1", f"weights={whole}/best.pt"]
    assert main([*evaluate, f"output={tmp_path}/evaluate"]) == 0
    metrics = json.loads((tmp_path / "evaluate" / "metrics.json").read_text())
    assert {"AP", "box_AP", "segmentation_IoU"} <= metrics.keys()
    with pytest.warns(UserWarning, match="4 tensors of .* are not used"):  # the network's, which the highest cells do without
        assert main([*evaluate, "heads.prn.relation=max", f"output={tmp_path}/highest"]) == 0
    boxless = [option for option in model if "people" not in option]
    mixed = [*boxless, "~necks.people", "~heads.retinanet", "input_size=64", "given=[proposals]"]
    assert main(["combine", *mixed, f"init=[{keypoints}/last.pt,{prn}/last.pt]", f"output={tmp_path}/mixed"]) == 0
    true_boxes = [*evaluate[:-1], f"weights={tmp_path}/mixed/best.pt", "oracle=[proposals]", f"output={tmp_path}/true_boxes"]
    assert main(true_boxes) == 0  # where somebody else finds the boxes
    beside = [*mixed, *small, "trained=[heatmap,segmentation,prn]", "engine.validate_every=0", f"output={tmp_path}/beside"]
    assert main(["train", *beside]) == 0  # the network learns from images and, beside it, the PRN from true boxes
    half = f"output={tmp_path}/half"
    for refused in ([f"init={prn}/last.pt"], [f"init={boxes}/last.pt"], [parts, "heads.prn.hidden=[8]"]):
        assert main(["combine", *model, *refused, half]) == 1
        assert "in none of" in capsys.readouterr().err
