// Reads cases as JSON, [{contract, frame, arrays}, …], and writes whom the page's scripts find in each: everybody, and who is shown.
import { readFileSync } from "node:fs";

const [scripts, file] = process.argv.slice(2);
const { decoded } = await import(`${scripts}/network.js`);
const { shown } = await import(`${scripts}/grouping/shown.js`);
const typed = (arrays) => Object.fromEntries(Object.entries(arrays).map(([name, { data, dims }]) => [
  name, { data: Float32Array.from(data, (value) => value ?? NaN), dims },
]));
const plain = (size) => (one) => {
  const { mask, ...others } = one;
  return { ...others, mask: mask && { ...mask.window(size), inside: Array.from(mask.window(size).inside) } };
};
const found = JSON.parse(readFileSync(file)).map(({ contract, frame, arrays }) => {
  const everybody = decoded(typed(arrays), frame, contract), { fileSize } = frame;
  const left = shown(everybody, fileSize, contract.thresholds, contract.skeleton.sigmas);
  return { everybody: everybody.map(plain(fileSize)), shown: left.map(plain(fileSize)) };
});
process.stdout.write(JSON.stringify(found));
