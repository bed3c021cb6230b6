"""Draw mice from above as a labelling tool would export them: ``python make_mice.py FOLDER [IMAGES]``.

Writes FOLDER/train.json, FOLDER/val.json and FOLDER/images, COCO's format with a category of seven keypoints and with polygons. Put
your own export in its place: nothing else in this folder knows that these are drawings.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 128  # px
NAMES = ("nose", "left_ear", "right_ear", "neck", "left_hip", "right_hip", "tail_base")
EDGES = ((4, 1), (4, 2), (4, 3), (4, 7), (7, 5), (7, 6))  # numbers from 1, as COCO has them
# Where each keypoint is in a mouse of length 1 that looks along x; y points to its right.
PLACES = np.array([(0.5, 0), (0.3, -0.14), (0.3, 0.14), (0.2, 0), (-0.3, -0.17), (-0.3, 0.17), (-0.48, 0)])
_TURN = np.linspace(0, 2 * np.pi, 24, endpoint=False)
_SKIN = (150, 140, 220)  # BGR, of tails and feet
OUTLINE = np.stack((0.5 * np.cos(_TURN), 0.2 * np.sin(_TURN)), axis=1)

Record = dict[str, Any]


def main(folder: str, images: str = "400") -> None:
    """Write both splits; a tenth of the images is to judge on."""
    count = int(images)
    for split, numbers in (("train", range(count)), ("val", range(count, count + max(2, count // 10)))):
        write(Path(folder), split, numbers)
        print(f"{Path(folder) / split}.json: {len(numbers)} images")


def write(folder: Path, split: str, numbers: Sequence[int]) -> None:
    """Draw the images of a split, and write its annotations."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    listed: list[Record] = []
    mice: list[Record] = []
    for number in numbers:
        rng = np.random.default_rng(number)
        noise = rng.uniform(60, 200, (8, 8, 3)).astype(np.uint8)
        canvas = np.asarray(cv2.resize(noise, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)
        listed.append({"id": number, "file_name": f"{number:05d}.png", "width": SIDE, "height": SIDE})
        for centre in rng.permutation([(36, 36), (92, 36), (36, 92), (92, 92)])[: rng.integers(1, 4)]:
            mice.append({"id": len(mice) + 1, "image_id": number, "category_id": 1} | draw(canvas, centre, rng))
        cv2.imwrite(str(folder / "images" / f"{number:05d}.png"), canvas)
    category = {"id": 1, "name": "mouse", "keypoints": list(NAMES), "skeleton": [list(edge) for edge in EDGES]}
    (folder / f"{split}.json").write_text(json.dumps({"images": listed, "annotations": mice, "categories": [category]}))


def draw(canvas: NDArray[np.uint8], centre: Sequence[int], rng: np.random.Generator) -> Record:
    """Paint one mouse, and return what its annotation says of it."""
    length, angle = rng.uniform(40, 62), rng.uniform(0, 2 * np.pi)
    turn = length * np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])

    def placed(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return points @ turn.T + centre

    fur = rng.uniform(20, 235, 3)
    outline, keypoints, tail = placed(OUTLINE), placed(PLACES), placed(np.array([(-0.48, 0), (-0.8, 0.1)]))
    root, tip = tail.round().astype(int).tolist()
    cv2.line(canvas, root, tip, _SKIN, 3)
    cv2.fillPoly(canvas, [outline.round().astype(int)], fur.tolist())
    for ear in keypoints[1:3]:
        cv2.circle(canvas, ear.round().astype(int).tolist(), round(length / 12), (fur * 0.6).tolist(), -1)
    for foot in keypoints[4:6]:  # hips without a mark of their own are hardly learned
        cv2.circle(canvas, foot.round().astype(int).tolist(), round(length / 14), _SKIN, -1)
    cv2.circle(canvas, keypoints[0].round().astype(int).tolist(), 2, (90, 90, 250), -1)
    (x1, y1), (x2, y2) = outline.min(0), outline.max(0)
    return {
        "keypoints": [
            value for x, y in keypoints.round(1).tolist() for value in (x, y, 2)
        ],  # indices of pixels, as tools write them
        "num_keypoints": len(NAMES),
        "segmentation": [outline.round(1).flatten().tolist()],
        "bbox": [round(float(value), 1) for value in (x1, y1, x2 - x1, y2 - y1)],
        "area": round(float(cv2.contourArea(outline.astype(np.float32))), 1),
        "iscrowd": 0,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
