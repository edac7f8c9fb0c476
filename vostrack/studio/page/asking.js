/** The tools whose clicks and boxes the server answers with a mask. */

import { askClicks, prepare } from "./api.js";
import { outline, Tool } from "./tool.js";

/**
 * Clicks and boxes are answered by the server; each answer is one edit. Clicks change the mask that
 * the object has in the frame, such as a tracked one.
 */
class Asking extends Tool {
  clicks = [];
  box = null;
  frame = -1;
  #running = Promise.resolve();

  enter() {
    const { frame, project } = this.store, wanted = `${project}/${frame}`;
    if (!project || this.prepared === wanted) return;
    this.prepared = wanted;
    prepare(frame).catch((error) => this.store.say(error.message, true));
  }

  leave() {
    this.clicks = [];
    this.box = null;
    this.base = null;
  }

  /** Ask with all clicks so far, and put the answer in place of what was there before them. */
  async ask(what) {
    await this.store.loaded;
    await this.ensureObject();
    if (this.frame !== this.store.frame || this.object !== this.store.selected || !this.base) {
      this.frame = this.store.frame;
      this.object = this.store.selected;
      this.base = this.store.labels.slice();
      this.clicks = this.clicks.slice(-1);
    }
    const { frame, object, base } = this, clicks = [...this.clicks], box = this.box;
    this.#running = this.#running.then(() => this.#answer(frame, object, base, clicks, box, what));
    return this.#running;
  }

  async #answer(frame, object, base, clicks, box, what) {
    this.store.say("Finding the object");
    this.stage.canvas.classList.add("busy");
    try {
      const start = box ? null : maskOf(base, object);
      const mask = await askClicks(frame, clicks, box, start);
      if (this.store.frame !== frame || this.base !== base) return;
      const labels = this.store.labels;
      labels.set(base);
      for (let k = 0; k < mask.length; k++) {
        if (mask[k]) labels[k] = object;
        else if (start?.[k]) labels[k] = 0;
      }
      this.stage.redrawAll();
      await this.store.save(what);
      this.store.say("Missing something? Click on it. Too much? Choose Click −, and click there.");
    } catch (error) {
      this.store.say(error.message, true);
    } finally {
      this.stage.canvas.classList.remove("busy");
    }
  }
}

/** Return where an object is; null for nowhere. */
function maskOf(labels, object) {
  return labels.includes(object) ? labels.map((one) => Number(one === object)) : null;
}

export class Clicks extends Asking {
  name = "Click +";
  key = "c";
  start = "click on the object";
  hint = "Click on the object. Then click on parts that are missing.";

  down(at, outside) {
    const { width, height } = this.store.video;
    const x = Math.floor(at.x), y = Math.floor(at.y);
    if (x < 0 || y < 0 || x >= width || y >= height) return;
    const { labels, selected } = this.store;
    if (outside && !this.clicks.some((click) => click.inside) && !labels.includes(selected)) {
      this.store.say("Click on the object first.", true);
      return;
    }
    this.clicks.push({ x, y, inside: !outside });
    this.ask("click");
  }

  draw(context, pixel) {
    if (this.frame !== this.store.frame) return;
    for (const { x, y, inside } of this.clicks) {
      context.beginPath();
      context.arc(x + 0.5, y + 0.5, 5 * pixel, 0, 2 * Math.PI);
      context.fillStyle = inside ? "#ffffff" : "#000000";
      context.fill();
      outline(context, pixel);
    }
  }
}

/** The same clicks, for those who have no right button. */
export class ClicksOff extends Tool {
  name = "Click −";
  key = "x";
  hint = "Click on what is too much.";
  takesAway = true;

  constructor(store, stage, ensureObject, partner) {
    super(store, stage, ensureObject);
    this.partner = partner;
  }

  enter() {
    this.partner.enter();
  }

  down(at) {
    this.partner.down(at, true);
  }

  leave() {
    this.partner.leave();
  }

  draw(context, pixel) {
    this.partner.draw(context, pixel);
  }
}

export class BoxTool extends Asking {
  name = "Box";
  key = "r";
  start = "drag a box around it";
  hint = "Drag a box around the object, or press Enter at two corners.";

  down(at) {
    if (this.corner && !this.dragging) {
      this.#take(at);
      return;
    }
    this.corner = { ...at };
    this.dragging = true;
  }

  up(at) {
    this.dragging = false;
    // A press without a drag marks the first corner only.
    if (this.corner && Math.hypot(at.x - this.corner.x, at.y - this.corner.y) > 3) this.#take(at);
  }

  cancel() {
    this.corner = null;
    this.dragging = false;
  }

  leave() {
    super.leave();
    this.cancel();
  }

  #take(at) {
    const { width, height } = this.store.video, from = this.corner;
    this.corner = null;
    const low = (a, b) => Math.max(0, Math.floor(Math.min(a, b)));
    const high = (a, b, most) => Math.min(most, Math.ceil(Math.max(a, b)));
    this.box = [low(from.x, at.x), low(from.y, at.y), high(from.x, at.x, width),
      high(from.y, at.y, height)];
    if (this.box[2] - this.box[0] < 2 || this.box[3] - this.box[1] < 2) return;
    this.clicks = [];
    this.base = null;
    this.ask("box");
  }

  draw(context, pixel) {
    if (!this.corner) return;
    const { x, y } = this.stage.cursor;
    context.beginPath();
    context.rect(this.corner.x, this.corner.y, x - this.corner.x, y - this.corner.y);
    outline(context, pixel);
  }
}
