/** Label maps: one byte per pixel, sent as zlib streams. */

let worker = null;
let count = 0;
const waiting = new Map();

/** Let the worker pack or unpack bytes. They are handed over, and empty afterwards. */
function ask(kind, bytes) {
  if (!worker) {
    worker = new Worker("/page/labels_worker.js");
    worker.addEventListener("message", ({ data }) => {
      const { resolve, reject } = waiting.get(data.number);
      waiting.delete(data.number);
      if (data.error) reject(new Error(`A mask could not be read: ${data.error}`));
      else resolve(data.made);
    });
    worker.addEventListener("error", () => {
      for (const { reject } of waiting.values()) reject(new Error("The server does not answer. Start it again."));
      waiting.clear();
      worker = null;
    });
  }
  const number = count++;
  return new Promise((resolve, reject) => {
    waiting.set(number, { resolve, reject });
    worker.postMessage({ number, kind, bytes }, [bytes]);
  });
}

/**
 * @param {Uint8Array} labels
 * @returns {Promise<ArrayBuffer>}
 */
export function pack(labels) {
  return ask("pack", labels.slice().buffer);
}

/**
 * @param {Response} response
 * @returns {Promise<Uint8Array>}
 */
export async function unpack(response) {
  return new Uint8Array(await ask("unpack", await response.arrayBuffer()));
}

/**
 * Return another label map with a drawing on it.
 * @param {Uint8Array} other
 * @param {Uint8Array} before what the drawing was made on
 * @param {Uint8Array} drawn what it made of that
 * @returns {Uint8Array} what was erased is gone only where it is still of the same object
 */
export function redraw(other, before, drawn) {
  const found = other.slice();
  for (let k = 0; k < drawn.length; k++) {
    if (drawn[k] !== before[k] && (drawn[k] || other[k] === before[k])) found[k] = drawn[k];
  }
  return found;
}

/**
 * @param {Uint8Array} one
 * @param {Uint8Array} other
 */
export function same(one, other) {
  if (one.length !== other.length) return false;
  for (let k = 0; k < one.length; k++) if (one[k] !== other[k]) return false;
  return true;
}
