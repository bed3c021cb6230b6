// People that were walked from seeds, scored and suppressed, and their masks: PersonLab §3.1 and §3.2, and PoseNet's way of it:
// bottomup/grouping/walked.py.

import { gridOf } from "../grid.js";
import { bestFirst, clip, sum } from "../numbers.js";
import { onlyImage, pointsOf, rows } from "../tensors.js";
import { inside, person } from "./found.js";
import { foregroundLevel, leftByBetter, nearerThanOthers } from "./levels.js";
import { MaskCrop } from "./mask_crops.js";
import { claimed, oksNms } from "./suppression.js";

const mean = (values) => sum(values) / values.length;

/** The people of an image, best first, in input px. */
export function seedGrouping(arrays, frame, { suppression, masks }, skeleton) {
  const image = onlyImage(arrays), poses = rows(image.points).map(pointsOf);
  const bounded = (name) => rows(image[name]).map(({ data }) => Array.from(data, (value) => clip(value, 0, 1)));
  const scores = bounded("scores"), presence = bounded("presence");
  const there = [...scores.keys()].filter((index) => scores[index].some((score) => score > 0));
  const better = bestFirst(there.map((index) => mean(scores[index]))).map((place) => there[place]);
  const left = leftBeside(better.map((index) => person(poses[index], scores[index], mean(scores[index]))), suppression, skeleton);
  const kept = left.map(({ place, score }) => ({ index: better[place], score }));
  const crops = image.distance ? masksOf(image, kept.map(({ index }) => index), gridOf(frame.grids, "segmentation"), masks) : [];
  return kept.map(({ index, score }, order) => {
    const points = poses[index].map((point) => inside(point, frame.content));
    return person(points, scores[index], score, { presence: presence[index], mask: crops[order] ?? null });
  });
}

/** Which of people, given best first, better ones do not explain, and the scores that are left to them: `Suppression.left`. */
function leftBeside(people, { nms, radius, oks, instance_threshold: least }, skeleton) {
  let places = [...people.keys()], scores = people.map((one) => one.score);
  if (nms === "hard") {
    const kept = oksNms(people, skeleton.sigmas, oks);
    places = places.filter((place) => kept[place]);
  } else {
    scores = softly(people.map((one) => one.keypoints), people.map((one) => one.keypointScores), radius);
    places = bestFirst(scores);
  }
  return places.filter((place) => scores[place] > 0 && scores[place] >= Math.fround(least)).map((place) => ({ place, score: scores[place] }));
}

/** The mean score over all keypoints, of which those that a better person has claimed count 0: eq. 4. */
function softly(poses, scores, radius) {
  const taken = claimed(poses, radius);
  return scores.map((own, index) => Math.fround(mean(own.map((score, k) => taken[index][k] ? 0 : score))));
}

/** The masks of people by their numbers: `InstanceMasks.levels`. */
function masksOf(image, people, grid, { mode, threshold, distance }) {
  const all = rows(image.distance), distances = people.map((index) => all[index].data);
  const foreground = foregroundLevel(image.foreground.data, threshold);
  let levels = distances.map((own) => distance === null
    ? foreground.slice() : foreground.map((level, cell) => Math.min(level, 1 - own[cell] / Math.fround(distance))));
  if (mode === "exclusive") levels = leftByBetter(levels);
  if (mode === "nearest") {
    const nearer = nearerThanOthers(distances);
    levels = levels.map((own, index) => own.map((level, cell) => Math.min(level, nearer[index][cell])));
  }
  return levels.map((own) => MaskCrop.ofLevel(own.map((level) => clip(level, -1, 1)), image.foreground.dims, grid));
}

/** The people of an image, best first, in input px, as PoseNet finds them. */
export function posenetGrouping(arrays, frame, { nms_radius: radius }) {
  const image = onlyImage(arrays), all = rows(image.scores).map(({ data }) => Array.from(data));
  const there = [...all.keys()].filter((index) => all[index].some((score) => score > 0));
  const places = rows(image.points).map(pointsOf), poses = there.map((index) => places[index]);
  const own = softly(poses, there.map((index) => all[index]), radius);
  return bestFirst(own).map((place) =>
    person(poses[place].map((point) => inside(point, frame.content)), all[there[place]], own[place]));
}
