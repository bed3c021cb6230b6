// One network beside the others: its picture with people, how long it took, and the Python that does the same.

import { drawPeople, drawPicture } from "./drawing.js";
import { usable } from "./grouping/found.js";
import { drawMap, hoverable } from "./hovering.js";

const METHODS = { associative_embedding: "Associative Embedding", personlab: "PersonLab", posenet: "PoseNet", prn: "MultiPoseNet" };
const REACH = 18;  // px of the screen, within which a pointer means a keypoint
const SIZES = [0.5, 1, 1.5, 2];  // times the input size that the network comes with
const MOST = 0.99;  // of a threshold

export class Card {
  /** A card of a network, made of the page's template; `settings()` gives {score, keypoint, hover} as the page has them. */
  constructor(said, settings, changed) {
    this.said = said;
    this.settings = settings;
    this.element = document.getElementById("card").content.firstElementChild.cloneNode(true);
    for (const name of ["name", "method", "told", "python", "json"]) this[name] = this.element.querySelector(`.${name}`);
    this.canvas = this.element.querySelector("canvas");
    this.size = this.element.querySelector("select");
    this.name.textContent = said.name;
    this.method.textContent = METHODS[said.contract.decoder] ?? said.contract.decoder;
    const { input_size: size, least } = said.contract, own = Math.max(size, least);  // below it there would be more padding than in Python
    const sizes = new Set(SIZES.map((times) => Math.max(Math.round(size * times), least)));
    this.size.append(...Array.from(sizes, (side) => new Option(`${side} px`, side, side === own, side === own)));
    this.size.onchange = () => changed(this);
    this.element.querySelector(".copy").onclick = () => navigator.clipboard.writeText(this.python.textContent);
    this.canvas.onpointermove = this.canvas.onpointerdown = (event) => this.#hover(event);
    this.canvas.onpointerleave = () => this.draw();
    this.#tellPython();
  }

  get side() { return Number(this.size.value); }

  /** What is worth showing: so many times what the decoder recommends. */
  get thresholds() {
    const { score, keypoint } = this.settings(), own = this.said.contract.thresholds;
    return { ...own, score: Math.min(own.score * score, MOST), keypoint: Math.min(own.keypoint * keypoint, MOST) };
  }

  /** Let the network see a picture, and show whom it finds. */
  async see(picture) {
    this.picture = picture;
    this.seen = null;
    drawPicture(this.canvas, picture);
    this.told.textContent = "looking …";
    this.element.classList.add("busy");
    delete this.element.dataset.ms;
    try {
      this.seen = await this.network.see(picture, this.side);
    } finally {
      this.element.classList.remove("busy");
    }
    this.element.dataset.ms = this.seen.ms.all;
    this.show();
  }

  /** Choose and draw people anew, of what was seen. */
  show() {
    this.#tellPython();
    if (!this.seen) return;
    this.people = this.network.people(this.seen, this.thresholds);
    this.json.textContent = JSON.stringify(this.people.map(({ mask, ...one }) => one), rounded);
    this.draw();
  }

  draw() {
    if (!this.seen) return;
    const scale = drawPicture(this.canvas, this.picture);
    drawPeople(this.canvas, this.people, this.said.contract.skeleton, this.thresholds.keypoint, scale);
    const { ms } = this.seen, count = this.people.length;
    this.told.textContent = `${count} ${count === 1 ? "person" : "people"}, ${Math.round(ms.all)} ms`;
    this.told.title = `resizing ${ms.resizing.toFixed(0)}, network ${ms.network.toFixed(0)}, grouping ${ms.grouping.toFixed(0)} ms`;
  }

  /** The keypoint under a pointer: {index, k} of the nearest within reach. */
  #under(event) {
    const around = this.canvas.getBoundingClientRect(), px = around.width / this.picture.width;
    let best = { distance: REACH };
    this.people.forEach((one, index) => usable(one, this.thresholds.keypoint).forEach((there, k) => {
      const [x, y] = one.keypoints[k];
      const distance = Math.hypot(around.left + x * px - event.clientX, around.top + y * px - event.clientY);
      if (there && distance < best.distance) best = { distance, index, k };
    }));
    return best.k === undefined ? null : best;
  }

  #hover(event) {
    if (!this.seen) return;
    const under = this.#under(event);
    if (!under) return void this.draw();
    const { index, k } = under, one = this.people[index], { keypoints } = this.said.contract.skeleton;
    if (this.seen.maps.heatmap) {
      const scale = drawPicture(this.canvas, this.picture);
      drawMap(this.canvas, this.settings().hover, k, this.seen, this.people, scale);
    }
    const tag = one.tags && `, mean tag ${one.tags.map((value) => value.toFixed(2)).join(", ")}`;
    this.told.textContent = `${keypoints[k].replaceAll("_", " ")} of person ${index + 1}: score ${one.keypointScores[k].toFixed(2)}${tag ?? ""}`;
  }

  #tellPython() {
    const { score, keypoint } = this.settings(), { thresholds } = this;
    const given = { input_size: this.side, ...this.said.options };
    if (score !== 1) given.score_threshold = Number(thresholds.score.toFixed(4));
    if (keypoint !== 1) given.keypoint_threshold = Number(thresholds.keypoint.toFixed(4));
    const told = Object.entries(given).map(([name, value]) => `, ${name}=${JSON.stringify(value)}`).join("");
    this.python.textContent = `bottomup.load(${JSON.stringify(this.said.weights)}${told})(${JSON.stringify(this.picture?.name ?? "photo.jpg")})`;
  }
}

/** Numbers of JSON to a ten-thousandth; NaN is null, arrays stay such. */
function rounded(_, value) {
  if (value instanceof Float32Array) return Array.from(value);
  return typeof value === "number" && Number.isFinite(value) ? Number(value.toFixed(4)) : value;
}

/** The kinds of maps that any of the networks gives. */
export const kindsOf = (networks) => Object.keys(hoverable).filter((kind) =>
  networks.some(({ contract }) => hoverable[kind].every((name) => name in contract.maps)));
