"""Poses of one photo, from Python.

``python examples/predict.py associative_embedding outputs/demo/best.pt photo.jpg found.png`` prints the people and draws them.
"""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image

import bottomup
from bottomup.visualize import draw_instances, save_png


def main(method: str, weights: str, photo: str, picture: str) -> None:
    """Find the people of a photo, print where they are, and draw them over it."""
    predictor = bottomup.load(method, weights=weights)
    people = predictor(photo).instances
    skeleton = predictor.model.task.skeleton
    assert skeleton is not None  # a model that finds poses has one
    for person, score in enumerate(people.scores.tolist()):
        print(f"person {person}, score {score:.2f}")
        usable = people.usable(0.3)[person].tolist()
        for name, (x, y), is_usable in zip(skeleton.keypoints, people.keypoints[person].tolist(), usable, strict=True):
            if is_usable:
                print(f"  {name}: {x:.1f}, {y:.1f}")
    image = np.asarray(Image.open(photo).convert("RGB")).transpose(2, 0, 1)
    print(save_png(picture, draw_instances(image, people, skeleton)))


if __name__ == "__main__":
    main(*sys.argv[1:])
