"""Poses of one photo, from Python.

``python examples/predict.py outputs/demo/best.pt photo.jpg found.png`` prints the people and draws them.
"""

from __future__ import annotations

import sys

from PIL import Image

import bottomup


def main(weights: str, photo: str, picture: str) -> None:
    """Find the people of a photo, print where they are, and draw them over it."""
    prediction = bottomup.load(weights)(photo)
    people, skeleton = prediction.instances, prediction.skeleton
    assert skeleton is not None  # a model that finds poses has one
    for person, score in enumerate(people.scores.tolist()):
        print(f"person {person}, score {score:.2f}")
        usable = people.usable(0.3)[person].tolist()
        for name, (x, y), is_usable in zip(skeleton.keypoints, people.keypoints[person].tolist(), usable, strict=True):
            if is_usable:
                print(f"  {name}: {x:.1f}, {y:.1f}")
    Image.fromarray(prediction.draw(photo)).save(picture)
    print(picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
