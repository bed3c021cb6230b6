// How alike people are, and who is left beside better ones: bottomup/grouping/suppression.py.

import { area, isFound } from "./found.js";

const SMALLEST_AREA = 1e-6;  // px²

/** The object keypoint similarity of two people; only keypoints that both have count. */
export function oks(one, other, sigmas) {
  const scale = Math.max((area(one) + area(other)) / 2, SMALLEST_AREA);
  let total = 0, both = 0;
  one.keypoints.forEach((point, k) => {
    const their = other.keypoints[k];
    if (!isFound(point) || !isFound(their)) return;
    const squared = (point[0] - their[0]) ** 2 + (point[1] - their[1]) ** 2;
    total += Math.exp(-squared / (2 * scale * (2 * sigmas[k]) ** 2));
    both += 1;
  });
  return total / Math.max(both, 1);
}

/** Which people, given best first, to keep: those not more like a better one that is kept than `threshold`. */
export function oksNms(people, sigmas, threshold) {
  const kept = [];
  return people.map((one) => {
    const keep = !kept.some((better) => oks(one, better, sigmas) > threshold);
    if (keep) kept.push(one);
    return keep;
  });
}

/** Of each person, given best first, which keypoints lie within `radius` px of the same one of a better person: PersonLab eq. 4. */
export function claimed(poses, radius) {
  return poses.map((points, index) => points.map(([x, y], k) => poses.slice(0, index).some((better) =>
    (x - better[k][0]) ** 2 + (y - better[k][1]) ** 2 <= radius ** 2)));
}
