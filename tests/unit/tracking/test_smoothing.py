"""The One-Euro filter: what rests comes to rest, what moves is followed, and a person's size does not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from bottomup import Tracker
from bottomup.skeletons import COCO
from bottomup.tracking import Smoothing
from bottomup.types import Prediction
from tests.unit.tracking.walkers import BODY, SIZE, found

STILL = BODY + torch.tensor([300.0, 100.0])


def filtered(frames: list[Tensor], scale: float = 1.0, **options: float) -> Tensor:
    """(F, K, 2) the keypoints of somebody, smoothed."""
    tracker = Tracker(COCO, smoothing=Smoothing(**options))
    shown = [Prediction(found([points * scale]), SIZE) for points in frames]
    return torch.stack([tracker.update(prediction).instances.keypoints[0] for prediction in shown])


def trembling(count: int, step: float = 0.0) -> list[Tensor]:
    rng = np.random.default_rng(0)
    return [STILL + step * n + torch.from_numpy(rng.normal(0, 1.5, STILL.shape)).float() for n in range(count)]


def test_without_it_keypoints_stay_as_they_were_found() -> None:
    prediction = Prediction(found([STILL]), SIZE)
    torch.testing.assert_close(Tracker(COCO).update(prediction).instances.keypoints, prediction.instances.keypoints)


def test_who_stands_still_stays_where_he_is() -> None:
    torch.testing.assert_close(filtered([STILL] * 10)[-1], STILL)


def test_tremble_is_taken_away_and_the_mean_stays() -> None:
    frames = trembling(60)
    smooth = filtered(frames, min_cutoff=0.5, beta=0.1)
    assert smooth[20:].std(0).mean() < 0.5 * torch.stack(frames)[20:].std(0).mean()
    assert (smooth[20:].mean(0) - STILL).abs().max() < 1.5


def test_a_higher_beta_lags_less() -> None:
    frames = [STILL + 6.0 * n for n in range(30)]
    lag = [float((frames[-1] - filtered(frames, beta=beta)[-1]).mean()) for beta in (0.0, 2.0, 50.0)]
    assert lag[0] > lag[1] > lag[2] >= 0 and lag[2] < 1.0


@pytest.mark.parametrize("scale", [0.5, 4.0])
def test_a_person_s_size_does_not_matter(scale: float) -> None:
    frames = trembling(20, step=2.0)
    torch.testing.assert_close(filtered(frames, scale), filtered(frames) * scale, rtol=1e-4, atol=1e-3)


def test_a_keypoint_that_is_found_again_starts_anew() -> None:
    frames = trembling(12)
    frames[6] = frames[6].clone()
    frames[6][0] = torch.nan
    smooth = filtered(frames, min_cutoff=0.5)
    assert smooth[6, 0].isnan().all() and smooth[7:, 0].isfinite().all()
    torch.testing.assert_close(smooth[7, 0], frames[7][0])
    assert not torch.equal(smooth[7, 1], frames[7][1])


def test_tracking_goes_on_with_what_was_found() -> None:
    """The filter's lag is no part of where somebody is expected."""
    shown = [Prediction(found([STILL + 8.0 * n]), SIZE) for n in range(12)]
    plain, smooth = Tracker(COCO), Tracker(COCO, smoothing=Smoothing(min_cutoff=0.05, beta=0.0))
    for prediction in shown:
        ids = [tracker.update(replace(prediction)).instances.track_ids for tracker in (plain, smooth)]
    assert ids[0] is not None and ids[1] is not None and ids[0].tolist() == ids[1].tolist() == [1]
