// Reads pictures as JSON, [{data, width, height, to: [height, width]}, …], and writes the bytes of each in its other size.
import { readFileSync } from "node:fs";

const [scripts, file] = process.argv.slice(2);
const { resized, innerSize } = await import(`${scripts}/framing.js`);
const found = JSON.parse(readFileSync(file)).map(({ to, side, length, ...picture }) =>
  to ? Array.from(resized(picture, to).data) : innerSize([picture.height, picture.width], length, side));
process.stdout.write(JSON.stringify(found));
