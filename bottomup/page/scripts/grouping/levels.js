// Which cells are whose, by levels above 0 inside, PersonLab §3.2: bottomup/grouping/levels.py. Maps are flat.

/** A probability as a level in [-1, 1] that is 0 at `threshold`. */
export function foregroundLevel(foreground, threshold) {
  const least = Math.fround(threshold);
  return Float32Array.from(foreground, (value) => {
    const above = Math.fround(value - least);
    return above > 0 ? above / Math.fround(1 - threshold) : above / least;
  });
}

/** By how much each person's distance to a cell is less than everybody else's; infinite where alone. */
export function nearerThanOthers(distances) {
  if (distances.length < 2) return distances.map((own) => new Float32Array(own.length).fill(Infinity));
  const best = new Float32Array(distances[0].length).fill(Infinity), second = best.slice();
  for (const own of distances) {
    own.forEach((distance, cell) => {
      if (distance < best[cell]) [best[cell], second[cell]] = [distance, best[cell]];
      else if (distance < second[cell]) second[cell] = distance;
    });
  }
  return distances.map((own) => own.map((distance, cell) =>
    distance === Infinity ? -Infinity : (distance === best[cell] ? second[cell] : best[cell]) - distance));
}

/** What is left of the levels of people, best first, outside all better ones. */
export function leftByBetter(levels) {
  const better = new Float32Array(levels[0]?.length ?? 0).fill(-Infinity);
  return levels.map((own) => own.map((level, cell) => {
    const left = Math.min(level, -better[cell]);
    better[cell] = Math.max(better[cell], level);
    return left;
  }));
}
