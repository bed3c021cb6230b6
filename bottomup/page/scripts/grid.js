// Where the cells of a map lie, and which sides an input may have: bottomup/grid.py.

export const toCells = (grid, value) => (value - grid.origin) / grid.stride;

export const toInput = (grid, cell) => cell * grid.stride + grid.origin;

const accepts = (grid, side) => side >= 2 * grid.origin && (side - 2 * grid.origin) % grid.stride === 0;

/** The smallest input side >= `side` that every grid accepts. */
export function smallestSide(side, grids) {
  let candidate = side;
  while (!grids.every((grid) => accepts(grid, candidate))) candidate += 1;
  return candidate;
}

/** The grid of a map that may be given as it is or by its logits: `HostFrame.grid`. */
export const gridOf = (grids, name) => grids[name] ?? grids[`${name}_logits`];
