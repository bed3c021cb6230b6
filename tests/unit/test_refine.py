"""The second look: crops show what they say, and keypoints move by the rules of Associative Embedding's authors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from bottomup.data.coco import Coco
from bottomup.errors import ConfigError, DataError
from bottomup.geometry import invert, transform_points
from bottomup.image_files import ImageReader
from bottomup.ops.crops import images_in
from bottomup.plan.training import train_plan
from bottomup.predictor import Predictor
from bottomup.refine import Poses, Refined, Refiner, check_same_keypoints, poses_in
from bottomup.samples.skipping import Readable
from bottomup.skeletons import COCO, CROWDPOSE
from bottomup.types import Batch, Instances, Prediction, Task
from tests.coco_folders import write_folder

SIDE = 64
BOXES = torch.tensor([[40.0, 30, 80, 130], [100, 100, 120, 110], [-10, 150, 60, 230], [0, 0, 256, 256]])
Look = Callable[[Tensor], tuple[Tensor, Tensor]]  # crops (N, 3, H, W) -> points (N, K, 2) in their px, scores (N, K)


def tiny() -> Predictor:
    plan = train_plan(["method=single_person", "backbone=hourglass_tiny", f"input_size={SIDE}", "data=none"])
    return Predictor(*plan.model.compose(Task(COCO)), input_size=SIDE, batch_size=3)


class Stated(Predictor):
    """A network that finds what a test says it does, in crops as any network gets them."""

    look: Look

    def predict_batch(self, batch: Batch, oracle: Sequence[str] = ()) -> list[Prediction]:
        assert batch.images is not None and len(batch) <= self.batch_size
        points, scores = self.look(batch.images)
        moved = [
            torch.from_numpy(transform_points(own.double().numpy(), invert(matrix))).float()
            for own, matrix in zip(points, batch.to_input.numpy(), strict=True)
        ]
        found = zip(moved, scores, strict=True)
        return [Prediction(Instances.of_keypoints(own[None], sure[None], sure.mean()[None]), (1, 1)) for own, sure in found]


def stated(look: Look) -> Stated:
    plan = train_plan(["method=single_person", "backbone=hourglass_tiny", f"input_size={SIDE}", "data=none"])
    network = Stated(*plan.model.compose(Task(COCO)), input_size=SIDE, batch_size=3)
    network.look = look
    return network


def ramp(size: int = 256) -> Tensor:
    """An image whose red is x and whose green is y, of each pixel's centre."""
    across = torch.arange(size, dtype=torch.float32) * 255 / (size - 1)
    return torch.stack((across.expand(size, size), across[:, None].expand(size, size), torch.zeros(size, size))).to(torch.uint8)


def places(crops: Tensor, size: int = 256) -> Tensor:
    """The px of a ramp that crops (N, 3, H, W) show: (N, H, W, 2)."""
    return crops[:, :2].permute(0, 2, 3, 1).float() * (size - 1) / 255 + 0.5


@pytest.mark.parametrize("side", [16, 64, 200])
def test_a_crop_shows_the_px_that_its_box_covers(side: int) -> None:
    """At every enlargement: of many pixels that one covers their mean, whose place is the middle."""
    boxes = torch.tensor([[40.0, 30, 140, 130], [100.5, 96.25, 120.5, 116.25], [0, 0, 256, 256]])
    crops = images_in(ramp(), boxes, side, torch.zeros(3, dtype=torch.uint8))
    centres = (torch.arange(side) + 0.5) / side
    for crop, (x1, y1, x2, y2) in zip(places(crops), boxes.tolist(), strict=True):
        inside = slice(side // 8, -side // 8)
        expected_x, expected_y = x1 + centres * (x2 - x1), y1 + centres * (y2 - y1)
        assert (crop[..., 0] - expected_x)[:, inside].abs().max() < 1.0
        assert (crop[..., 1] - expected_y[:, None])[inside].abs().max() < 1.0
        assert abs(float((crop[..., 0] - expected_x)[:, inside].mean())) < 0.5  # of 8 bits, which are cut


def test_what_is_out_of_the_image_is_the_fill() -> None:
    fill = torch.tensor([10, 20, 30], dtype=torch.uint8)
    crops = images_in(torch.full((3, 100, 100), 200, dtype=torch.uint8), torch.tensor([[-50.0, -50, 50, 50]]), 40, fill)
    torch.testing.assert_close(crops[0, :, :18, :], fill.float().view(3, 1, 1).expand(3, 18, 40))
    torch.testing.assert_close(crops[0, :, 22:, 22:], torch.full((3, 18, 18), 200.0))


def test_a_keypoint_s_place_in_a_crop_is_its_place_in_the_image() -> None:
    """Whatever the box, how large and where: a network that reads the ramp's colour says the px that it reads."""
    at = torch.tensor([[20.0, 40.0], [32.5, 32.5], [50.0, 15.0]])

    def look(crops: Tensor) -> tuple[Tensor, Tensor]:
        seen.append(torch.stack([places(crops)[:, int(y), int(x)] for x, y in at.tolist()], dim=1))
        return at.repeat(6, 1)[:17].expand(len(crops), 17, 2), torch.ones(len(crops), 17)

    seen: list[Tensor] = []
    (poses,) = poses_in(stated(look), [ramp()], [BOXES[:2]], 1.3)
    read = torch.cat(seen)
    assert (poses.points[:, :3] - read).abs().max() < 2.5
    assert poses.growth[0] == pytest.approx(SIDE / 130)


def test_boxes_without_extent_hold_nobody_and_several_images_are_each_by_itself() -> None:
    network = tiny()
    images = [ramp(), ramp(128)]
    boxes = [torch.cat((BOXES, torch.zeros(1, 4))), BOXES[:2] / 2]
    together = poses_in(network, images, boxes, 1.3)
    assert together[0].points[-1].isnan().all() and not together[0].scores[-1].any()
    for number in range(2):
        (alone,) = poses_in(network, [images[number]], [boxes[number]], 1.3)
        torch.testing.assert_close(alone.points, together[number].points, equal_nan=True, atol=1e-2, rtol=0)
        torch.testing.assert_close(alone.scores, together[number].scores, atol=1e-4, rtol=0)
    nobody = poses_in(network, images, [BOXES[:0], BOXES[:0]], 1.3)
    assert [len(own.scores) for own in nobody] == [0, 0]


# ---- the rules -------------------------------------------------------------------------------------------------------------

HAD = Instances.of_keypoints(torch.rand(1, 17, 2) * 50 + 60, torch.full((1, 17), 0.5), torch.tensor([0.5]))
GROWTH = SIDE / (1.3 * 100)


def joined(found: Instances, seen: Tensor, scores: Tensor, **options: Any) -> Instances:
    refiner = Refiner(tiny(), **{"rule": "threshold", **options})
    return refiner.joined(found, Poses(seen, scores, torch.full((len(seen),), GROWTH)))


def test_what_scores_above_the_threshold_moves_and_keeps_its_score() -> None:
    seen, scores = HAD.keypoints + 4.0, torch.linspace(0.0, 0.3, 17)[None]
    after = joined(HAD, seen, scores)
    moved = scores > 0.15
    assert torch.equal(after.keypoints[moved], seen[moved]) and torch.equal(after.keypoints[~moved], HAD.keypoints[~moved])
    assert torch.equal(after.keypoint_scores, HAD.keypoint_scores) and torch.equal(after.scores, HAD.scores)
    assert after.boxes[0, 0] == after.keypoints[0, :, 0].min()


def test_a_surer_network_moves_keypoints_and_a_less_sure_one_does_not() -> None:
    seen, scores = HAD.keypoints + 4.0, torch.linspace(0.0, 1.0, 17)[None]
    after = joined(HAD, seen, scores, rule="surer")
    assert torch.equal((after.keypoints == seen).all(-1), scores > 0.5)
    sure = replace(HAD, keypoint_scores=torch.ones(1, 17))
    assert torch.equal(joined(sure, seen, scores, rule="surer").keypoints, HAD.keypoints)
    unsure = replace(HAD, keypoint_scores=torch.full((1, 17), 0.01))
    assert torch.equal((joined(unsure, seen, scores, rule="surer").keypoints == seen).all(-1), scores > 0.15)


def test_what_is_missing_is_found_however_low_it_scores() -> None:
    lacking = torch.zeros(1, 17, dtype=torch.bool)
    lacking[:, 3:6] = True
    poor = replace(
        HAD,
        keypoints=torch.where(lacking[..., None], torch.nan, HAD.keypoints),
        keypoint_scores=torch.where(lacking, 0.0, HAD.keypoint_scores),
        keypoint_presence=torch.where(lacking, 0.0, 0.9),
    )
    after = joined(poor, HAD.keypoints, torch.full((1, 17), 0.02))
    assert torch.equal(after.keypoints, HAD.keypoints)
    assert after.keypoint_scores[lacking].tolist() == pytest.approx([0.02] * 3)
    assert after.keypoint_presence is not None and after.keypoint_presence[lacking].tolist() == pytest.approx([0.02] * 3)
    assert (after.keypoint_scores[~lacking] == 0.5).all()


@pytest.mark.parametrize(("agreeing", "accepted"), [(3, False), (4, True), (17, True)])
def test_a_crop_that_shows_somebody_else_is_rejected(agreeing: int, accepted: bool) -> None:
    """A fifth of seventeen is 3.4."""
    seen = HAD.keypoints + 100.0
    seen[:, :agreeing] = HAD.keypoints[:, :agreeing] + 1.0
    after = joined(HAD, seen, torch.ones(1, 17))
    assert torch.equal(after.keypoints, seen if accepted else HAD.keypoints)


def test_the_distance_is_in_px_of_the_network_s_input() -> None:
    for apart, accepted in ((9.9, True), (10.1, False)):
        seen = HAD.keypoints + torch.tensor([apart / GROWTH, 0.0])
        after = joined(HAD, seen, torch.ones(1, 17))
        assert torch.equal(after.keypoints, seen if accepted else HAD.keypoints)
    seen = HAD.keypoints + 100.0
    assert torch.equal(joined(HAD, seen, torch.ones(1, 17), agreement=0.0).keypoints, seen)


def test_boxes_that_a_method_finds_stay() -> None:
    boxed = replace(HAD, boxes=torch.tensor([[0.0, 0, 200, 200]]), box_scores=torch.ones(1))
    assert torch.equal(joined(boxed, HAD.keypoints + 4, torch.ones(1, 17)).boxes, boxed.boxes)


def test_poses_of_other_keypoints_are_refused() -> None:
    with pytest.raises(ConfigError, match="keypoints, not the"):
        check_same_keypoints(tiny(), CROWDPOSE)
    with pytest.raises(ConfigError, match="threshold should be"):
        Refiner(tiny(), threshold=1.5)


# ---- in the predictor ------------------------------------------------------------------------------------------------------


def test_a_predictor_refines_as_the_refiner_does_by_itself() -> None:
    tiny_network = ["experiment=demo/associative_embedding", "backbone=hourglass_tiny"]
    plan = train_plan([*tiny_network, "decoder.detection_threshold=0.0001", "decoder.fill_threshold=null"])
    model, decoder = plan.model.compose(Task(COCO))
    plain = Predictor(model, decoder, input_size=128, score_threshold=0.0)
    refiner = Refiner(tiny(), rule="threshold", agreement=0.0, threshold=0.0)
    refining = Refined(plain, refiner)
    image = cast(np.ndarray, ramp().permute(1, 2, 0).numpy())  # type: ignore[type-arg]
    first, refined = plain(image), refining(image)
    assert len(first.instances) == len(refined.instances) > 0
    expected = plain.shown(refiner(image, first))
    torch.testing.assert_close(refined.instances.keypoints, expected.instances.keypoints, equal_nan=True, atol=1e-2, rtol=0)
    assert not torch.equal(first.instances.keypoints.nan_to_num(), refined.instances.keypoints.nan_to_num())


def test_a_refiner_is_given_the_image_that_was_predicted_on() -> None:
    """Not one that is read turned: its keypoints would move to other places."""
    image = np.zeros((64, 96, 3), np.uint8)
    prediction = Prediction(Instances.of_keypoints(torch.ones(1, 17, 2), torch.ones(1, 17), torch.ones(1)), (96, 64))
    with pytest.raises(DataError, match="96 x 64 px, this one has 64 x 96"):
        Refiner(tiny())(image, prediction)


def test_an_image_is_read_once_and_refined_as_it_was_predicted_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_folder(tmp_path)
    model, decoder = train_plan(["experiment=demo/associative_embedding", "backbone=hourglass_tiny"]).model.compose(Task(COCO))
    plain = Predictor(model, decoder, input_size=64)
    refiner = Refiner(tiny(), rule="threshold", agreement=0.0, threshold=0.0)
    dataset, read = Coco(root=str(root)), list[str]()
    expected = {
        index: refiner.refined([dataset.sample(index, frozenset()).pixels], [found])[0].instances.keypoints
        for index, found in plain.predict_dataset(dataset)
    }
    oriented = ImageReader.oriented
    monkeypatch.setattr(ImageReader, "oriented", lambda self, path: (read.append(str(path)), oriented(self, path))[1])
    refined = dict(Refined(plain, refiner).predict_dataset(dataset))
    assert len(read) == len(set(read)) == len(dataset) == len(refined)
    for index, keypoints in expected.items():
        torch.testing.assert_close(refined[index].instances.keypoints, keypoints, equal_nan=True)
    read.clear()
    Refined(plain, refiner).look(sorted((root / "val").iterdir())[0])
    assert len(read) == 1


def test_images_that_ideal_maps_did_not_need_are_skipped_where_a_refiner_cannot_read_them(tmp_path: Path) -> None:
    root = write_folder(tmp_path)
    first, *others = sorted((root / "val").iterdir())
    first.write_bytes(b"no image")
    model, decoder = train_plan(["experiment=demo/associative_embedding", "backbone=hourglass_tiny"]).model.compose(Task(COCO))
    plain = Predictor(model, decoder, input_size=64, on_error="skip")
    readable = Readable()
    found = dict(Refined(plain, Refiner(tiny())).predict_dataset(Coco(root=str(root)), ["heatmap", "tags"], readable=readable))
    assert len(found) == len(others) and len(readable.unread) == 1


def test_what_refines_is_one_network() -> None:
    plain = tiny()
    with pytest.raises(ConfigError, match="should be one that finds keypoints"):
        Refiner(cast(Any, Refined(plain, Refiner(plain))))
