// Peaks with their tags, and the people that they are put together into: bottomup/grouping/tagged.py.

import { rows, pointsOf } from "../tensors.js";
import { inside } from "./found.js";

/** Of each keypoint its peaks {score, point, tag}, best first, kept inside the content: `tags._candidates`. */
export function candidatesOf(image, prefix, content) {
  const [scores, points, tags] = ["scores", "points", "tags"].map((name) => rows(image[prefix + name]));
  return scores.map((own, k) => {
    const places = pointsOf(points[k]), their = rows(tags[k]);
    return Array.from(own.data, (score, m) => ({
      score: Math.min(score, 1), point: inside(places[m], content), tag: Array.from(their[m].data),
    }));
  });
}

/** Those peaks of a keypoint with low <= score < high: `Candidates.within`. */
export function within(peaks, low, high = Infinity) {
  return peaks.filter(({ score }) => score >= Math.fround(low) && score < Math.fround(high) && score > 0);
}

/** The people found so far: room for so many, each of so many keypoints. Sums are float32, as numpy's. */
export class Pool {
  constructor(room, keypoints) {
    this.room = room;
    this.keypoints = keypoints;
    this.people = [];
  }

  /** Each one's mean tag so far. */
  meanTags() {
    return this.people.map(({ tagSum, tags }) => tagSum.map((value) => Math.fround(value / tags)));
  }

  /** Give a person keypoint `k`. */
  add(k, index, { score, point, tag }) {
    const one = this.people[index];
    one.scores[k] = score;
    one.points[k] = point;
    one.tagSum = one.tagSum.map((value, d) => Math.fround(value + tag[d]));
    one.tags += 1;
  }

  /** Start a person from a peak, as long as there is room. */
  start(k, peak) {
    if (this.people.length === this.room) return;
    const points = Array.from({ length: this.keypoints }, () => [NaN, NaN]);
    this.people.push({ scores: new Array(this.keypoints).fill(0), points, tagSum: peak.tag.map(() => 0), tags: 0 });
    this.add(k, this.people.length - 1, peak);
  }
}
