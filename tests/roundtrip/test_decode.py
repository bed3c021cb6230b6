"""The scenes that decoders are timed on come back from them, and from what they are compared with."""

from __future__ import annotations

import pytest

from benchmarks.decode import SCENES, row
from benchmarks.scenes import Case

# Of each method the first scene, with one person, and the first of noise.
CASES = [
    next(case for case in SCENES[method].cases() if (case.scene.keypoints is None) == noise)
    for method in SCENES
    for noise in (0, 1)
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{type(case.decoder).__name__}, {case.scene.name}")
def test_a_scene_is_decoded_and_so_is_its_baseline(case: Case) -> None:
    timed = row(case, runs=1)
    assert timed["valid"] and timed["ratio"] > 0
    assert case.scene.keypoints is None or timed["instances"] == len(case.scene.keypoints)
