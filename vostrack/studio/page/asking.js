/** The tools whose clicks and boxes the server answers with a mask. */

import { askClicks, prepare } from "./api.js";
import { same } from "./labels.js";
import { outline, Tool } from "./tool.js";

/** @typedef {{x: number, y: number, inside: boolean}} Click */

/**
 * Clicks and boxes are answered by the server; each answer is one edit. Clicks change the mask that
 * is shown, such as a tracked one. Further clicks refine the answer: the server is asked with all of
 * them, and the mask from before the first. If anything else changed the frame meanwhile, be it an
 * undo or another tab, they begin anew, with the mask that is shown then.
 */
class Asking extends Tool {
  /** The clicks that led to the mask that is shown. @type {Click[]} */
  clicks = [];
  /** What was not answered yet. @type {{click?: Click, box?: number[], what: string, object?: number}[]} */
  waiting = [];
  frame = -1;
  #base = null;
  #shown = null;
  #running = Promise.resolve();

  constructor(...parts) {
    super(...parts);
    for (const kind of ["frame", "saved"]) this.store.addEventListener(kind, () => this.#forgetOld());
  }

  enter() {
    const { frame, project } = this.store, wanted = `${project}/${frame}`;
    if (!project || this.prepared === wanted) return;
    this.prepared = wanted;
    prepare(frame).catch((error) => this.store.complain(error));
  }

  leave() {
    this.clicks = [];
    this.waiting = [];
    this.#base = null;
  }

  /** Give up what concerns an object. @param {number} id @returns {boolean} whether it waited */
  drop(id) {
    const mine = (one) => (one.object ?? this.store.selected) === id;
    const waited = this.waiting.some(mine);
    this.waiting = this.waiting.filter((one) => !mine(one));
    if (this.object === id) {
      this.clicks = [];
      this.#base = null;
    }
    return waited;
  }

  /** Ask with a click or a box, and show the answer. */
  async ask(question) {
    if (this.frame !== this.store.frame) this.leave();
    this.frame = this.store.frame;
    this.waiting.push(question);
    await this.store.loaded;
    try {
      await this.ensureObject();
    } catch (error) {
      this.leave();
      this.store.complain(error);
      return;
    }
    question.object = this.store.selected;
    this.#running = this.#running.then(() => this.#answer(question));
  }

  async #answer(asked) {
    const left = () => !this.waiting.includes(asked) || this.frame !== this.store.frame;
    if (left()) return;
    this.store.say("Finding the object");
    this.stage.canvas.classList.add("busy");
    try {
      let start, mask;
      do {
        this.#begin(asked);
        start = asked.box ? null : maskOf(this.#base, asked.object);
        const clicks = asked.click ? [...this.clicks, asked.click] : [];
        mask = await askClicks(this.frame, clicks, asked.box ?? null, start);
        await this.store.loaded; // the masks without an object that has just ended
        if (left()) return;
      } while (!same(this.store.labels, this.#shown));
      this.waiting.splice(this.waiting.indexOf(asked), 1);
      await this.#show(asked, mask, start);
    } catch (error) {
      this.store.complain(error);
    } finally {
      this.waiting = this.waiting.filter((one) => one !== asked);
      this.stage.canvas.classList.remove("busy");
    }
  }

  /** Start from what is shown, unless it is the answer to the clicks before. */
  #begin({ object, box }) {
    if (!box && this.object === object && this.#isShown()) return;
    this.object = object;
    this.#base = this.store.labels.slice();
    this.#shown = this.#base;
    this.clicks = [];
  }

  /** Put the answer in place of what was there before the clicks. */
  async #show({ object, click, what }, mask, start) {
    const labels = this.store.labels, before = labels.slice();
    labels.set(this.#base);
    for (let k = 0; k < mask.length; k++) {
      if (mask[k]) labels[k] = object;
      else if (start?.[k]) labels[k] = 0;
    }
    this.#shown = labels.slice();
    if (click) this.clicks.push(click);
    this.stage.redrawAll();
    if (same(labels, before)) {
      this.store.say(`The mask agrees with that ${click ? "click" : "box"} already.`);
      return;
    }
    if (!(await this.store.save(what, before))) return;
    this.store.say("Missing something? Click on it. Too much? Choose Click −, and click there.");
  }

  #isShown() {
    return this.#base !== null && same(this.store.labels, this.#shown);
  }

  /** The clicks on a mask that is gone are not drawn any more. */
  #forgetOld() {
    if (this.clicks.length && !this.waiting.length && !this.#isShown()) this.leave();
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
    if (outside && !this.#all().some((click) => click.inside) && !labels.includes(selected)) {
      this.store.say("Click on the object first.", true);
      return;
    }
    this.ask({ click: { x, y, inside: !outside }, what: "click" });
  }

  #all() {
    return [...this.clicks, ...this.waiting.map((one) => one.click)];
  }

  draw(context, pixel) {
    if (this.frame !== this.store.frame) return;
    for (const { x, y, inside } of this.#all()) {
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

  drop(id) {
    return this.partner.drop(id);
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
  drags = true;

  down(at) {
    this.closing = Boolean(this.corner) && !this.dragging;
    if (this.closing) return;
    this.corner = { ...at };
    this.dragging = true;
  }

  up(at) {
    this.dragging = false;
    if (this.closing) this.#take(at);
    // A press without a drag marks the first corner only.
    if (this.corner && Math.hypot(at.x - this.corner.x, at.y - this.corner.y) > 3) this.#take(at);
  }

  cancel() {
    this.corner = null;
    this.dragging = this.closing = false;
  }

  drop(id) {
    const waited = super.drop(id), begun = Boolean(this.corner) && this.store.selected === id;
    if (begun) this.cancel();
    return waited || begun;
  }

  leave() {
    super.leave();
    this.cancel();
  }

  #take(at) {
    const { width, height } = this.store.video, from = this.corner;
    this.corner = null;
    this.closing = false;
    const low = (a, b) => Math.max(0, Math.floor(Math.min(a, b)));
    const high = (a, b, most) => Math.min(most, Math.ceil(Math.max(a, b)));
    const box = [low(from.x, at.x), low(from.y, at.y), high(from.x, at.x, width),
      high(from.y, at.y, height)];
    if (box[2] - box[0] < 2 || box[3] - box[1] < 2) return;
    this.ask({ box, what: "box" });
  }

  draw(context, pixel) {
    if (!this.corner) return;
    const { x, y } = this.stage.cursor;
    context.beginPath();
    context.rect(this.corner.x, this.corner.y, x - this.corner.x, y - this.corner.y);
    outline(context, pixel);
  }
}
