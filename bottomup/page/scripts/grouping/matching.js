// One-to-one matching: bottomup/grouping/matching.py, and scipy's linear_sum_assignment, which it calls.

const ALONE = 1;  // anything positive: no allowed pair may be as dear as no pair

/** The pairs [row, column] of least total cost, as many as there are rows or columns; cost is a list of rows, all finite.

Row after row joins along the shortest augmenting path, by Dijkstra on reduced costs (Crouse 2016, as scipy). */
export function linearSumAssignment(cost) {
  if (!cost.length || !cost[0].length) return [];
  if (cost[0].length < cost.length) {
    const turned = cost[0].map((_, column) => cost.map((row) => row[column]));
    return linearSumAssignment(turned).map(([row, column]) => [column, row]).sort((a, b) => a[0] - b[0]);
  }
  const columns = cost[0].length;
  const state = {
    rowPrices: new Float64Array(cost.length), columnPrices: new Float64Array(columns),
    columnOf: new Int32Array(cost.length).fill(-1), rowOf: new Int32Array(columns).fill(-1),
  };
  cost.forEach((_, row) => join(cost, row, state));
  return Array.from(state.columnOf, (column, row) => [row, column]);
}

function join(cost, start, { rowPrices, columnPrices, columnOf, rowOf }) {
  const count = columnPrices.length;
  const path = new Int32Array(count).fill(-1), shortest = new Float64Array(count).fill(Infinity);
  const rowsSeen = [start], columnsSeen = [];
  const open = Array.from({ length: count }, (_, index) => count - 1 - index);  // backwards: equal costs give the diagonal
  let row = start, least = 0, end = -1;
  while (end < 0) {
    let nearest = -1;
    open.forEach((column, index) => {
      const reduced = least + cost[row][column] - rowPrices[row] - columnPrices[column];
      if (reduced < shortest[column]) [path[column], shortest[column]] = [row, reduced];
      const own = shortest[column], best = nearest < 0 ? Infinity : shortest[open[nearest]];
      if (own < best || (own === best && rowOf[column] < 0)) nearest = index;  // of equal ones one that is free
    });
    const column = open[nearest];
    least = shortest[column];
    if (rowOf[column] < 0) end = column;
    else rowsSeen.push((row = rowOf[column]));
    columnsSeen.push(column);
    open[nearest] = open[open.length - 1];
    open.pop();
  }
  for (const seen of rowsSeen) rowPrices[seen] += least - (seen === start ? 0 : shortest[columnOf[seen]]);
  for (const seen of columnsSeen) columnPrices[seen] -= least - shortest[seen];
  for (let column = end, taken = -1; taken !== start; ) {
    taken = path[column];
    rowOf[column] = taken;
    [columnOf[taken], column] = [column, columnOf[taken]];
  }
}

/** The pairs of least total cost through allowed pairs only, each row and column at most once: `matching.assign`. */
export function assign(cost, allowed) {
  let dearest = -Infinity;
  allowed.forEach((row, r) => row.forEach((may, c) => { if (may) dearest = Math.max(dearest, cost[r][c]); }));
  if (dearest === -Infinity) return [];
  const alone = dearest + ALONE;
  return linearSumAssignment(cost.map((row, r) => row.map((own, c) => allowed[r][c] ? own : alone)))
    .filter(([r, c]) => allowed[r][c]);
}
