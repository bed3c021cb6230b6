// The mask of one person: a crop of a map whose level is above 0 inside, and its pixels on demand: bottomup/grouping/mask_crops.py.

import { clip, half } from "../numbers.js";

export class MaskCrop {
  /** `level` (h, w) begins at the cell `corner`; `scale` and `offset`, x and y, take cells to px. */
  constructor({ level, height, width, corner, scale, offset }) {
    Object.assign(this, { level, height, width, corner, scale, offset });
  }

  /** The mask where a map (h, w) on `grid` is above 0, with a margin of a cell. */
  static ofLevel(level, [height, width], grid) {
    let [top, left, bottom, right] = [height, width, -1, -1];
    level.forEach((value, cell) => {
      if (!(value > 0)) return;
      const y = Math.floor(cell / width), x = cell % width;
      [top, left, bottom, right] = [Math.min(top, y), Math.min(left, x), Math.max(bottom, y), Math.max(right, x)];
    });
    const around = { scale: [grid.stride, grid.stride], offset: [grid.origin, grid.origin] };
    if (bottom < 0) return new MaskCrop({ level: new Float32Array(0), height: 0, width: 0, corner: [0, 0], ...around });
    [top, left] = [Math.max(top - 1, 0), Math.max(left - 1, 0)];
    const rows = Math.min(bottom + 2, height) - top, columns = Math.min(right + 2, width) - left;
    const crop = Float32Array.from({ length: rows * columns }, (_, cell) =>
      half(level[(top + Math.floor(cell / columns)) * width + left + cell % columns]));
    return new MaskCrop({ level: crop, height: rows, width: columns, corner: [left, top], ...around });
  }

  /** The mask in a frame whose x and y are larger by a factor each. */
  grown([x, y]) {
    const scale = [this.scale[0] * x, this.scale[1] * y], offset = [this.offset[0] * x, this.offset[1] * y];
    return new MaskCrop({ ...this, scale, offset });
  }

  /** The pixels inside, as a window {left, top, width, height, inside} of a frame of `size` [height, width]. */
  window(size) {
    const [left, width] = this.#side(0, this.width, size[1]), [top, height] = this.#side(1, this.height, size[0]);
    const inside = new Uint8Array(width * height);
    if (!this.level.length) return { left, top, width, height, inside };
    const columns = this.#places(0, left, width, this.width), lines = this.#places(1, top, height, this.height);
    lines.forEach(([above, below, down], row) => columns.forEach(([before, after, along], column) => {
      const first = this.level[above * this.width + before], second = this.level[below * this.width + before];
      const upper = first + along * (this.level[above * this.width + after] - first);
      const lower = second + along * (this.level[below * this.width + after] - second);
      inside[row * width + column] = upper + down * (lower - upper) > 0;
    }));
    return { left, top, width, height, inside };
  }

  /** The box around the pixels inside, in a frame of `size`; null where there are none. */
  box(size) {
    const { left, top, width, inside } = this.window(size);
    let [x1, y1, x2, y2] = [Infinity, Infinity, -1, -1];
    inside.forEach((there, pixel) => {
      if (!there) return;
      const x = pixel % width, y = Math.floor(pixel / width);
      [x1, y1, x2, y2] = [Math.min(x1, x), Math.min(y1, y), Math.max(x2, x), Math.max(y2, y)];
    });
    return x2 < 0 ? null : [left + x1, top + y1, left + x2 + 1, top + y2 + 1];
  }

  #side(axis, cells, most) {  // half a cell further than the outer cells' centres
    const low = (this.corner[axis] - 0.5) * this.scale[axis] + this.offset[axis];
    const high = (this.corner[axis] + cells - 0.5) * this.scale[axis] + this.offset[axis];
    const start = clip(Math.floor(low), 0, most);
    return [start, clip(Math.ceil(high), 0, most) - start];
  }

  #places(axis, start, count, cells) {  // of each pixel's centre the cells before and after, and its share of the latter
    return Array.from({ length: count }, (_, index) => {
      const place = (start + index + 0.5 - this.offset[axis]) / this.scale[axis] - this.corner[axis];
      const kept = clip(place, 0, cells - 1), low = Math.min(Math.floor(kept), Math.max(cells - 2, 0));
      return [low, Math.min(low + 1, cells - 1), kept - low];
    });
  }
}
