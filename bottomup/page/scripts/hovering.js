// What a network sees of one kind of keypoint, over its picture: heatmap, tags, offsets.

import { stroke } from "./drawing.js";
import { toInput } from "./grid.js";
import { rows } from "./tensors.js";

const DIM = 0.45;  // of black over the picture
const STRONG = 0.3;  // of the heatmap: from where on its offsets are drawn
const CLEAR = 0.05;  // of the heatmap: below, tags are nobody's

/** The kinds of maps that can be shown of what a network gives. */
export const hoverable = { heatmap: ["heatmap"], tags: ["tags", "heatmap"], offsets: ["short_offsets", "heatmap"] };

/** Lay a kind of map of keypoint `k` over a canvas, `scale` times as large as the picture; heatmaps where there is no such map. */
export function drawMap(canvas, kind, k, seen, people, scale) {
  const context = canvas.getContext("2d");
  const wanted = hoverable[kind].every((name) => seen.maps[name]) ? kind : "heatmap";
  context.fillStyle = `rgb(0 0 0 / ${DIM})`;
  context.fillRect(0, 0, canvas.width, canvas.height);
  const heat = rows(seen.maps.heatmap)[k], px = seen.frame.toInput.map((factor) => scale / factor);
  if (wanted === "offsets") {
    drawCells(context, heat, seen.maps.heatmap.grid, px, (value) => [255, 190, 60, 110 * value]);
    drawOffsets(context, rows(seen.maps.short_offsets)[k], seen.maps.short_offsets.grid, heat, px);
  } else if (wanted === "tags") {
    const tags = rows(rows(seen.maps.tags)[k])[0].data, turn = hueOf(people);
    drawCells(context, heat, seen.maps.heatmap.grid, px, (value, cell) =>
      [...fromHue(turn(tags[cell])), value > CLEAR ? 80 + 175 * Math.min(value, 1) : 0]);
  } else {
    drawCells(context, heat, seen.maps.heatmap.grid, px, (value) => [255, 90 + 150 * value, 40, 255 * Math.min(Math.max(value, 0), 1)]);
  }
  return wanted;
}

/** Of tags, by their first number, a place on the colour circle: people far apart have other colours. */
function hueOf(people) {
  const means = people.filter((one) => one.tags).map((one) => one.tags[0]);
  const low = Math.min(...means) - 1, high = Math.max(...means) + 1;
  return (tag) => Math.min(Math.max((tag - low) / (high - low), 0), 1) * 0.8;
}

function fromHue(turn) {
  return [0, 8, 4].map((shift) => {
    const k = (shift + turn * 12) % 12;
    return 255 * (0.55 - 0.42 * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
  });
}

function drawCells(context, { data, dims: [height, width] }, grid, px, coloured) {
  const layer = new OffscreenCanvas(width, height), own = layer.getContext("2d"), image = own.createImageData(width, height);
  data.forEach((value, cell) => image.data.set(coloured(value, cell), 4 * cell));
  own.putImageData(image, 0, 0);
  const [x, y] = [0, 1].map((axis) => toInput(grid, -0.5) * px[axis]);
  context.imageSmoothingEnabled = true;
  context.drawImage(layer, x, y, width * grid.stride * px[0], height * grid.stride * px[1]);
}

function drawOffsets(context, offsets, grid, heat, px) {
  const [across, down] = rows(offsets), [height, width] = heat.dims;
  for (let cell = 0; cell < height * width; cell += 1) {
    if (heat.data[cell] < STRONG) continue;
    const from = [toInput(grid, cell % width), toInput(grid, Math.floor(cell / width))];
    const to = [from[0] + across.data[cell], from[1] + down.data[cell]];
    const [start, end] = [from, to].map(([x, y]) => [x * px[0], y * px[1]]);
    stroke(context, start, end, 2.5, "rgb(255 255 255 / 85%)");
    context.fillStyle = "rgb(255 255 255 / 85%)";
    context.fillRect(end[0] - 4, end[1] - 4, 8, 8);
  }
}
