// Peaks grouped into people by their tags, Associative Embedding §3.3: bottomup/grouping/tags.py.

import { bestFirst, roundHalfEven, sum } from "../numbers.js";
import { onlyImage } from "../tensors.js";
import { person } from "./found.js";
import { assign } from "./matching.js";
import { oksNms } from "./suppression.js";
import { Pool, candidatesOf, within } from "./tagged.js";

const PER_UNIT = 100;  // cost of a whole unit of tag distance: more than any difference of scores
const NEARER = { nearer: 1e-3, earlier: 0 };  // cost of a unit of the unrounded distance: it settles ties alone

/** The people of an image, best first, in input px. */
export function tagGrouping(arrays, frame, options, skeleton) {
  const image = onlyImage(arrays), peaks = candidatesOf(image, "", frame.content);
  const order = groupingOrder(skeleton);
  const pool = grouped(peaks, order, options);
  if (options.shared_peaks) {
    complete(pool, candidatesOf(image, "shared_", frame.content), order, options, options.detection_threshold);
  }
  const scores = pool.people.map((one) => scoreOf(one.scores, options.instance_score));  // before filling, as in the reference
  if (options.fill_threshold !== null) {
    complete(pool, peaks, order, options, options.fill_threshold, options.detection_threshold);
  }
  const tags = pool.meanTags();
  const people = bestFirst(scores).map((index) => {
    const one = pool.people[index];
    return person(one.points, one.scores, scores[index], { tags: tags[index] });
  });
  if (options.nms_threshold === null) return people;
  const kept = oksNms(people, skeleton.sigmas, options.nms_threshold);
  return people.filter((_, index) => kept[index]);
}

/** Keypoints in the order in which they are grouped: `Skeleton.grouping`. */
function groupingOrder({ keypoints, order }) {
  return (order.length ? order : keypoints).map((name) => keypoints.indexOf(name));
}

/** Match keypoint after keypoint, as each depends on whom those before it have found. */
function grouped(peaks, order, options) {
  const pool = new Pool(options.max_people, peaks.length);
  for (const k of order) {
    const found = within(peaks[k], options.detection_threshold), pairs = matched(found, pool.meanTags(), options);
    const chosen = new Set(pairs.map(([peak]) => peak));
    for (const [peak, index] of pairs) pool.add(k, index, found[peak]);
    found.forEach((peak, index) => { if (!chosen.has(index)) pool.start(k, peak); });
  }
  return pool;
}

/** Give peaks of low <= score < high to people who lack them; no one starts, and the tags as grouped decide. */
function complete(pool, peaks, order, options, low, high = Infinity) {
  const tags = pool.meanTags();
  for (const k of order) {
    const lacking = [...pool.people.keys()].filter((index) => pool.people[index].scores[k] === 0);
    const found = within(peaks[k], low, high);
    for (const [peak, place] of matched(found, lacking.map((index) => tags[index]), options)) pool.add(k, lacking[place], found[peak]);
  }
}

/** Pairs of peaks and people of the best total of tag distance, in whole units, and score. */
function matched(found, tags, options) {
  const apart = found.map(({ tag }) => tags.map((mean) => Math.hypot(...mean.map((value, d) => value - tag[d]))));
  const cost = apart.map((row, peak) => row.map((distance) =>
    roundHalfEven(distance) * PER_UNIT - found[peak].score + distance * NEARER[options.ties]));
  return assign(cost, apart.map((row) => row.map((distance) => distance < options.tag_threshold)));
}

/** The mean keypoint score of a person, over all keypoints or those that were found. */
function scoreOf(scores, over) {
  return sum(scores) / (over === "all" ? scores.length : scores.filter((score) => score > 0).length);
}
