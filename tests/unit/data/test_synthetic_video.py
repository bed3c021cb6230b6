"""Drawn clips: every frame by itself, the same people in each, hidden as they are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from bottomup.data.synthetic_video import SyntheticVideo
from bottomup.samples.loader import collate

MAPS = frozenset({"instances"})


@pytest.fixture(scope="module")
def clips() -> SyntheticVideo:
    return SyntheticVideo(split="val", clips=4, frames=24)


def test_a_frame_is_a_function_of_seed_split_clip_and_number(clips: SyntheticVideo) -> None:
    alone = SyntheticVideo(split="val", clips=4, frames=24).sample(30, MAPS)
    list(map(clips.image_size, range(5)))
    clips.sample(2, MAPS)
    again = clips.sample(30, MAPS)
    np.testing.assert_array_equal(alone.image, again.image)
    np.testing.assert_array_equal(alone.people.keypoints, again.people.keypoints)
    for other in (SyntheticVideo(split="val", frames=24, seed=1), SyntheticVideo(split="test", frames=24)):
        assert not np.array_equal(again.image, other.sample(30, MAPS).image)


def test_people_move_little_by_little_and_keep_their_clothes(clips: SyntheticVideo) -> None:
    for clip in range(clips.clips):
        before: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for index in clips.clip(clip):
            sample, ids = clips.sample(index, MAPS), clips.track_ids(index)
            assert sample.instances is not None and len(ids) == len(sample.people) == len(set(ids.tolist()))
            now = {}
            for n, who in enumerate(ids.tolist()):
                points = np.where(sample.people.visibility[n, :, None] > 0, sample.people.keypoints[n], np.nan)
                colour = sample.pixels[:, sample.instances == n + 1].mean(1) if (sample.instances == n + 1).sum() > 300 else None
                now[who] = (points, colour)
                if who in before:
                    step = np.nanmedian(np.linalg.norm(points - before[who][0], axis=1))
                    assert np.isnan(step) or step < 0.05 * clips.size
                    if colour is not None and before[who][1] is not None:
                        assert np.abs(colour - before[who][1]).max() < 40
            before = now


def test_annotations_say_who_and_when(clips: SyntheticVideo) -> None:
    indices = list(clips.clip(1))[:6]
    truth = clips.ground_truth(indices)
    assert [image["frame_id"] for image in truth["images"]] == list(range(6))
    assert {image["vid_id"] for image in truth["images"]} == {2}
    for index, image in zip(indices, truth["images"], strict=True):
        own = [person for person in truth["annotations"] if person["image_id"] == image["id"]]
        assert [person["track_id"] for person in own] == clips.track_ids(index).tolist()
        assert all(0 < person["visible_share"] <= 1 for person in own)


def test_people_hide_behind_walls_and_come_back() -> None:
    clips = SyntheticVideo(split="val", clips=6, hiding=1.0, people=(2, 2))
    for clip in range(clips.clips):
        truth = clips.ground_truth(clips.clip(clip)[::4])
        shown = [
            {p["track_id"]: p["visible_share"] for p in truth["annotations"] if p["image_id"] == i["id"]} for i in truth["images"]
        ]
        assert all(min(shown[end].get(who, 0.0) for who in (1, 2)) > 0.25 for end in (0, -1))  # nobody leaves
        assert min(frame.get(who, 0.0) for frame in shown for who in (1, 2)) < 0.25


def test_some_turn_round_and_others_pass() -> None:
    """Where they end on the side that they came from, they have turned."""
    for turning, back in ((0.0, False), (1.0, True)):
        clips = SyntheticVideo(split="val", clips=4, turning=turning, hiding=0.0, people=(2, 2))
        for clip in range(clips.clips):
            walks = clips._script(clip).walks
            first, last = (np.argsort([walk.centre(frame)[0] for walk in walks]).tolist() for frame in (0, clips.frames - 1))
            assert (first == last) == back


def test_frames_of_a_clip_stand_together(clips: SyntheticVideo) -> None:
    order = clips.in_clips(4, seed=0)
    assert sorted(order) == list(range(len(clips)))
    groups = np.array(order).reshape(-1, 4) // clips.frames
    assert (groups == groups[:, :1]).all() and len(set(groups[:6, 0])) > 1
    assert clips.in_clips(4, seed=0) == order != clips.in_clips(4, seed=1)
    assert len(clips.in_clips(7, seed=0)) == 4 * 21


def test_identities_go_into_the_batch(clips: SyntheticVideo) -> None:
    samples = [clips.sample(index, MAPS) for index in (0, 24)]
    batch = collate(samples, max_people=5)
    assert batch.tracks is not None
    own = [batch.tracks[row][batch.present[row]].tolist() for row in range(2)]
    assert own[0] and own[1] and not set(own[0]) & set(own[1])  # another clip's people are others
    same = [clips.sample(index, MAPS).people.tracks for index in (0, 1)]
    assert same[0] is not None and same[1] is not None and set(same[0].tolist()) == set(same[1].tolist())
