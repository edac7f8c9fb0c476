/** The tools: what a pointer, or the crosshair and Enter, does to the label map. */

import { askClicks, prepare } from "./api.js";
import { fillPolygon, paintLine } from "./raster.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./stage.js").Stage} Stage */

class Tool {
  /** @param {Store} store @param {Stage} stage @param {() => Promise<void>} ensureObject */
  constructor(store, stage, ensureObject) {
    Object.assign(this, { store, stage, ensureObject });
  }

  get map() {
    return { data: this.store.labels, ...this.store.video };
  }
}

class Brush extends Tool {
  name = "Brush";
  key = "b";
  hint = "Paint the object. [ and ] change the size.";
  size = 20;
  what = "paint";

  radius() {
    return this.size / 2;
  }

  value() {
    return [this.store.selected, -1];
  }

  down(at) {
    this.ready = this.ensureObject();
    this.last = at;
    this.before = this.store.labels.slice();
    this.#line(at);
  }

  move(at, painting) {
    if (painting && this.last) this.#line(at);
  }

  up() {
    if (!this.last) return;
    this.last = null;
    this.ready.then(() => this.store.save(this.what));
  }

  cancel() {
    this.last = null;
    this.store.labels.set(this.before);
    this.stage.redrawAll();
  }

  #line(at) {
    const [id, only] = this.value();
    this.stage.redrawPart(paintLine(this.map, this.last, at, this.radius(), id, only));
    this.last = at;
  }
}

class Eraser extends Brush {
  name = "Eraser";
  key = "e";
  hint = "Erase the selected object. [ and ] change the size.";
  what = "erase";

  value() {
    return [0, this.store.selected];
  }
}

class Polygon extends Tool {
  name = "Polygon";
  key = "p";
  hint = "Click the corners; double-click, or Enter twice at one place, closes the polygon.";
  points = [];

  down(at) {
    const last = this.points.at(-1);
    if (last && Math.hypot(at.x - last.x, at.y - last.y) < 4 / this.stage.view.scale) this.finish();
    else this.points.push({ ...at });
  }

  async finish() {
    const points = this.points;
    this.points = [];
    if (points.length < 3) return;
    await this.ensureObject();
    this.stage.redrawPart(fillPolygon(this.map, points, this.store.selected));
    await this.store.save("polygon");
  }

  leave() {
    this.points = [];
  }

  draw(context, pixel) {
    if (!this.points.length) return;
    context.beginPath();
    for (const point of [...this.points, this.stage.cursor]) context.lineTo(point.x, point.y);
    outline(context, pixel);
  }
}

/** Clicks and boxes are answered by the server; each answer is one edit. */
class Asking extends Tool {
  clicks = [];
  box = null;
  frame = -1;
  #running = Promise.resolve();

  enter() {
    prepare(this.store.frame).catch((error) => this.store.say(error.message, true));
  }

  leave() {
    this.clicks = [];
    this.box = null;
    this.base = null;
  }

  /** Ask with all clicks so far, and put the answer over what was there before them. */
  async ask(what) {
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
    try {
      const mask = await askClicks(frame, clicks, box);
      if (this.store.frame !== frame || this.base !== base) return;
      const labels = this.store.labels;
      labels.set(base);
      const drop = this.#isTooMuch(base, clicks, object);
      for (let k = 0; k < mask.length; k++) {
        if (mask[k]) labels[k] = object;
        else if (drop && base[k] === object) labels[k] = 0;
      }
      this.stage.redrawAll();
      await this.store.save(what);
      this.store.say("Click on what is missing; Alt or right button on what is too much.");
    } catch (error) {
      this.store.say(error.message, true);
    }
  }

  /**
   * What the object had before stays, unless a click says that it was too much: then the clicks
   * alone say where the object is.
   */
  #isTooMuch(base, clicks, object) {
    const { width } = this.store.video;
    return clicks.some(({ x, y, inside }) => !inside && base[y * width + x] === object);
  }
}

class Clicks extends Asking {
  name = "Clicks";
  key = "c";
  hint = "Click on the object; Alt or right button beside it.";

  down(at, outside) {
    const { width, height } = this.store.video;
    const x = Math.floor(at.x), y = Math.floor(at.y);
    if (x < 0 || y < 0 || x >= width || y >= height) return;
    const others = this.clicks.filter((click) => click.inside).length;
    if (outside && !others) {
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

class BoxTool extends Asking {
  name = "Box";
  key = "r";
  hint = "Draw a box around the object: drag, or Enter at two corners.";

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

class Hand extends Tool {
  name = "Move";
  key = "h";
  hint = "Drag the frame. The wheel, or two fingers, zoom.";
  pans = true;

  down() {}
}

function outline(context, pixel) {
  for (const [colour, width] of [["#000000", 3], ["#ffffff", 1.2]]) {
    context.strokeStyle = colour;
    context.lineWidth = width * pixel;
    context.stroke();
  }
}

/** @returns {Record<string, Tool>} by name */
export function makeTools(store, stage, ensureObject) {
  const kinds = { clicks: Clicks, box: BoxTool, brush: Brush, eraser: Eraser, polygon: Polygon, hand: Hand };
  return Object.fromEntries(
    Object.entries(kinds).map(([name, Kind]) => [name, new Kind(store, stage, ensureObject)]),
  );
}
