// Arithmetic as Python and numpy have it.

/** The nearest whole number, of two equally near the even one: Python's round, numpy's and OpenCV's. */
export function roundHalfEven(value) {
  const low = Math.floor(value), rest = value - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

/** A number as float16 holds it: 10 bits behind the first, none below 2^-24. */
export function half(value) {
  if (value === 0 || !Number.isFinite(value)) return value;
  const step = 2 ** (Math.max(Math.floor(Math.log2(Math.abs(value))), -14) - 10);
  return roundHalfEven(value / step) * step;
}

export const clip = (value, low, high) => Math.min(Math.max(value, low), high);

export const sum = (values) => values.reduce((total, value) => total + value, 0);

/** The order of scores, the highest first, equal ones as they stand: `found.best_first`. */
export function bestFirst(scores) {
  return Array.from(scores, (_, index) => index).sort((a, b) => scores[b] - scores[a]);
}
