"""The benchmark of cues takes the tags, or the sides, away and nothing else."""

from __future__ import annotations

from benchmarks.cues import Tagless, swap
from bottomup.skeletons import COCO
from tests.roundtrip.test_associative_embedding import ORACLE, decode, make_predictor
from tests.scenes import make_batch


def test_without_tags_nobody_can_be_told_apart() -> None:
    """Two peaks of a keypoint cannot be one person's, so that people remain, of whoever's keypoints."""
    predictor, batch = make_predictor(), make_batch([1, 3], (128, 160))
    as_trained = decode(predictor, batch)
    predictor.decoder = Tagless(predictor.decoder)
    alone, three = decode(predictor, batch)
    assert alone.keypoints.equal(as_trained[0].keypoints)
    assert not three.keypoints.equal(as_trained[1].keypoints)


def test_swapping_sides_twice_changes_nothing() -> None:
    predictor, batch = make_predictor(), make_batch([2], (128, 160))
    (found,) = predictor.predict_batch(batch, ORACLE)
    swapped = swap(found, COCO.flip_order)
    nose, left, right = (COCO.index(name) for name in ("nose", "left_wrist", "right_wrist"))
    assert swapped.instances.keypoints[:, left].equal(found.instances.keypoints[:, right])
    assert swapped.instances.keypoints[:, nose].equal(found.instances.keypoints[:, nose])
    assert swap(swapped, COCO.flip_order).instances.keypoints.equal(found.instances.keypoints)
