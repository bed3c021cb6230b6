"""What the decoder's options say of instances that the parallel part has found, and what is refused of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from bottomup.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from bottomup.contracts import Decoder
from bottomup.decoders.personlab import InstanceMasks, Personlab, Suppression, Voting
from bottomup.decoders.posenet import Posenet
from bottomup.errors import ConfigError
from bottomup.geometry import Grid
from bottomup.ops.offsets import cell_centres
from bottomup.ops.suppression import oks
from bottomup.options import check_options, moved
from bottomup.skeletons import COCO
from bottomup.types import Frame, Instances, Task

GRID = Grid.cornered(8)
SIZE = (97, 129)


def frame(*keys: str) -> Frame:
    return Frame(dict.fromkeys(keys, GRID), SIZE, torch.tensor([[0.0, 0.0, SIZE[1], SIZE[0]]]))


def maps(**more: torch.Tensor) -> dict[str, torch.Tensor]:
    """Maps that show nobody."""
    h, w = GRID.shape(SIZE)
    fields = {"short_offsets": torch.zeros(1, 17, 2, h, w), "mid_offsets": torch.zeros(1, 32, 2, h, w)}
    return {"heatmap_logits": torch.full((1, 17, h, w), -10.0)} | fields | more


def test_hard_suppression_drops_who_is_more_alike_than_the_option_says() -> None:
    one = torch.rand(17, 2) * 80 + 5
    points = torch.stack((one, one + 4.0))
    found = Instances.of_keypoints(points, torch.ones(2, 17), torch.ones(2))
    alike = float(oks(points, points, found.areas, found.areas, COCO.sigmas)[0, 1])
    assert 0.1 < alike < 0.9
    scores = torch.tensor([0.9, 0.8]).view(1, 2, 1).expand(1, 2, 17)
    tensors = {"points": points[None], "scores": scores, "presence": scores}
    for threshold, people in ((alike - 0.05, 1), (alike + 0.05, 2), (1.0, 2)):
        (prediction,) = Personlab(Task(COCO), suppression=Suppression(nms="hard", oks=threshold)).people(tensors, frame())
        assert len(prediction.instances) == people


@pytest.mark.parametrize("masks", ["overlapping", "exclusive", "nearest", None])
@pytest.mark.parametrize("long", [True, False], ids=["long offsets", "no long offsets"])
def test_the_segmentation_is_kept_with_masks_or_without(masks: Any, long: bool) -> None:
    h, w = GRID.shape(SIZE)
    outputs = maps(segmentation_logits=torch.randn(1, 1, h, w), **({"long_offsets": torch.zeros(1, 17, 2, h, w)} if long else {}))
    (prediction,) = Personlab(Task(COCO), masks=InstanceMasks(mode=masks))(outputs, frame(*outputs))
    assert prediction.segmentation is not None and prediction.segmentation.shape == SIZE
    torch.testing.assert_close(prediction.segmentation[::8, ::8], outputs["segmentation_logits"][0, 0].sigmoid())
    assert (prediction.instances.masks is None) == (masks is None or not long)


def a_peak_at(x: float, y: float) -> dict[str, torch.Tensor]:
    """Maps in which everybody's keypoints are at one place."""
    h, w = GRID.shape(SIZE)
    outputs = maps()
    away = torch.tensor([x, y])[:, None, None] - cell_centres(GRID, h, w, torch.zeros(1))
    outputs["heatmap_logits"][0] = torch.where(away.square().sum(0) <= 32**2, 10.0, -10.0)
    outputs["short_offsets"][0] = away
    return outputs


@pytest.mark.parametrize("decoder", [Personlab(Task(COCO)), Posenet(Task(COCO))], ids=["personlab", "posenet"])
@pytest.mark.parametrize(("x", "people"), [(60.0, 1), (90.0, 1), (110.0, 0)])
def test_a_peak_in_the_padding_is_nobody(decoder: Decoder, x: float, people: int) -> None:
    outputs = a_peak_at(x, 40.0)
    inside = Frame(dict.fromkeys(outputs, GRID), SIZE, torch.tensor([[0.0, 0.0, 100.0, 97.0]]))
    (prediction,) = decoder(outputs, inside)
    assert len(prediction.instances) == people
    (everywhere,) = decoder(outputs, frame(*outputs))
    assert len(everywhere.instances) == 1


def test_keypoints_that_move_on_end_where_the_short_offsets_there_do() -> None:
    """Mid offsets that lead 5 px astray are put right by ideal short offsets, as far as those reach."""
    outputs = a_peak_at(60.0, 40.0)
    outputs["mid_offsets"] = outputs["short_offsets"][:, :1].expand(-1, 32, -1, -1, -1) + 5.0
    for refine, error in ((0, 5.0), (1, 0.0)):
        (prediction,) = Personlab(Task(COCO), refine=refine)(outputs, frame(*outputs))
        apart = (prediction.instances.keypoints[0] - torch.tensor([60.0, 40.0])).abs().amax()
        assert float(apart) == pytest.approx(error, abs=0.01)


def test_instances_of_several_views_are_suppressed_as_those_of_one_are() -> None:
    points = torch.rand(4, 17, 2) * 80 + 5
    points[2] = points[0]  # explained whole by the first
    found = Instances.of_keypoints(points, torch.tensor([0.9, 0.8, 0.7, 0.6])[:, None].expand(4, 17), torch.rand(4))
    tensors = {"points": points[None], **dict.fromkeys(("scores", "presence"), found.keypoint_scores[None])}
    decoder = Personlab(Task(COCO))
    (expected,) = decoder.people(tensors, frame())
    left = decoder.suppress(found)
    assert len(left) == 3
    torch.testing.assert_close(left.keypoints, expected.instances.keypoints)
    torch.testing.assert_close(left.scores, expected.instances.scores)


def test_without_masks_only_the_segmentation_is_asked_for_beside_the_fields_of_poses() -> None:
    with_masks, without = (
        Personlab(Task(COCO), masks=masks).requires.keys() for masks in (InstanceMasks(), InstanceMasks(mode=None))
    )
    assert with_masks - without == {"long_offsets?"}
    assert any(key.startswith("segmentation") for key in without)


@pytest.mark.parametrize(
    "options",
    [
        {"max_people": 0}, {"voting": {"max_peaks": 0}}, {"voting": {"window": 4}}, {"voting": {"radius": 0.0}},
        {"suppression": {"radius": -1.0}}, {"voting": {"detection_threshold": 1.0}}, {"voting": {"threshold": 1.0}},
        {"voting": {"stride": 0}}, {"voting": {"seed_place": "middle"}}, {"scoring": "oks"}, {"suppression": {"nms": "none"}},
        {"suppression": {"oks": 0.0}}, {"suppression": {"oks": 1.5}}, {"suppression": {"instance_threshold": 1.0}},
        {"smallest": 0.0}, {"masks": {"mode": "disjoint"}}, {"masks": {"threshold": 0.0}}, {"masks": {"distance": 0.0}},
        {"refine": -1}, {"masks": {"distance": None, "mode": "exclusive"}},
    ],
    ids=str,
)  # fmt: skip
def test_options_out_of_range_are_refused_by_name(options: dict[str, Any]) -> None:
    ((name, value),) = options.items()
    path = f"{name}.{next(iter(value))}" if isinstance(value, dict) else name
    with pytest.raises(ConfigError, match=rf"decoder personlab: {re.escape(path)}\b"):
        Personlab(Task(COCO), **options)


@pytest.mark.parametrize(
    ("kind", "options"),
    [(Voting, {"stride": 0}), (Suppression, {"oks": 0.0}), (InstanceMasks, {"distance": None, "mode": "exclusive"})],
    ids=str,
)
def test_a_group_by_itself_refuses_them_too(kind: type, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"decoder personlab: \w+\.{next(iter(options))}\b"):
        kind(**options)


FORMER = {
    "radius": (8.0, "voting.radius"), "vote_threshold": (0.1, "voting.threshold"), "vote_stride": (2, "voting.stride"),
    "detection_threshold": (0.1, "voting.detection_threshold"), "window": (5, "voting.window"),
    "max_peaks": (9, "voting.max_peaks"), "seed_place": ("cell", "voting.seed_place"), "nms": ("hard", "suppression.nms"),
    "nms_radius": (4.0, "suppression.radius"), "nms_oks": (0.4, "suppression.oks"), "masks": ("nearest", "masks.mode"),
    "instance_threshold": (0.2, "suppression.instance_threshold"), "mask_threshold": (0.4, "masks.threshold"),
    "mask_distance": (None, "masks.distance"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMER)
def test_an_option_by_its_former_name_is_refused_with_its_path(name: str) -> None:
    value, path = FORMER[name]
    with pytest.raises(ConfigError, match=rf"decoder.*did you mean (decoder\.)?'?{re.escape(path)}\b"):
        check_options("decoder", Personlab, {name: value})


def test_a_checkpoint_s_options_by_their_former_names_are_read_as_what_they_are_now() -> None:
    """What was saved before options moved into groups decodes as it did."""
    saved = {"max_people": 7} | {name: value for name, (value, _) in FORMER.items()}
    decoder = Personlab(Task(COCO), **moved(Personlab, saved))
    assert decoder.max_people == 7
    for value, path in FORMER.values():
        part, option = path.split(".")
        assert getattr(getattr(decoder, part), option) == value
    as_now = {"voting": {"stride": 2}, "masks": {"mode": None}}
    assert moved(Personlab, as_now) == as_now


def test_a_file_that_was_saved_with_former_names_is_loaded_with_those_of_now(tmp_path: Path) -> None:
    saved = {"name": "personlab", "radius": 8.0, "masks": None}
    file = save_checkpoint(tmp_path / "old.pt", Checkpoint({"decoder": saved, "side": "long"}, Task(COCO), {}, None, None, {}))
    now = {"name": "personlab", "voting": {"radius": 8.0}, "masks": {"mode": None}}
    assert load_checkpoint(file).config == {"decoder": now, "side": "long"}
