"""Objects -> foreground and tags -> a histogram -> objects."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.instance_tags import measure
from bottomup.cli import main
from bottomup.data.synthetic import Synthetic
from bottomup.errors import ConfigError
from bottomup.evaluation.run import evaluate_dataset
from bottomup.plan.model import ModelPlan
from bottomup.predictor import Predictor
from bottomup.samples.loader import collate
from bottomup.types import Batch, Instances, Task
from tests.unit.heads.test_instance_tags import make_objects

ORACLE = ("segmentation", "instance_tags")
TASK = Task(None, ("ball", "crate"))
BACKBONE = {"name": "hourglass", "stacks": 1, "levels": 2, "channels": 8, "growth": 4}
BOXES = [(8, 8, 40, 48), (40, 8, 80, 40), (16, 56, 60, 88), (70, 60, 120, 100)]  # the first two touch


def make_predictor(
    task: Task = TASK, head: dict[str, Any] | None = None, decoder: dict[str, Any] | None = None, **options: Any
) -> Predictor:
    torch.manual_seed(0)
    config = {
        "backbone": BACKBONE,
        "heads": {"segmentation": {"criterion": "mse"}, "instance_tags": head or {}},
        "decoder": {"name": "tag_segmentation", **(decoder or {})},
    }
    return Predictor(*ModelPlan.of(config).compose(task), **options)


def scene(labels: list[int]) -> Batch:
    return make_objects(BOXES[: len(labels)], labels, (128, 128))


def assert_found(instances: Instances, batch: Batch, row: int = 0, least: float = 0.9) -> None:
    """Every object is found once, its pixels nearly all, and nothing else."""
    assert batch.instances is not None and instances.masks is not None
    labels = batch.labels[row][batch.present[row]]
    true = torch.stack([batch.instances[row] == n + 1 for n in range(len(labels))]) if len(labels) else torch.zeros(0, *batch.size)
    drawn = instances.masks.draw(batch.size)
    assert sorted(instances.labels.tolist()) == sorted(labels.tolist())
    for n, label in enumerate(labels.tolist()):
        both = (drawn & true[n]).sum((1, 2)).float() / (drawn | true[n]).sum((1, 2)).clamp(min=1)
        assert both[instances.labels == label].max() > least


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 1, 0], [1], []], ids=str)
@pytest.mark.parametrize("dim", [1, 4])
def test_ideal_maps_bring_every_object_back(labels: list[int], dim: int) -> None:
    batch = scene(labels)
    (found,) = make_predictor(head={"dim": dim}).predict_batch(batch, ORACLE)
    assert_found(found.instances, batch)
    assert found.instances.keypoints.shape == (len(labels), 0, 2) and found.segmentation is None
    assert found.instances.scores.tolist() == sorted(found.instances.scores.tolist(), reverse=True)


@pytest.mark.parametrize(
    "views",
    [{"flip": True}, {"scales": [1.0, 0.5, 1.5], "views": "instances"}, {"flip": True, "scales": [1.0, 2.0], "views": "instances"}],
    ids=str,
)
def test_several_views_find_each_object_once(views: dict[str, Any]) -> None:
    """Scales are decoded apart and joined by suppression, as published; mirror images are merged as maps."""
    largest = max(views.get("scales", [1.0]))
    boxes = [tuple(round(value * largest) for value in box) for box in BOXES]
    batch = make_objects(boxes, [0, 0, 1, 1], (round(128 * largest),) * 2)  # type: ignore[arg-type]
    (found,) = make_predictor(input_size=128, **views).predict_batch(batch, ORACLE)
    at_first = scene([0, 0, 1, 1])
    factor = np.array([[1 / largest, 0.0, 0.0], [0.0, 1 / largest, 0.0]])
    assert_found(found.instances.transform(factor), at_first, least=0.85)


def test_a_batch_decodes_as_its_images_do() -> None:
    data = Synthetic(size=128, things=("ball", "crate"), images=3)
    samples = [data.sample(index, frozenset({"instances"})) for index in range(3)]
    predictor = make_predictor(data.task)
    together = predictor.predict_batch(collate(samples), ORACLE)
    for sample, prediction in zip(samples, together, strict=True):
        (alone,) = predictor.predict_batch(collate([sample]), ORACLE)
        torch.testing.assert_close(alone.instances.scores, prediction.instances.scores)
        assert torch.equal(alone.instances.masks.draw((128, 128)), prediction.instances.masks.draw((128, 128)))  # type: ignore[union-attr]


def test_of_one_category_the_foreground_is_kept() -> None:
    (found,) = make_predictor(Task(None, ("ball",))).predict_batch(scene([0, 0]), ORACLE)
    assert found.segmentation is not None and found.segmentation.shape == (128, 128)


def test_touching_objects_of_one_category_meet_where_their_tags_do() -> None:
    (found,) = make_predictor().predict_batch(scene([0, 0]), ORACLE)
    drawn = found.instances.masks.draw((128, 128))  # type: ignore[union-attr]
    assert not (drawn[0] & drawn[1]).any()
    assert (drawn.any(0)[9:39, 9:79]).all()  # nothing is lost between them


def test_few_cells_are_nobody_and_go_to_the_next() -> None:
    batch = make_objects([(8, 8, 56, 56), (60, 8, 64, 12)], [0, 0], (128, 128))
    outputs_of = make_predictor(decoder={"smallest": 1}), make_predictor(decoder={"smallest": 4})
    assert [len(predictor.predict_batch(batch, ORACLE)[0].instances) for predictor in outputs_of] == [2, 1]


@pytest.mark.parametrize("dim", [1, 8])
def test_noise_costs_no_more_than_the_limits(dim: int) -> None:
    predictor = make_predictor(decoder={"max_instances": 5, "smallest": 1, "separation": 0.1})
    frame = predictor.model.frame(scene([0]))
    torch.manual_seed(1)
    outputs = {"segmentation": torch.rand(1, 2, 32, 32), "instance_tags": 30 * torch.randn(1, 2, dim, 32, 32)}
    (found,) = predictor.decoder(outputs, frame)
    assert 0 < len(found.instances) <= 10
    for label, other in itertools.combinations(range(len(found.instances)), 2):
        assert label != other
    outputs["instance_tags"][:] = torch.nan
    outputs["segmentation"][0, 0] = torch.nan
    (broken,) = predictor.decoder(outputs, frame)
    assert broken.instances.labels.tolist() == [1]


def test_the_parallel_part_is_static_and_the_padding_nobodys() -> None:
    predictor = make_predictor()
    batch = scene([0, 0])
    frame = predictor.model.frame(batch)
    half = replace(frame, content=torch.tensor([[0.0, 0.0, 128.0, 48.0]]))
    outputs = predictor.model.ideal(batch, ORACLE)
    outputs["segmentation"] = torch.ones_like(outputs["segmentation"])
    tensors = predictor.decoder.tensors(outputs, half)
    empty = predictor.decoder.tensors({key: torch.zeros_like(maps) for key, maps in outputs.items()}, half)
    assert {key: tensor.shape for key, tensor in tensors.items()} == {key: tensor.shape for key, tensor in empty.items()}
    assert (tensors["nearest"][:, :, 12:] == -1).all() and (tensors["nearest"][:, :, :12] >= 0).all()


def test_the_same_object_of_a_worse_score_is_suppressed_within_its_category_alone() -> None:
    (found,) = make_predictor().predict_batch(scene([0, 1]), ORACLE)
    first = found.instances[found.instances.labels == 0]
    double = torch.tensor([0, 0])
    twice = first[double]
    suppress = make_predictor().decoder.suppress
    assert len(suppress(twice)) == 1
    assert len(suppress(replace(twice, labels=torch.tensor([0, 1])))) == 2


def test_categories_of_another_data_set_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"finds ball, crate, the data set has person, ball"):
        evaluate_dataset(make_predictor(), Synthetic(things=("ball",), images=1), oracle=ORACLE)


def test_ideal_maps_keep_nearly_all_of_what_the_cells_hold() -> None:
    drawn = ["method=associative_embedding_segmentation", "backbone=hourglass_tiny", "data=synthetic", "data.size=256", "workers=0"]
    ideal, centres, shares = measure([*drawn, "data.things=[ball,crate]", "limit=4"], sides=(256,))
    assert ideal["mask_AP50"] >= 0.97 * max(centres["mask_AP50"], shares["mask_AP50"]) > 0.9
    assert ideal["mask_AP"] >= 0.97 * shares["mask_AP"]


def test_from_a_command_to_masks_of_several_categories(tmp_path: Any) -> None:
    small = ["experiment=overfit/associative_embedding_segmentation", "data.size=64", "input_size=64", "backbone.channels=8"]
    small += ["backbone.growth=4", "limit=2", "data.images=2", "device=cpu", "data.min_people=0"]
    quiet = ["engine.steps=2", "engine.batch_size=2", "engine.tensorboard=false", "engine.validate_every=2", "engine.average=null"]
    assert main(["train", *small, *quiet, "engine.precision=fp32", f"output={tmp_path}/run"]) == 0
    weights = f"weights={tmp_path}/run/last.pt"
    assert (
        main(["evaluate", *small, weights, "pictures=1", "oracle=[segmentation,instance_tags]", f"output={tmp_path}/judged"]) == 0
    )
    assert len(list((tmp_path / "judged" / "pictures").glob("*_iou*.png"))) == 2
    images = tmp_path / "images"
    images.mkdir()
    picture = Synthetic(size=64, things=("ball", "crate")).sample(0, frozenset()).pixels.transpose(1, 2, 0)
    import cv2

    cv2.imwrite(str(images / "1.png"), np.ascontiguousarray(picture))
    predict = ["predict", weights, f"images={images}", "maps=true", "score_threshold=0", f"output={tmp_path}/predict", "device=cpu"]
    assert main([*predict, "scales=[1,0.5,1.5]", "views=instances"]) == 0
    drawn = {path.name for path in (tmp_path / "predict" / "pictures").iterdir()}
    assert {"1.png", "1_segmentation.png", "1_instance_tags.png", "1_tag_histogram.png"} <= drawn
    assert main(["show_targets", *small, f"output={tmp_path}/targets"]) == 0
