// People over their picture: bottomup/drawing/poses.py.

import { usable } from "./grouping/found.js";
import { clip } from "./numbers.js";

const PERSON_TO_LINE = 70;  // a person is about this many line widths long
const TINT = 0.4;  // of the colour over a mask
const SHORTEST = 900, LONGEST = 1280;  // px of a canvas' longer side, in which lines are fine also where the picture is small

/** A colour for the index-th person; neighbours differ by the golden angle. */
export const colour = (index, lightness = 58) => `hsl(${(47 + index * 137.508) % 360} 85% ${lightness}%)`;

/** Give a canvas the shape of a picture, and draw that; returns by how much it is larger. */
export function drawPicture(canvas, { bitmap, width, height }) {
  const longer = Math.max(width, height), scale = clip(longer, SHORTEST, LONGEST) / longer;
  [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return scale;
}

/** Draw people: masks, edges, the person's left lighter and right darker, and scores. */
export function drawPeople(canvas, people, skeleton, threshold, scale) {
  const context = canvas.getContext("2d");
  people.forEach((one, index) => one.mask && tint(context, one.mask.grown([scale, scale]), colour(index)));
  for (let index = people.length - 1; index >= 0; index -= 1) drawPose(context, people[index], index, skeleton, threshold, scale);
}

function tint(context, mask, fill) {
  const { left, top, width, height, inside } = mask.window([context.canvas.height, context.canvas.width]);
  if (!width || !height) return;
  const layer = new OffscreenCanvas(width, height), own = layer.getContext("2d");
  const pixels = own.createImageData(width, height);
  inside.forEach((there, index) => { pixels.data[4 * index + 3] = there ? 255 : 0; });
  own.putImageData(pixels, 0, 0);
  own.globalCompositeOperation = "source-in";
  own.fillStyle = fill;
  own.fillRect(0, 0, width, height);
  context.globalAlpha = TINT;
  context.drawImage(layer, left, top);
  context.globalAlpha = 1;
}

function drawPose(context, one, index, { keypoints: names, edges, flip_pairs: pairs }, threshold, scale) {
  const there = usable(one, threshold), points = one.keypoints.map(([x, y]) => [x * scale, y * scale]);
  const [left, right] = [0, 1].map((side) => new Set((pairs ?? []).map((pair) => pair[side])));
  const shade = (k) => colour(index, left.has(names[k]) ? 74 : right.has(names[k]) ? 42 : 58);
  const found = points.filter((_, k) => there[k]);
  if (!found.length) return;
  const sides = [0, 1].map((axis) => Math.max(...found.map((p) => p[axis])) - Math.min(...found.map((p) => p[axis])));
  const line = clip(Math.max(...sides) / PERSON_TO_LINE, 2, 10);
  for (const [width, style] of [[line + 1.5, () => "rgb(0 0 0 / 60%)"], [line, shade]]) {
    for (const [from, to] of edges.map((edge) => edge.map((name) => names.indexOf(name)))) {
      if (there[from] && there[to]) stroke(context, points[from], points[to], width, style(to));
    }
  }
  points.forEach((point, k) => there[k] && dot(context, point, line * 1.3, shade(k)));
  label(context, one.score.toFixed(2), found, sides, colour(index, 80));
}

export function stroke(context, [x1, y1], [x2, y2], width, style) {
  Object.assign(context, { lineWidth: width, strokeStyle: style, lineCap: "round" });
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

function dot(context, [x, y], radius, style) {
  Object.assign(context, { fillStyle: style, strokeStyle: "rgb(0 0 0 / 60%)", lineWidth: 1 });
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
  context.stroke();
}

function label(context, text, points, sides, style) {
  const size = Math.max(20, context.canvas.width / 30);
  context.font = `600 ${size}px system-ui, sans-serif`;
  const width = context.measureText(text).width;
  if (Math.max(...sides) < 1.5 * width) return;  // longer than the person
  const top = points.reduce((best, point) => point[1] < best[1] ? point : best);
  const x = Math.min(Math.max(top[0] - width / 2, 2), context.canvas.width - width - 2), y = Math.max(top[1] - 0.7 * size, size);
  Object.assign(context, { strokeStyle: "rgb(0 0 0 / 70%)", lineWidth: 3, fillStyle: style, lineJoin: "round" });
  context.strokeText(text, x, y);
  context.fillText(text, x, y);
}
