/** What all tools have in common. */

import { same } from "./labels.js";

export const NOTHING_CHANGED = "Nothing changed: the mask is as it was.";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./stage.js").Stage} Stage */

export class Tool {
  /** @param {Store} store @param {Stage} stage @param {() => Promise<void>} ensureObject */
  constructor(store, stage, ensureObject) {
    Object.assign(this, { store, stage, ensureObject });
  }

  /**
   * Save what was drawn; a drawing that changed no pixel is no correction of its frame.
   * @param {string} what
   * @param {Uint8Array} before the labels as they were before it
   * @param {() => Promise<unknown>} [ready] what must be done first
   */
  async save(what, before, ready) {
    if (same(this.store.labels, before)) this.store.say(NOTHING_CHANGED);
    else await this.store.save(what, before, ready);
  }

  get map() {
    return { data: this.store.labels, ...this.store.video };
  }
}

/** Draw the current path so that it is seen on every picture. */
export function outline(context, pixel) {
  for (const [colour, width] of [["#000000", 3], ["#ffffff", 1.2]]) {
    context.strokeStyle = colour;
    context.lineWidth = width * pixel;
    context.stroke();
  }
}
