// The people of one image: bottomup/grouping/found.py. A person is
//   {keypoints: [[x, y], …], NaN where not found, keypointScores, score, box, boxScore, presence, tags, mask},
// boxScore, presence, tags and mask null where the method has none.

import { clip } from "../numbers.js";

/** A person whose box is drawn around its keypoints: `Found.of_keypoints`. */
export function person(keypoints, keypointScores, score, others = {}) {
  const box = boxAround(keypoints);
  return { keypoints, keypointScores, score, box, boxScore: null, presence: null, tags: null, mask: null, ...others };
}

export const isFound = ([x, y]) => Number.isFinite(x) && Number.isFinite(y);

/** The box around points that were found; 0 around none. */
export function boxAround(points) {
  const found = points.filter(isFound);
  if (!found.length) return [0, 0, 0, 0];
  const x = found.map((point) => point[0]), y = found.map((point) => point[1]);
  return [Math.min(...x), Math.min(...y), Math.max(...x), Math.max(...y)];
}

/** A point moved into the content [x1, y1, x2, y2] where it lies outside; one that was not found stays NaN. */
export const inside = ([x, y], [x1, y1, x2, y2]) => [clip(x, x1, x2), clip(y, y1, y2)];

/** Which keypoints were found and are more surely there than a threshold: `Found.usable`. */
export function usable(one, threshold) {
  const presence = one.presence ?? one.keypointScores, least = Math.fround(threshold);
  return one.keypoints.map((point, k) => one.keypointScores[k] > 0 && presence[k] > least && isFound(point));
}

/** The area of a person's box, px². */
export const area = ({ box: [x1, y1, x2, y2] }) => Math.max(x2 - x1, 0) * Math.max(y2 - y1, 0);

/** A person whose x and y grow by a factor each: `Found.transform`. */
export function grown(one, [x, y]) {
  const keypoints = one.keypoints.map((point) => [point[0] * x, point[1] * y]);
  const box = [one.box[0] * x, one.box[1] * y, one.box[2] * x, one.box[3] * y];
  return { ...one, keypoints, box, mask: one.mask && one.mask.grown([x, y]) };
}
