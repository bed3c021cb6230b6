"""Who is who along a video: through crossings, gaps and turns, in any order, at any scale."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from bottomup import Tracker
from bottomup.errors import ConfigError
from bottomup.geometry import Grid
from bottomup.masks import Masks
from bottomup.skeletons import COCO
from bottomup.tracking import Cues
from bottomup.types import Instances, Prediction
from tests.unit.tracking.walkers import SIZE, Path, clip, found, person

BOXES = Cues(boxes=1.0, oks=0.0, masks=0.0, tags=0.0)
TAGS = (0.0, 4.0)


def passes(frame: int) -> float:
    """From left to right."""
    return 100 + 4.0 * frame


def comes(frame: int) -> float:
    """From right to left; the two meet in frame 30."""
    return 340 - 4.0 * frame


def hidden(path: Path, first: int, last: int) -> Path:
    return lambda frame: None if first <= frame <= last else path(frame)


def turning(path: Path, at: int) -> Path:
    """Walks back from a frame on."""
    return lambda frame: path(frame if frame < at else 2 * at - frame)


def identities(shown: list[tuple[list[int], Prediction]], **options: Any) -> list[set[int]]:
    """Which identities each person had, in any frame."""
    tracker = Tracker(COCO, **options)
    had: dict[int, set[int]] = {}
    for (ids, _), prediction in zip(shown, tracker.follow(one for _, one in shown), strict=True):
        assert prediction.instances.track_ids is not None
        for who, track in zip(ids, prediction.instances.track_ids.tolist(), strict=True):
            had.setdefault(who, set()).add(track)
    return [had[who] for who in sorted(had)]


@pytest.mark.parametrize("cues", [Cues(), BOXES])
def test_everybody_is_one_and_the_same_from_the_first_frame_on(cues: Cues) -> None:
    assert identities(clip([passes, lambda frame: 450 + frame], 20), cues=cues) == [{1}, {2}]


def test_who_passes_behind_another_comes_out_as_who_went_in() -> None:
    assert identities(clip([passes, hidden(comes, 26, 34)], 60)) == [{1}, {2}]


def test_tags_tell_who_turned_round_where_places_alone_would_swap_them() -> None:
    """Both walk back from where they would have met, unseen meanwhile."""
    paths = [hidden(turning(path, 30), 26, 34) for path in (passes, comes)]
    told = Cues(tags=1.0)
    assert identities(clip(paths, 60, TAGS), cues=told) == [{1}, {2}]
    assert identities(clip(paths, 60), cues=told) != [{1}, {2}] != identities(clip(paths, 60, TAGS))


def test_the_order_of_a_frame_s_instances_says_nothing() -> None:
    shown = clip([passes, comes, lambda frame: 500.0], 40, (0.0, 4.0, 8.0))
    rng, mixed = np.random.default_rng(0), []
    for ids, prediction in shown:
        order = torch.from_numpy(rng.permutation(len(ids)))
        mixed.append(([ids[i] for i in order.tolist()], replace(prediction, instances=prediction.instances[order])))
    assert sorted(map(sorted, identities(mixed, cues=Cues(tags=1.0)))) == [[1], [2], [3]]


@pytest.mark.parametrize("scale", [0.25, 8.0])
def test_identities_do_not_change_with_scale(scale: float) -> None:
    shown = clip([passes, hidden(comes, 20, 38)], 60, TAGS)
    grown = np.array([[scale, 0, 10], [0, scale, 20]])
    larger = [(ids, replace(one, instances=one.instances.transform(grown))) for ids, one in shown]
    assert identities(larger) == identities(shown)


@pytest.mark.parametrize(("gap", "same"), [(10, True), (11, False)])
def test_who_comes_back_within_the_gap_is_the_same(gap: int, same: bool) -> None:
    stays: Path = hidden(lambda frame: 300.0, 20, 20 + gap - 1)
    assert identities(clip([stays], 50), max_gap=10) == [{1} if same else {1, 2}]


@pytest.mark.parametrize("confirm", [1, 2, 5])
def test_who_is_seen_too_short_is_nobody_and_others_get_their_identity_when_they_are_confirmed(confirm: int) -> None:
    shown = clip([lambda frame: 100.0, lambda frame: 300.0 if 10 <= frame < 10 + confirm - 1 else None], 20)
    tracker = Tracker(COCO, confirm=confirm)
    online = [tracker.update(prediction).instances.track_ids for _, prediction in shown]
    firsts = [int(ids[0]) for ids in online if ids is not None]
    assert firsts == [-1] * (confirm - 1) + [1] * (21 - confirm)
    assert all(set(ids[1:].tolist()) <= {-1} for ids in online if ids is not None)
    assert identities(shown, confirm=confirm)[0] == {1}


def test_frames_without_anybody_are_gaps() -> None:
    nobody = Prediction(Instances.empty(len(COCO)), SIZE)
    tracker = Tracker(COCO)
    for _ in range(3):
        assert len(tracker.update(nobody).instances) == 0
    shown = clip([passes], 20, TAGS[:1])
    shown[8] = ([], nobody)
    assert identities(shown) == [{1}]
    assert identities([([], nobody), *shown]) == [{1}]


def test_half_of_somebody_is_still_somebody() -> None:
    """Boxes shrink behind a wall; the keypoints that are left are where they were."""
    shown = []
    for frame in range(20):
        points = person(200 + 2.0 * frame)
        if frame > 9:
            points[points[:, 1] > 90] = torch.nan
        shown.append(([0], Prediction(found([points]), SIZE)))
    assert identities(shown) == [{1}]


def test_masks_alone_will_do() -> None:
    """Of objects without keypoints."""
    shown = []
    for frame in range(15):
        levels = -torch.ones(2, 50, 150)
        levels[0, 5:20, 10 + frame : 25 + frame] = 1
        levels[1, 25:45, 100 - 2 * frame : 120 - 2 * frame] = 1
        masks = Masks.of_levels(levels, Grid.centred(4))
        nowhere = torch.zeros(2, 0)
        instances = Instances(
            nowhere[..., None].expand(-1, 0, 2), nowhere, torch.ones(2), masks.boxes(SIZE), torch.zeros(2).long(), masks
        )
        shown.append(([0, 1], Prediction(instances, SIZE)))
    tracker = Tracker(None)
    for _, prediction in shown:
        ids = tracker.update(prediction).instances.track_ids
    assert ids is not None and ids.tolist() == [1, 2]


def test_categories_are_never_one_another() -> None:
    shown = clip([lambda frame: 300.0], 12)
    other = [(ids, replace(one, instances=replace(one.instances, labels=torch.ones(1).long()))) for ids, one in shown]
    assert identities([*shown, *other]) == [{1, 2}]


def test_results_carry_identities() -> None:
    tracker = Tracker(COCO, confirm=1)
    prediction = tracker.update(clip([passes, comes], 1)[0][1])
    assert [record["track_id"] for record in replace(prediction, image_id=1).to_coco()] == [1, 2]
    assert prediction.numpy()["track_ids"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_gaps": 3}, "tracker: no option named 'max_gaps'; did you mean 'max_gap'?"),
        ({"cues": {"tag": 1.0}}, "did you mean 'tags'"),
        ({"confirm": 0}, "tracker: confirm should be a whole number from 1 on"),
        ({"smoothing": {"min_cutoff": 0.0}}, "min_cutoff should be a number above 0"),
    ],
)
def test_options_that_do_not_fit_are_said(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as error:
        Tracker(COCO, **options)
    assert words in str(error.value)
