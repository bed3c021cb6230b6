// One network: a picture in, the people worth showing out, in px of the picture: bottomup/runtime/runner.py.

import { framed } from "./framing.js";
import { gridOf } from "./grid.js";
import { grown } from "./grouping/found.js";
import { KINDS } from "./grouping/kinds.js";
import { shown } from "./grouping/shown.js";
import { rows } from "./tensors.js";

const MAP = "maps.";  // before the name of a map among the outputs

export class Network {
  constructor(ort, session, contract) {
    Object.assign(this, { ort, session, contract });
  }

  /** Take in the bytes of an ONNX file and what it says of itself. */
  static async of(ort, bytes, contract) {
    const options = { executionProviders: ["wasm"], graphOptimizationLevel: "all", logSeverityLevel: 3 };
    return new Network(ort, await ort.InferenceSession.create(bytes, options), contract);
  }

  /** What a picture {data, width, height} holds, seen `side` px long: everybody, the maps, and how long each step took, ms. */
  async see(picture, side = this.contract.input_size) {
    const start = performance.now(), frame = framed(picture, this.contract, side), resized = performance.now();
    const found = await this.#run(frame), ran = performance.now();
    const everybody = decoded(found, frame, this.contract), end = performance.now();
    const maps = Object.keys(this.contract.maps).map((name) => [name, { ...rows(found[MAP + name])[0], grid: gridOf(this.contract.grids, name) }]);
    const ms = { all: end - start, resizing: resized - start, network: ran - resized, grouping: end - ran };
    return { everybody, frame, ms, maps: Object.fromEntries(maps) };
  }

  /** Of what was seen the people worth showing, at thresholds {score, keypoint, alike}. */
  people({ everybody, frame }, thresholds = this.contract.thresholds) {
    return shown(everybody, frame.fileSize, thresholds, this.contract.skeleton.sigmas);
  }

  async #run({ pixels, size, content }) {
    const images = new this.ort.Tensor("uint8", pixels, [1, 3, ...size]);
    return this.session.run({ images, content: new this.ort.Tensor("float32", Float32Array.from(content), [1, 4]) });
  }
}

/** All people of an image, best first, in px of the picture. */
export function decoded(arrays, frame, contract) {
  const { kind, options } = contract.grouping, { outputs, grids, skeleton } = contract;
  const read = Object.fromEntries(outputs.map((name) => [name, arrays[name]]));
  const people = KINDS[kind](read, { content: frame.content, grids, size: frame.size }, options, skeleton);
  return people.map((one) => grown(one, frame.toInput.map((factor) => 1 / factor)));
}
