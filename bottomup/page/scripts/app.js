// The page: a picture goes through one network after the other.

import { Card, kindsOf } from "./card.js";
import { Network } from "./network.js";
import { blobOf, pictureOf, runtime, unpacked } from "./unpacking.js";
import { webcam } from "./webcam.js";

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const settings = () => ({
  score: Number(byId("score").value), keypoint: Number(byId("keypoint").value), hover: byId("hover").value,
});
const cards = data.networks.map((said) => new Card(said, settings, (card) => look([card])));
let picture = null, queue = Promise.resolve(), count = 0, given = 0;

const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));

function say(text, wrong = false) {
  byId("state").textContent = text;
  byId("state").classList.toggle("wrong", wrong);
}

/** Show the picture to networks, one after the other; of an earlier picture nothing more is looked for. */
async function look(some = cards) {
  const own = picture;
  for (const card of some) queue = queue.then(() => lookAt(card, own));
  await queue;
  document.body.dataset.seen = count += 1;
}

async function lookAt(card, own) {
  await painted();
  if (!own || own !== picture) return;
  try {
    await card.see(own);
  } catch (error) {
    say(`${card.said.name}: ${error.message}; choose a smaller input size.`, true);
  }
}

/** Take in a picture, which its file's name tells, unless another one is given before it is read. */
async function take(blob, name) {
  const own = given += 1, read = await pictureOf(blob).catch(() => null);
  if (own !== given) return;
  if (!read) return say(`${name} is no picture that this browser reads; give a JPEG, PNG or WebP.`, true);
  picture = { ...read, name };
  say("");
  document.body.classList.add("shown");
  await ready;
  await look();
}

async function start() {
  say("Unpacking …");
  byId("grid").append(...cards.map((card) => card.element));
  await painted();
  const ort = await runtime();
  for (const [index, card] of cards.entries()) {
    card.network = await Network.of(ort, await unpacked(`network-${index}`), card.said.contract);
  }
  say("");
  document.body.dataset.ready = Math.round(performance.now());  // ms since the page was opened
}

for (const name of ["score", "keypoint"]) {
  byId(name).oninput = () => {
    byId(`${name}-shown`).textContent = Number(byId(name).value).toFixed(2);
    cards.forEach((card) => card.show());
  };
}
byId("hover").append(...kindsOf(data.networks).map((kind) => new Option(kind)));
byId("hover-label").hidden = !byId("hover").options.length;
byId("file").onchange = ({ target }) => target.files.length && take(target.files[0], target.files[0].name);
document.ondragover = (event) => { event.preventDefault(); document.body.classList.add("over"); };
document.ondragleave = () => document.body.classList.remove("over");
document.ondrop = (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  if (event.dataTransfer.files.length) take(event.dataTransfer.files[0], event.dataTransfer.files[0].name);
};
document.onpaste = ({ clipboardData: { files } }) => { if (files.length) take(files[0], files[0].name); };
document.querySelectorAll("#examples img").forEach((image) => {
  image.parentElement.onclick = () => take(blobOf(image.src), image.alt);
});
webcam(byId("webcam"), byId("shoot"), byId("video"), (blob) => take(blob, "webcam.png"), (text) => say(text, true));

const ready = start();
ready.catch((error) => say(`This browser cannot run the networks: ${error.message}`, true));
