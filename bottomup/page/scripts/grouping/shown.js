// What of the people found is worth showing: bottomup/grouping/shown.py.

import { boxAround, isFound, usable } from "./found.js";
import { oksNms } from "./suppression.js";

/** The people worth showing, in boxes around what is to be seen of them, in a frame of `size` [height, width]. */
export function shown(people, size, thresholds, sigmas) {
  const left = people.filter((one) => one.score >= Math.fround(thresholds.score))
    .map((one) => ({ ...one, box: boxOf(one, thresholds.keypoint, size) }));
  if (!(thresholds.score > 0)) return left;
  const kept = oksNms(left.map((one) => ({ ...one, keypoints: seen(one, thresholds.keypoint) })), sigmas, thresholds.alike);
  return left.filter((_, index) => kept[index]);
}

/** The usable keypoints; NaN where one is not. */
function seen(one, threshold) {
  const there = usable(one, threshold);
  return one.keypoints.map((point, k) => there[k] ? point : [NaN, NaN]);
}

/** The method's own box, or the one around the mask, else the usable keypoints, else whatever was found. */
function boxOf(one, threshold, size) {
  if (one.boxScore !== null) return one.box;
  const points = seen(one, threshold);
  return (one.mask && one.mask.box(size)) ?? (points.some(isFound) ? boxAround(points) : one.box);
}
