"""Annotated people over their image."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from bottomup.drawing.marks import SUBPIXEL, fixed_point
from bottomup.drawing.poses import WHITE, draw_pose, person_colour, tint, widest
from bottomup.drawing.sheets import Picture, to_picture
from bottomup.skeletons import Skeleton
from bottomup.types import People


def draw_people(
    image: NDArray[np.uint8], people: People, skeleton: Skeleton | None, instances: NDArray[np.int16] | None = None
) -> Picture:
    """Annotated poses and boxes in the colours of ``draw_instances``; occluded keypoints are hollow.

    ``instances`` is the map of ``Sample.instances``: who is alone in their mask is tinted, what several share is white.
    """
    picture = to_picture(image)
    if instances is not None:
        for index in range(len(people)):
            tint(picture, instances == index + 1, person_colour(index))
        tint(picture, instances < 0, WHITE)
    labelled = people.labelled & np.isfinite(people.keypoints).all(-1)
    width = max(1, round(widest(picture) / 6))
    for index in range(len(people)):
        x1, y1, x2, y2 = fixed_point(people.boxes[index].reshape(2, 2)).ravel().tolist()
        cv2.rectangle(picture, (x1, y1), (x2, y2), person_colour(index), width, cv2.LINE_AA, SUBPIXEL)
    for index in range(len(people)):
        occluded = people.visibility[index] == 1
        draw_pose(picture, people.keypoints[index], labelled[index], occluded, skeleton, person_colour(index))
    return picture
