"""The recipes of docs/extend.md run as they stand, and keep the laws of their contracts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from bottomup.assembly import assemble
from bottomup.contracts import BACKBONES, HEADS, Backbone, Head, Level, Source
from bottomup.dataset import DATASETS, Dataset
from bottomup.engine.objective import compute_losses
from bottomup.evaluation.coco import evaluate_keypoints
from bottomup.evaluation.run import evaluate_dataset
from bottomup.geometry import Grid
from bottomup.model import PoseModel
from bottomup.plan.data import DataPlan
from bottomup.plan.model import ModelPlan
from bottomup.predictor import Predictor
from bottomup.registry import Registry
from bottomup.samples.loader import collate
from bottomup.types import Batch, Frame, Instances, People, Prediction, Task
from bottomup.views import make_view

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "extend.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def recipes() -> Iterator[SimpleNamespace]:
    """Run the page's Python, and build each component with the options that its YAML gives."""
    before = {registry: dict(registry._classes) for registry in (HEADS, BACKBONES, DATASETS)}
    names: dict[str, Any] = {"__name__": "contributing"}
    for block in blocks("python"):
        exec(compile(block, "docs/extend.md", "exec"), names)
    yield SimpleNamespace(**options())
    registry: Registry[Any]
    for registry, classes in before.items():
        registry._classes.clear()
        registry._classes.update(classes)


def options() -> dict[str, Any]:
    """What the page's YAML says, by component."""
    method, backbone, data = (OmegaConf.to_container(OmegaConf.create(text)) for text in blocks("yaml"))
    assert isinstance(method, dict)
    return {"heads": method["heads"], "backbone": backbone, "data": data}


@pytest.fixture
def dataset(recipes: SimpleNamespace) -> Dataset:
    chosen = dict(recipes.data, length=3)
    return DATASETS[chosen.pop("name")](**chosen)


@pytest.fixture
def backbone(recipes: SimpleNamespace) -> Backbone:
    chosen = dict(recipes.backbone)
    return BACKBONES[chosen.pop("name")](**chosen)


@pytest.fixture
def head(recipes: SimpleNamespace, dataset: Dataset) -> Head:
    return build_head(Source({"C2": Level(8, Grid.centred(4))}), dataset.task)


def build_head(source: Source, task: Task) -> Head:
    """The head with the options of its YAML; ``weight`` is the composer's."""
    ((name, chosen),) = options()["heads"].items()
    chosen.pop("weight")
    return HEADS[name](source, task, **chosen)


def batch_of(dataset: Dataset) -> Batch:
    return collate([dataset.sample(index, frozenset({"crowd"})) for index in range(len(dataset))])


# ---- the head ----------------------------------------------------------------------------------------------------------


def test_head_judges_each_image_and_finds_the_ideal_flawless(head: Head, dataset: Dataset) -> None:
    batch = batch_of(dataset)
    targets, ideal = head.encode(batch, {}), head.ideal(batch)
    assert {key: maps.shape[-2:] for key, maps in ideal.items()} == {
        key: head.grids[key].shape(batch.size) for key in head.provides
    }
    for outputs, flawless in ((ideal, True), ({key: maps + 1 for key, maps in ideal.items()}, False)):
        for loss in head.loss(outputs, targets).values():
            assert loss.shape == (len(batch),)
            assert loss.isfinite().all()
            assert bool((loss == 0).all()) is flawless


def test_head_predicts_what_it_provides(head: Head) -> None:
    outputs = head({"C2": torch.zeros(2, 8, 5, 7)}, {})
    assert outputs.keys() == head.provides.keys()
    assert all(maps.shape == (2, 1, 5, 7) and maps.dtype == torch.float32 for maps in outputs.values())


def test_head_sees_the_mirror_image_mirrored(head: Head, dataset: Dataset) -> None:
    batch = batch_of(dataset)
    assert batch.images is not None
    assert dataset.task.skeleton is not None
    mirrored = make_view(batch, batch.size, 1.0, True, torch.zeros(3, dtype=torch.uint8), dataset.task.skeleton.flip_order)
    undone = head.unflip(head.ideal(mirrored), Frame(head.grids, batch.size, mirrored.content))
    for key, maps in head.ideal(batch).items():
        torch.testing.assert_close(undone[key], maps)


def test_head_expects_nothing_where_nobody_is(head: Head, dataset: Dataset) -> None:
    sample = dataset.sample(0, frozenset())
    batch = collate([replace(sample, people=People.empty(dataset.task.keypoints))])
    assert all((maps == 0).all() for maps in head.ideal(batch).values())
    losses = head.loss(head.ideal(batch), head.encode(batch, {}))
    assert all((loss == 0).all() for loss in losses.values())


def test_head_peaks_where_the_boxes_are_centred(head: Head, dataset: Dataset) -> None:
    batch = batch_of(dataset)
    (maps,) = head.ideal(batch).values()
    (grid,) = head.grids.values()
    cells = maps.flatten(1).argmax(1)
    peaks = grid.to_input(torch.stack((cells % maps.shape[-1], cells // maps.shape[-1]), dim=1).float())
    centres = (batch.boxes[:, 0, :2] + batch.boxes[:, 0, 2:]) / 2
    assert (peaks - centres).abs().max() <= grid.stride / 2


# ---- the backbone ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(32, 32), (48, 64)])
def test_backbone_keeps_its_promise_of_channels_and_cells(backbone: Backbone, size: tuple[int, int]) -> None:
    stages = backbone(torch.zeros(2, 3, *size))
    assert len(stages) == len(backbone.stages)
    for features, promised in zip(stages, backbone.stages, strict=True):
        assert features.keys() == promised.keys()
        for name, level in promised.items():
            assert features[name].shape == (2, level.channels, *level.grid.shape(size))


def test_backbone_cells_lie_where_the_grid_says(backbone: Backbone) -> None:
    """With equal weights, the pixels that a cell sees are balanced around its centre."""
    for parameter in backbone.parameters():
        torch.nn.init.constant_(parameter, 1.0)
    images = torch.ones(1, 3, 64, 64, requires_grad=True)
    cell = 7
    for name, level in backbone.stages[-1].items():
        (seen,) = torch.autograd.grad(backbone(images)[-1][name][0, 0, cell, cell], images, retain_graph=True)
        weight = seen.sum((0, 1, 2))  # (W,), of each column
        pixel = Grid.cornered(1).centres(64, weight)
        torch.testing.assert_close((weight * pixel).sum() / weight.sum(), level.grid.centres(cell + 1, weight)[-1])


# ---- the data set ------------------------------------------------------------------------------------------------------


def test_dataset_reads_whole_images_with_their_people(dataset: Dataset) -> None:
    maps = frozenset({"crowd", "unannotated", "unmasked", "instances"})
    for index, image_id in enumerate(dataset.image_ids):
        sample = dataset.sample(index, maps)
        assert (sample.image_id, sample.content, sample.image.shape) == (image_id, None, (3, *sample.file_size))
        assert (sample.to_input == np.eye(2, 3)).all()
        assert sample.ignore.keys() == maps - {"instances"}
        assert sample.instances is not None
        for name, values in vars(dataset.people(index)).items():
            np.testing.assert_array_equal(getattr(sample.people, name), values)
        assert (sample.instances == 1).sum() == sample.people.areas[0]
        assert not dataset.sample(index, frozenset()).ignore


def test_dataset_people_are_found_in_its_ground_truth(dataset: Dataset) -> None:
    """Predicting the annotations is perfect: both sides agree on COCO's half pixel."""
    skeleton = dataset.task.skeleton
    assert skeleton is not None
    predictions = []
    for index, image_id in enumerate(dataset.image_ids):
        keypoints = torch.from_numpy(dataset.people(index).keypoints)
        found = Instances.of_keypoints(keypoints, torch.ones(keypoints.shape[:2]), torch.ones(len(keypoints)))
        predictions.append(Prediction(found, dataset.sample(index, frozenset()).file_size, image_id=image_id))
    assert evaluate_keypoints(predictions, dataset.ground_truth(), skeleton)["AP"] == pytest.approx(1.0)


# ---- together ----------------------------------------------------------------------------------------------------------


def test_recipes_make_a_model_that_learns(backbone: Backbone, dataset: Dataset) -> None:
    torch.manual_seed(0)
    model = assemble(backbone, dataset.task, dict.fromkeys(options()["heads"], build_head))
    batch = batch_of(dataset)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = [step(model, batch, optimiser) for _ in range(40)]
    assert losses[-1] < losses[0] / 4


def step(model: PoseModel, batch: Batch, optimiser: torch.optim.Optimizer) -> float:
    loss = compute_losses(model, model(batch.images, stages="all"), batch).total.mean()
    optimiser.zero_grad()
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    optimiser.step()
    return float(loss.detach())


def test_their_yaml_composes_into_a_model_that_finds_their_data(recipes: SimpleNamespace) -> None:
    config = {
        "backbone": recipes.backbone,
        "heads": recipes.heads | {"heatmap": {"sigma": 4.0}, "tags": {}},
        "decoder": {"name": "associative_embedding", "refine": "log_parabola"},
    }
    dataset = DataPlan.of(recipes.data | {"length": 4} | {"split": "val"}).dataset("val")
    model, decoder = ModelPlan.of(config).compose(dataset.task)
    assert set(model.heads) == {"centre", "heatmap", "tags"}
    found = evaluate_dataset(Predictor(model, decoder, input_size=64), dataset, oracle=("heatmap", "tags"))
    assert found.metrics["AP"] == pytest.approx(1)
