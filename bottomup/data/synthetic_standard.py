"""``data=synthetic_standard``: the frozen synthetic benchmark; figures measured on it compare across versions."""

from __future__ import annotations

from bottomup.data.synthetic import Split, Synthetic
from bottomup.dataset import DATASETS

# Frozen: a change of any number, or of what is drawn, makes another benchmark (tests/unit/data/test_synthetic.py).
_SEED = 20171
_SIZE = 256  # px
_PEOPLE = (1, 8)
_HEIGHT = (0.15, 0.9)  # of the image
_OVERLAP = 0.35  # of people are placed upon another; at least 40 % then overlap one by a box IoU above 0.2
_INSIDE = 0.42  # heights: most people are whole
_OCCLUDERS = 0.1  # of people have an object before them
_TURNED = 0.4  # of people are seen from behind or from a side
_LYING = 0.05
_IMAGES = {"train": 20000, "val": 300, "test": 300}


@DATASETS.register
class SyntheticStandard(Synthetic):
    """1 to 8 overlapping people at 256 px; ``split`` train, val and test have 20,000, 300 and 300 images by disjoint seeds."""

    def __init__(self, *, split: Split = "train") -> None:
        super().__init__(
            split=split,
            images=_IMAGES.get(split),
            size=_SIZE,
            people=_PEOPLE,
            height=_HEIGHT,
            overlap=_OVERLAP,
            inside=_INSIDE,
            occluders=_OCCLUDERS,
            turned=_TURNED,
            lying=_LYING,
            seed=_SEED,
        )
