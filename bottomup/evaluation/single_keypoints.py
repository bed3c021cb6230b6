"""The AP of each keypoint alone.

A package that is given records would be given everybody once for each keypoint, which takes ten times as long as this.
"""

from __future__ import annotations

import numpy as np

from bottomup.evaluation.columns import Flags
from bottomup.evaluation.matched import THRESHOLDS, Matched

_RECALLS = np.linspace(0.0, 1.0, 101)


def keypoint_precisions(matched: Matched) -> list[float]:
    """The AP of each of the K keypoints as if there were no other, NaN where nobody's is labelled.

    People whose keypoint is not labelled, whose ``num_keypoints`` is 0 and crowds are ignored: who matches one is neither right nor
    wrong. Of each image the best instances that found the keypoint count.
    """
    by_score = np.argsort(-matched.found.scores, kind="stable")
    positives = (matched.people.labelled & ~matched.people.ignored[:, None]).sum(0)
    right, settled = matched.right[:, by_score], matched.settled[:, by_score]
    settled |= np.where(matched.there & matched.found.counted, 0, 0xFFFF).astype(np.uint16)[:, by_score]
    return [
        float(np.mean([_precision(own & 1 << level > 0, other & 1 << level == 0, int(count)) for level in range(len(THRESHOLDS))]))
        for own, other, count in zip(right, settled, positives.tolist(), strict=True)
    ]


def _precision(right: Flags, wrong: Flags, positives: int) -> float:
    """The mean precision over recalls of what was found (P,), best first, of so many people; NaN of none."""
    if not positives:
        return float("nan")
    hits = np.flatnonzero(right)
    hit = np.arange(1, len(hits) + 1)
    precision = hit / (hit + np.cumsum(wrong)[hits] + np.spacing(1))
    best = np.maximum.accumulate(precision[::-1])[::-1]
    reached = np.searchsorted(hit / positives, _RECALLS)
    return float(best[reached[reached < len(hits)]].sum()) / len(_RECALLS)
