"""A prediction as people want it: drawn, in one line, and as supervision's objects."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import get_args, get_overloads, get_type_hints

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow

from bottomup import Predictor, load
from bottomup.errors import ConfigError, DataError
from bottomup.geometry import Grid
from bottomup.images import Image
from bottomup.instances import Instances
from bottomup.masks import Masks
from bottomup.prediction import Prediction
from bottomup.skeletons import COCO
from bottomup.visualize import draw_instances
from tests.coco_folders import untrained

H, W = 60, 80


def two_people(masks: bool = False) -> Prediction:
    """Two people of whom every keypoint stands in a row, the last of the second not found."""
    x = torch.linspace(5, 75, 17)
    keypoints = torch.stack([torch.stack((x, torch.full((17,), y)), dim=-1) for y in (20.0, 40.0)])
    keypoints[1, -1] = torch.nan
    scores = torch.full((2, 17), 0.8)
    scores[0, 0], scores[1, -1] = 0.05, 0.0
    found = Instances.of_keypoints(keypoints, scores, torch.tensor([0.91, 0.42]))
    if masks:
        levels = torch.full((2, H // 4, W // 4), -1.0)
        levels[0, 3:7], levels[1, 8:12] = 1.0, 1.0
        found = replace(found, masks=Masks.of_levels(levels, Grid.centred(4)))
    return Prediction(found, (H, W), image_id=7, skeleton=COCO, keypoint_threshold=0.1)


def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (H, W, 3), np.uint8)


# ---- draw ------------------------------------------------------------------------------------------------------------------


def test_people_are_drawn_as_the_commands_draw_them_on_any_form_of_image(tmp_path: Path) -> None:
    prediction, image = two_people(masks=True), picture()
    Pillow.fromarray(image).save(tmp_path / "a.png")
    expected = draw_instances(image.transpose(2, 0, 1), prediction.instances, COCO, keypoint_threshold=0.1)
    before = image.copy()
    for form in (image, Pillow.fromarray(image), tmp_path / "a.png", str(tmp_path / "a.png")):
        drawn = prediction.draw(form)
        assert drawn.shape == (H, W, 3) and drawn.dtype == np.uint8
        np.testing.assert_array_equal(drawn, expected)
    np.testing.assert_array_equal(image, before)
    assert (expected != image).any()


def test_keypoints_that_are_hardly_there_are_not_drawn() -> None:
    prediction, image = two_people(), picture()  # a nose of the two scores .05
    without = Instances(**vars(prediction.instances) | {"keypoint_scores": prediction.instances.keypoint_scores.clone()})
    without.keypoint_scores[0, 0] = 0.0
    np.testing.assert_array_equal(prediction.draw(image), replace(prediction, instances=without).draw(image))
    assert (replace(prediction, keypoint_threshold=0.0).draw(image) != prediction.draw(image)).any()


def test_an_image_of_another_size_is_refused() -> None:
    told = "the predicted one, of 60 x 80 px, got 80 x 60 px (height x width)"
    with pytest.raises(DataError, match=re.escape(told)):
        two_people().draw(picture().transpose(1, 0, 2))


def test_drawing_needs_a_skeleton() -> None:
    with pytest.raises(ConfigError, match="no skeleton to draw"):
        Prediction(two_people().instances, (H, W)).draw(picture())


# ---- one line --------------------------------------------------------------------------------------------------------------


def test_a_line_says_what_was_found() -> None:
    assert repr(two_people()) == "Prediction(2 instances in 60 x 80 px, image_id=7)"
    whole = replace(two_people(masks=True), segmentation=torch.zeros(H, W), image_id=None)
    assert repr(whole) == "Prediction(2 instances in 60 x 80 px, masks, segmentation)"
    assert repr(two_people(masks=True).instances) == "Instances(2 with 17 keypoints, scores 0.91 to 0.42, masks)"
    assert repr(Instances.empty(5)) == "Instances(0 with 5 keypoints)"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained(tmp_path_factory.mktemp("weights"))


def test_a_predictor_in_a_line_says_what_runs_and_how(weights: Path) -> None:
    line = repr(load(weights, input_size=64, scales=[1.0, 0.5], flip=True))
    model = "Hourglass, heads heatmap, tags, AssociativeEmbedding"
    assert line == f"Predictor({model}; long side 64 px, at scales 1 and 0.5 as maps, flipped, on cpu)"


# ---- what the predictor gives ----------------------------------------------------------------------------------------------


def test_one_image_gives_a_prediction_and_several_a_list(weights: Path, tmp_path: Path) -> None:
    predictor, image = load(weights, input_size=64), picture()
    for name in "ab":
        Pillow.fromarray(image).save(tmp_path / f"{name}.png")
    for one in (image, Pillow.fromarray(image), tmp_path / "a.png", str(tmp_path / "a.png")):
        assert isinstance(predictor(one), Prediction)
    for several in ([image, image], [tmp_path / "a.png", tmp_path / "b.png"], tmp_path, str(tmp_path / "*.png")):
        found = predictor(several)
        assert isinstance(found, list) and len(found) == 2
    assert len(predictor.predict(tmp_path)) == 2 and len(predictor.predict(tmp_path / "a.png")) == 1


def test_type_checkers_are_told_so() -> None:
    told = {get_type_hints(call)["images"]: get_type_hints(call)["return"] for call in get_overloads(Predictor.__call__)}
    assert list(told.values()) == [Prediction, list[Prediction]]
    one, several = told
    assert set(get_args(one)) == set(get_args(Image)) and several == Iterable[Image]


@pytest.mark.parametrize("views", [{}, {"scales": [1.0, 0.5], "views": "instances"}], ids=str)
def test_whatever_the_predictor_gives_can_be_drawn(weights: Path, views: dict[str, object]) -> None:
    predictor, image = load(weights, input_size=64, keypoint_threshold=0.25, **views), picture()
    for prediction in (predictor(image), predictor.look(image).prediction):
        assert prediction.skeleton == COCO and prediction.keypoint_threshold == 0.25
        assert prediction.draw(image).shape == image.shape


# ---- supervision -----------------------------------------------------------------------------------------------------------


def test_supervision_gets_the_same_people() -> None:
    supervision = pytest.importorskip("supervision")
    prediction = two_people(masks=True)
    key_points, detections = prediction.to_supervision()
    assert isinstance(key_points, supervision.KeyPoints) and isinstance(detections, supervision.Detections)
    people = prediction.numpy()
    found = people["keypoint_scores"] > 0
    np.testing.assert_array_equal(key_points.xy[found], people["keypoints"][found])
    assert not key_points.xy[~found].any() and not np.isnan(key_points.xy).any()
    np.testing.assert_array_equal(key_points.visible, prediction.instances.usable(0.1).numpy())
    np.testing.assert_array_equal(detections.xyxy, people["boxes"])
    np.testing.assert_array_equal(detections.mask, people["masks"])
    np.testing.assert_array_equal(detections.confidence, key_points.detection_confidence)
    assert len(detections[detections.confidence > 0.5]) == 1


def test_nobody_is_nobody_in_supervision_too() -> None:
    pytest.importorskip("supervision")
    key_points, detections = Prediction(Instances.empty(17), (H, W)).to_supervision()
    assert len(key_points.xy) == len(detections) == 0


@pytest.mark.skipif(importlib.util.find_spec("supervision") is not None, reason="supervision is installed")
def test_the_remedy_is_told_where_supervision_is_missing() -> None:
    with pytest.raises(ConfigError, match=r"pip install 'bottomup\[supervision\]'"):
        two_people().to_supervision()
