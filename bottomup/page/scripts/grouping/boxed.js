// Candidates given to the people in boxes, whom the Pose Residual Network tells apart, MultiPoseNet §3.4: bottomup/grouping/boxed.py.

import { bestFirst, sum } from "../numbers.js";
import { onlyImage, rows } from "../tensors.js";
import { inside, person } from "./found.js";
import { linearSumAssignment } from "./matching.js";
import { oksNms } from "./suppression.js";

/** The people of an image, best first, in input px. */
export function boxGrouping(arrays, frame, options, skeleton) {
  const image = onlyImage(arrays), boxScores = image.box_scores.data;
  const there = [...boxScores.keys()].filter((index) => boxScores[index] > 0);
  const poses = posesOf(image, there);
  const people = there.map((index, place) => {
    const { points, scores } = poses[place], found = scores.filter((score) => score > 0).length;
    const score = scoreOf(sum(scores), found, scores.length, boxScores[index], options.score);
    if (options.missing === "maximum") placeMissing(poses[place], rows(image.highest)[index]);
    const [x1, y1, x2, y2] = rows(image.boxes)[index].data, [low, high] = [[x1, y1], [x2, y2]].map((corner) => inside(corner, frame.content));
    const own = { box: [...low, ...high], boxScore: boxScores[index], posed: found > 0 };
    return person(points.map((point) => inside(point, frame.content)), scores, score, own);
  });
  const order = bestFirst(people.map((one) => one.score)).map((index) => people[index]);
  const left = order.filter((one) => one.posed || options.unposed === "keep");
  if (options.nms_threshold === null) return left;
  const kept = oksNms(left, skeleton.sigmas, options.nms_threshold);
  return left.filter((_, index) => kept[index]);

  /** Of people by their numbers the points and scores that each is given, keypoint by keypoint. */
  function posesOf({ values, candidates }, numbers) {
    const [, keypoints] = values.dims, worth = rows(values).map(rows), places = rows(candidates).map(rows);
    const given = numbers.map(() => ({
      points: Array.from({ length: keypoints }, () => [NaN, NaN]), scores: new Array(keypoints).fill(0),
    }));
    for (let k = 0; k < keypoints; k += 1) {
      for (const [place, chosen] of matched(numbers.map((index) => Array.from(worth[index][k].data)), options.assignment)) {
        const [x, y, score] = places[k][chosen].data;
        given[place].points[k] = [x, y];
        given[place].scores[k] = score;
      }
    }
    return given;
  }
}

/** Pairs of people (rows) and candidates (columns) of worth: `BoxGrouping.match`. */
function matched(values, assignment) {
  const pairs = assignment === "independent"
    ? values.map((row, index) => [index, row.indexOf(Math.max(...row))])
    : linearSumAssignment(values.map((row) => row.map((value) => -value)));
  return pairs.filter(([row, column]) => values[row][column] > 0);
}

/** Put keypoints without candidate where the activation is highest. */
function placeMissing({ points, scores }, highest) {
  rows(highest).forEach(({ data: [x, y, score] }, k) => {
    if (scores[k] === 0 && score > 0) [points[k], scores[k]] = [[x, y], score];
  });
}

/** What a person of so many found keypoints, of a sum of scores and of a box's score is worth. */
function scoreOf(total, found, keypoints, boxScore, kind) {
  if (kind === "fraction") return Math.fround(found / keypoints);
  return Math.fround(total / (kind === "found_and_box" ? Math.max(found, 1) : keypoints) * boxScore);
}
