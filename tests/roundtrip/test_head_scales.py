"""Heads that see the image in scales of their own: boxes at one size, keypoints at another."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from bottomup.errors import ConfigError
from bottomup.plan.composing import load_config
from bottomup.plan.model import ModelPlan
from bottomup.plan.training import train_plan
from bottomup.predictor import Predictor
from bottomup.samples.letterbox import letterbox
from bottomup.skeletons import COCO
from bottomup.types import Batch, Frame, Task
from bottomup.views import seeing
from tests.scenes import make_batch, make_sample

SMALL = ["method=multiposenet", "backbone.network=test_resnet", "necks.people.channels=8", "heads.prn.hidden=[8]"]


@pytest.fixture(scope="module")
def composed() -> Predictor:
    torch.manual_seed(0)
    return Predictor(*ModelPlan.of(load_config("predict", SMALL)).compose(Task(COCO)), input_size=128)


def predictor(composed: Predictor, **options: object) -> Predictor:
    return Predictor(composed.model, composed.decoder, input_size=128, **options)  # type: ignore[arg-type]


def boxed(size: tuple[int, int]) -> Batch:
    """One image with two people whose boxes lie apart."""
    batch = make_batch([2], size)
    h, w = size
    boxes = torch.tensor([[0.05 * w, 0.1 * h, 0.4 * w, 0.9 * h], [0.55 * w, 0.2 * h, 0.95 * w, 0.8 * h]])
    return replace(batch, boxes=boxes[None])


def test_boxes_that_are_seen_at_a_size_of_their_own_come_back_where_they_are(composed: Predictor) -> None:
    batch = boxed((192, 192))  # as letterboxed at the largest scale in use
    outputs, frame = predictor(composed, head_scales={"retinanet": [1.5]}).seen(batch, ["retinanet", "heatmap"])[0]
    assert frame.size == (128, 128) and outputs["heatmap"].shape[-2:] == frame.grids["heatmap"].shape(frame.size)
    found = outputs["proposals"][0, :2]
    true = batch.boxes[0] / 1.5
    assert (outputs["proposal_scores"][0, :2] > 0.9).all()
    torch.testing.assert_close(found[found[:, 0].argsort()], true, atol=0.01, rtol=0)


def test_own_scales_that_are_those_of_all_change_nothing(composed: Predictor) -> None:
    batch = make_batch([1, 2], (192, 192))
    scales = (1.0, 1.5)
    shared, _ = predictor(composed, scales=scales, flip=True).seen(batch)[0]
    own, _ = predictor(composed, scales=scales, flip=True, head_scales={"retinanet": scales}).seen(batch)[0]
    for key, maps in shared.items():
        torch.testing.assert_close(own[key], maps)


def test_a_view_runs_the_heads_that_want_it_and_those_without_features_run_once(composed: Predictor) -> None:
    ran: Counter[tuple[str, int]] = Counter()

    def count(name: str) -> torch.utils.hooks.RemovableHandle:
        def hook(_: object, inputs: tuple[dict[str, torch.Tensor], ...]) -> None:
            maps = inputs[0].values()
            ran[name, max((level.shape[-1] for level in maps), default=0)] += 1

        return composed.model.stack(name).last.register_forward_pre_hook(hook)

    handles = [count(name) for name in composed.model.heads]
    predictor(composed, head_scales={"retinanet": [2.0, 3.0]}).predict_batch(make_batch([1], (384, 384)))
    for handle in handles:
        handle.remove()
    by_head = {name: sorted(width for other, width in ran.elements() if other == name) for name in composed.model.heads}
    assert by_head["heatmap"] == by_head["segmentation"] == [32]  # stride 4 of 128 px
    assert by_head["retinanet"] == [32, 48]  # stride 8 of 256 and 384 px
    assert all(by_head[name] == [0] for name in ("proposals", "candidates", "prn"))


def test_each_frame_says_its_scale_and_the_first_is_merged_onto(composed: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Frame] = []

    def merge(model: object, views: object, frames: list[Frame], onto: Frame, given: object) -> dict[str, torch.Tensor]:
        seen.extend(frames)
        assert onto is frames[0]
        return {}

    monkeypatch.setattr(seeing, "merge", merge)
    predictor(composed, scales=[1.0, 0.5], head_scales={"retinanet": [2.0]}, flip=True).seen(make_batch([1], (256, 256)))
    assert [(frame.scale, frame.size[0]) for frame in seen] == [(1.0, 128)] * 2 + [(0.5, 128)] * 2 + [(2.0, 256)] * 2


def test_a_head_that_does_not_look_at_images_has_no_scale(composed: Predictor) -> None:
    with pytest.raises(
        ConfigError, match="head_scales: no head of this model with features named 'retina'; did you mean 'retinanet'"
    ):
        predictor(composed, head_scales={"retina": [1.5]})
    with pytest.raises(ConfigError, match="no head of this model with features named 'prn'"):
        predictor(composed, head_scales={"prn": [1.5]})
    for scales in ([], [0.0]):
        with pytest.raises(ConfigError, match=r"head_scales\.retinanet should be (a list of numbers above 0|positive factors)"):
            predictor(composed, head_scales={"retinanet": scales})


def test_a_scale_of_a_head_that_nothing_needs_is_not_seen(composed: Predictor) -> None:
    batch = make_batch([2], (192, 192))
    given = ["proposals", "candidates", "prn", "segmentation"]
    own = predictor(composed, head_scales={"retinanet": [1.5]})
    (there,), (alone,) = own.predict_batch(batch, given), predictor(composed, scales=[1.0, 1.5]).predict_batch(batch, given)
    assert len(there.instances) == len(alone.instances) == 2


def test_a_checkpoint_carries_them_and_the_command_line_changes_them() -> None:
    kept = train_plan([*SMALL, "head_scales.retinanet=[1.667]"]).model.carried()
    assert ModelPlan.of(load_config("evaluate", [])).of_checkpoint(kept, []).head_scales == {"retinanet": [1.667]}
    asked = ["head_scales.retinanet=[2.0]"]
    assert ModelPlan.of(load_config("evaluate", asked)).of_checkpoint(kept, asked).head_scales == {"retinanet": [2.0]}
    with pytest.raises(ConfigError, match=r"head_scales\.retinanet"):
        load_config("evaluate", ["head_scales.retinanet=1.5"])


@pytest.mark.parametrize(
    ("size", "long"), [((20, 30), 64), ((100, 70), 100), ((96, 128), 128), ((3000, 2000), 128)], ids=str
)  # fmt: skip
@pytest.mark.parametrize("largest", [1.0, 1.5])
def test_native_images_keep_their_size_within_bounds(size: tuple[int, int], long: int, largest: float) -> None:
    sample = replace(make_sample(0, people=0), image=np.zeros((3, *size), np.uint8), instances=None)
    boxed = letterbox(sample, round(64 * largest), lambda side: side, (0, 0, 0), "native", enlarged=largest)
    assert max(boxed.shape) == round(long * largest)
    assert boxed.shape[0] / boxed.shape[1] == pytest.approx(size[0] / size[1], rel=0.02)
