// How a picture is fitted into the network's input: bottomup/framing.py and bottomup/runtime/pictures.py.
// Pictures are {data, width, height}, data RGB, a byte each; canvases would be resized by the browser in a way of its own.

import { smallestSide } from "./grid.js";
import { clip, roundHalfEven } from "./numbers.js";

const LONGEST = 2;  // times the side's length, of a picture that is left as it is
const SLIM = 5 / 3;  // the long side, in short ones that are asked for
const ONE = 2048;  // OpenCV's shares of a pixel are whole numbers of it
const TINY = 2 ** -6;  // less than the quarters that a mean of four pixels differs by

/** The [height, width] to which a picture is resized so that its side has `length` px: `framing.inner_size`. */
export function innerSize([height, width], length, side) {
  const long = Math.max(height, width), short = Math.min(height, width);
  const wanted = side === "native" ? Math.min(Math.max(long, length), LONGEST * length) : length;
  const scale = side === "short" ? Math.min(wanted / short, SLIM * wanted / long) : wanted / long;
  return [height, width].map((own) => Math.max(1, roundHalfEven(own * scale)));
}

/** Of each pixel of a side which old pixels it covers, and by how much. */
function covered(from, to) {
  const scale = from / to;
  return Array.from({ length: to }, (_, index) => {
    const start = index * scale, end = Math.min(start + scale, from), first = Math.floor(start);
    const weights = [];
    for (let pixel = first; pixel < end; pixel += 1) {
      weights.push((Math.min(end, pixel + 1) - Math.max(start, pixel)) / (end - start));
    }
    return { first, weights };
  });
}

/** A picture of another size [height, width], by area where it becomes smaller: `framing.shrink_image`. */
export function resized(picture, size) {
  const [height, width] = size;
  if (height === picture.height && width === picture.width) return picture;
  return height * width < picture.height * picture.width ? shrunk(picture, size) : enlarged(picture, size);
}

/** The mean of what each new pixel covers: cv2.INTER_AREA. */
function shrunk(picture, [height, width]) {
  const columns = covered(picture.width, width), lines = covered(picture.height, height);
  const wide = new Float32Array(picture.height * width * 3);
  for (let y = 0, out = 0; y < picture.height; y += 1) {
    for (let x = 0; x < width; x += 1, out += 3) addWeighted(picture.data, 3 * y * picture.width, columns[x], wide, out);
  }
  const up = picture.height === 2 * height && picture.width === 2 * width ? TINY : 0;  // OpenCV rounds halves of these up
  const data = new Uint8ClampedArray(height * width * 3), line = new Float32Array(3 * width);
  lines.forEach(({ first, weights }, y) => {
    line.fill(up);
    weights.forEach((weight, index) => {
      const start = 3 * width * (first + index);
      for (let x = 0; x < 3 * width; x += 1) line[x] += weight * wide[start + x];
    });
    data.set(line, 3 * width * y);  // rounds, halves to the even
  });
  return { data, width, height };
}

function addWeighted(data, start, { first, weights }, into, out) {
  let red = 0, green = 0, blue = 0;
  for (let index = 0; index < weights.length; index += 1) {
    const at = start + 3 * (first + index), weight = weights[index];
    red += weight * data[at];
    green += weight * data[at + 1];
    blue += weight * data[at + 2];
  }
  into[out] = red;
  into[out + 1] = green;
  into[out + 2] = blue;
}

/** Of each pixel of a side the two old pixels between whose centres its own lies, and their shares of `ONE`. */
function between(from, to) {
  return Array.from({ length: to }, (_, index) => {
    const place = Math.fround((index + 0.5) * (from / to) - 0.5), low = Math.floor(place), share = Math.fround(place - low);
    if (low < 0 || low >= from - 1) return [clip(low, 0, from - 1), clip(low, 0, from - 1), ONE, 0];
    return [low, low + 1, roundHalfEven((1 - share) * ONE), roundHalfEven(share * ONE)];
  });
}

/** Between the pixels, in whole numbers and with their losses: cv2.INTER_LINEAR. */
function enlarged(picture, [height, width]) {
  const columns = between(picture.width, width), wide = new Int32Array(picture.height * width * 3);
  for (let y = 0, out = 0; y < picture.height; y += 1) {
    for (const [before, after, near, far] of columns) {
      const left = 3 * (y * picture.width + before), right = 3 * (y * picture.width + after);
      for (let channel = 0; channel < 3; channel += 1, out += 1) {
        wide[out] = picture.data[left + channel] * near + picture.data[right + channel] * far;
      }
    }
  }
  const data = new Uint8ClampedArray(height * width * 3);
  between(picture.height, height).forEach(([above, below, near, far], y) => {
    for (let x = 0; x < 3 * width; x += 1) {
      const upper = near * (wide[3 * width * above + x] >> 4) >> 16, lower = far * (wide[3 * width * below + x] >> 4) >> 16;
      data[3 * width * y + x] = upper + lower + 2 >> 2;
    }
  });
  return { data, width, height };
}

/** A picture as a network sees it, `side` px long: `Framed.of`. Pixels are (3, H, W), sizes [height, width]. */
export function framed(picture, contract, side = contract.input_size) {
  const shape = [picture.height, picture.width];
  const { inner, size } = contract.sides ? intoOnly(shape, contract.sides) : fitting(shape, contract, side);
  const small = resized(picture, inner), area = size[0] * size[1];
  const pixels = new Uint8Array(3 * area);
  contract.fill.forEach((value, channel) => pixels.fill(value, channel * area, (channel + 1) * area));
  for (let y = 0, at = 0; y < inner[0]; y += 1) {
    for (let x = 0; x < inner[1]; x += 1) {
      for (let channel = 0; channel < 3; channel += 1, at += 1) pixels[channel * area + y * size[1] + x] = small.data[at];
    }
  }
  const toInput = [inner[1] / shape[1], inner[0] / shape[0]];  // by which x and y grow
  return { pixels, size, content: [0, 0, inner[1], inner[0]], toInput, fileSize: shape };
}

function fitting(shape, contract, side) {
  const inner = innerSize(shape, side, contract.side);
  const around = contract.side === "square" ? [Math.max(...inner), Math.max(...inner)] : inner;
  return { inner, size: around.map((own) => smallestSide(Math.max(own, contract.least), contract.fits)) };
}

function intoOnly(shape, size) {
  const scale = Math.min(size[0] / shape[0], size[1] / shape[1]);
  return { inner: shape.map((own) => Math.max(1, roundHalfEven(own * scale))), size };
}
