/** Objects that the computer would outline: shown with stripes until a person takes them. */

import { suggest } from "./api.js";

const STRIPE = 4;

export class Suggestions {
  #found = null;
  #canvas = document.createElement("canvas");

  /**
   * @param {import("./store.js").Store} store
   * @param {import("./stage.js").Stage} stage
   * @param {import("./objects.js").ObjectList} objects
   * @param {HTMLElement} list
   */
  constructor(store, stage, objects, list) {
    Object.assign(this, { store, stage, objects, list });
    store.addEventListener("frame", () => {
      if (this.#found && this.#found.frame !== store.frame) this.clear();
    });
    stage.extras.push(this);
    this.#render();
  }

  /** Ask for the objects of this frame. */
  async ask() {
    const { frame, project } = this.store;
    this.store.say("Looking for objects");
    try {
      const found = await suggest(frame);
      if (frame !== this.store.frame || project !== this.store.project) return;
      this.#found = { frame, ...found };
      this.#paint();
      this.store.say("These are guesses. A accepts the first, Delete refuses it, Escape refuses all.");
    } catch (error) {
      this.store.complain(error);
    }
    this.#render();
  }

  /** Make an object of a suggestion. @param {number} [id] the first one, if it is left out */
  async accept(id = this.#found?.ids[0]) {
    if (id === undefined) {
      this.store.say("There is no suggestion. S asks for some.", true);
      return;
    }
    const { labels, frame } = this.#found;
    const object = await this.objects.add();
    if (object === null || frame !== this.store.frame) return;
    const mine = this.store.labels, before = mine.slice();
    for (let at = 0; at < labels.length; at++) if (labels[at] === id) mine[at] = object;
    this.stage.redrawAll();
    this.refuse(id);
    await this.store.save("accept suggestion", before);
  }

  /** Forget a suggestion. @param {number} [id] the first one, if it is left out */
  refuse(id = this.#found?.ids[0]) {
    if (id === undefined) return;
    this.#found.ids = this.#found.ids.filter((other) => other !== id);
    if (this.#found.ids.length) {
      this.#paint();
      this.#render();
    } else {
      this.clear();
    }
  }

  clear() {
    this.#found = null;
    this.#render();
    this.stage.redraw();
  }

  draw(context, pixel) {
    if (!this.#found) return;
    context.drawImage(this.#canvas, 0, 0);
    context.font = `bold ${18 * pixel}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.lineWidth = 4 * pixel;
    for (const [number, id] of this.#found.ids.entries()) {
      const { x, y } = this.#found.places.get(id);
      context.strokeStyle = "#000000";
      context.strokeText(String(number + 1), x, y);
      context.fillStyle = "#ffffff";
      context.fillText(String(number + 1), x, y);
    }
  }

  /** Stripes in black and white are seen on every picture. */
  #paint() {
    const { width, height } = this.store.video, { labels, ids } = this.#found;
    const image = new ImageData(width, height), pixels = new Uint32Array(image.data.buffer);
    const sums = Array(256).fill(null);
    for (const id of ids) sums[id] = { x: 0, y: 0, count: 0 };
    for (let y = 0, at = 0; y < height; y++) {
      for (let x = 0; x < width; x++, at++) {
        const sum = sums[labels[at]];
        if (!sum) continue;
        sum.x += x;
        sum.y += y;
        sum.count += 1;
        pixels[at] = (x + y) % (2 * STRIPE) < STRIPE ? 0xb0ffffff : 0x90000000;
      }
    }
    this.#found.places = new Map(ids.map((id) =>
      [id, { x: sums[id].x / sums[id].count, y: sums[id].y / sums[id].count }]));
    this.#canvas.width = width;
    this.#canvas.height = height;
    this.#canvas.getContext("2d").putImageData(image, 0, 0);
    this.stage.redraw();
  }

  #render() {
    const rows = (this.#found?.ids ?? []).map((id, place) => {
      const row = document.createElement("li");
      row.append(`Suggestion ${place + 1}`,
        button("Accept", place, () => this.accept(id)), button("Refuse", place, () => this.refuse(id)));
      return row;
    });
    this.list.replaceChildren(...rows);
  }
}

function button(word, place, run) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = word;
  made.setAttribute("aria-label", `${word} suggestion ${place + 1}`);
  made.addEventListener("click", run);
  return made;
}
