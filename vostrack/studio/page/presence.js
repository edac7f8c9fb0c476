/** A picture of where objects are, for the timeline. A frame that is new is drawn alone. */

const TOP = 12;
// So high a row has an edge.
const EDGED = 4;

export class Presence {
  canvas = document.createElement("canvas");
  #known = "";
  #context = this.canvas.getContext("2d");

  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.store = store;
  }

  /**
   * Draw everything, if something else than the tracked frames changed.
   * @param {number} width pixels
   * @param {number} height pixels
   * @param {number} ratio pixels of the screen in one
   * @param {{doubt: string, line: string}} colours
   */
  update(width, height, ratio, { doubt, line }) {
    const { video, objects, drawn, erased, tracked } = this.store;
    const known = JSON.stringify([width, height, ratio, doubt, line, video.count,
      objects.map((one) => [one.id, one.colour]), [...drawn], [...erased]]);
    if (known === this.#known) return;
    this.#known = known;
    Object.assign(this, { width, height, doubt, line, slot: width / video.count });
    this.places = new Map(objects.map((one, place) => [one.id, place]));
    this.canvas.width = Math.max(1, Math.round(width * ratio));
    this.canvas.height = Math.max(1, Math.round(height * ratio));
    this.#context.scale(ratio, ratio);
    // Of the frames that share a pixel, one is drawn, and those that look doubtful.
    const seen = new Uint8Array(Math.ceil(width) + 1);
    for (const [frame, one] of tracked) {
      const column = this.slot < 1 ? Math.floor(frame * this.slot) : -1;
      if (seen[column] && !one.doubtful) continue;
      if (column >= 0) seen[column] = 1;
      this.#draw(frame, one);
    }
    for (const frame of drawn.keys()) this.add(frame);
  }

  /** Draw a frame that was tracked, or drawn by hand. */
  add(frame) {
    if (!this.#known) return;
    const first = frame * this.slot;
    // Where several frames share a pixel, the others stay.
    if (this.slot >= 1) this.#context.clearRect(first, 0, this.slot, this.height);
    const hand = this.store.drawn.get(frame), found = this.store.tracked.get(frame);
    this.#draw(frame, hand ? byHand(hand, this.store.erased.get(frame) ?? [], found) : found);
  }

  /** Draw everything with the next update. */
  forget() {
    this.#known = "";
  }

  #draw(frame, one) {
    const context = this.#context, { objects } = this.store;
    const row = (this.height - TOP - 4) / Math.max(1, objects.length);
    const x = frame * this.slot, width = Math.max(1, this.slot);
    for (const [id, value] of one.presence) {
      const place = this.places.get(id);
      if (place === undefined) continue;
      context.globalAlpha = 0.15 + 0.85 * value;
      context.fillStyle = objects[place].colour;
      context.fillRect(x, TOP + place * row, width, Math.max(1, row - 1));
      if (row < EDGED) continue;
      context.fillStyle = this.line; // dark colours are seen on a dark ground, too
      context.fillRect(x, TOP + place * row, width, 1);
    }
    context.globalAlpha = 1;
    if (!one.doubtful) return;
    context.fillStyle = this.doubt;
    context.fillRect(x, this.height - 4, width, 4);
  }
}

/** What a person drew is certain; the other objects are as they were found. */
function byHand(ids, gone, found) {
  const others = found?.presence.filter(([id]) => !ids.includes(id) && !gone.includes(id)) ?? [];
  return { presence: [...ids.map((id) => [id, 1]), ...others], doubtful: false };
}
