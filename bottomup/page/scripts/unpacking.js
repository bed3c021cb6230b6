// What the page carries: compressed files in script tags, and pictures.

const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%.()*+-;,=>?@^_`{|}~";  // of base 85, assembly.py

/** Bytes of base 85: each five letters are a number of four bytes, the first the highest. */
export function fromBase85(text, count) {
  const values = new Uint8Array(128), bytes = new Uint8Array(text.length / 5 * 4), view = new DataView(bytes.buffer);
  [...LETTERS].forEach((letter, value) => { values[letter.charCodeAt(0)] = value; });
  for (let from = 0, to = 0; from < text.length; to += 4) {
    let number = 0;
    for (const end = from + 5; from < end; from += 1) number = number * 85 + values[text.charCodeAt(from)];
    view.setUint32(to, number);
  }
  return bytes.subarray(0, count);
}

const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

/** The bytes of a file that stands in the page, gzipped; its text is dropped. */
export async function unpacked(id) {
  const element = document.getElementById(id), packed = fromBase85(element.textContent, Number(element.dataset.bytes));
  element.remove();
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** ONNX Runtime, of the page alone and on one thread: more need headers that a file does not have. */
export async function runtime() {
  const url = URL.createObjectURL(new Blob([await unpacked("onnxruntime-module")], { type: "text/javascript" }));
  const ort = await import(url);
  URL.revokeObjectURL(url);
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = await unpacked("onnxruntime-wasm");
  return ort;
}

/** What a `data:` address of base64 holds, which the page may not fetch. */
export const blobOf = (address) => new Blob([bytesOf(address.slice(address.indexOf(",") + 1))]);

/** A picture of a file, upright: {bitmap, data, width, height}, data RGB, a byte each. */
export async function pictureOf(blob) {
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const { width, height } = bitmap, canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { data: withAlpha } = context.getImageData(0, 0, width, height);
  const data = new Uint8ClampedArray(3 * width * height);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    data[to] = withAlpha[from];
    data[to + 1] = withAlpha[from + 1];
    data[to + 2] = withAlpha[from + 2];
  }
  return { bitmap, data, width, height };
}
