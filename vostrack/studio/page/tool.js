/** What all tools have in common. */

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./stage.js").Stage} Stage */

export class Tool {
  /** @param {Store} store @param {Stage} stage @param {() => Promise<void>} ensureObject */
  constructor(store, stage, ensureObject) {
    Object.assign(this, { store, stage, ensureObject });
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
