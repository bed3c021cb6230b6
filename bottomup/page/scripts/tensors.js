// Arrays of several axes as ONNX Runtime gives them: {data, dims}, the last axis the innermost.

/** The parts along the first axis, which share the numbers of the whole. */
export function rows({ data, dims: [count, ...inner] }) {
  const size = inner.reduce((product, side) => product * side, 1);
  return Array.from({ length: count }, (_, index) => ({ data: data.subarray(index * size, (index + 1) * size), dims: inner }));
}

/** The points [x, y] of an array (N, 2). */
export function pointsOf({ data, dims: [count] }) {
  return Array.from({ length: count }, (_, index) => [data[2 * index], data[2 * index + 1]]);
}

/** The arrays of the only image of a batch, by name. */
export function onlyImage(arrays) {
  return Object.fromEntries(Object.entries(arrays).map(([name, tensor]) => [name, rows(tensor)[0]]));
}
