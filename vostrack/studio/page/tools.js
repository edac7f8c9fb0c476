/** The tools: what a pointer, or the crosshair and Enter, does to the label map. */

import { BoxTool, Clicks, ClicksOff } from "./asking.js";
import { same } from "./labels.js";
import { fillPolygon, paintLine } from "./raster.js";
import { NOTHING_CHANGED, outline, Tool } from "./tool.js";

class Brush extends Tool {
  name = "Brush";
  key = "b";
  start = "paint the object";
  hint = "Paint the object; the right button erases. [ and ] change the size.";
  size = 20;
  what = "paint";
  drags = true;
  /** Whether the stroke erases: with the right button, or the other end of a pen. */
  erasing = false;

  constructor(...parts) {
    super(...parts);
    this.store.addEventListener("frame", () => this.#again());
  }

  radius() {
    return this.size / 2;
  }

  value() {
    return this.erasing ? [0, this.store.selected] : [this.store.selected, -1];
  }

  down(at, outside) {
    this.erasing = outside || this.what === "erase";
    this.last = at;
    this.lines = [];
    this.place = this.#place();
    this.store.wanted = this.store.frame; // no frame that is still on its way takes its place
    this.before = this.store.labels.slice();
    this.ready = undefined;
    this.#line(at);
  }

  move(at, painting) {
    if (painting && this.last) this.#line(at);
  }

  up() {
    if (!this.last) return;
    this.last = null;
    this.save(this.erasing ? "erase" : "paint", this.before, this.ready);
  }

  cancel() {
    if (!this.last) return;
    this.last = null;
    this.store.labels.set(this.before);
    this.stage.redrawAll();
  }

  #place() {
    return `${this.store.project}/${this.store.frame}`;
  }

  #line(at) {
    const line = [this.last, at, this.radius(), ...this.value()];
    this.lines.push(line);
    this.stage.redrawPart(paintLine(this.map, ...line));
    this.last = at;
    if (!this.store.objects.length && !this.ready) this.#addObject();
  }

  /** Add the first object, once there is something of it. */
  #addObject() {
    if (same(this.store.labels, this.before)) return;
    this.ready = this.ensureObject;
    this.ready().catch(() => {}); // it is tried again, and said, when the stroke is saved
  }

  /** Paint the stroke again: the tracker, or another tab, has brought another mask in its middle. */
  #again() {
    if (this.place !== this.#place()) this.last = null;
    if (!this.last) return;
    this.before = this.store.labels.slice();
    for (const line of this.lines) paintLine(this.map, ...line);
    this.stage.redrawAll();
  }
}

class Eraser extends Brush {
  name = "Eraser";
  key = "e";
  start = undefined;
  hint = "Erase the selected object. [ and ] change the size.";
  what = "erase";
}

class Polygon extends Tool {
  name = "Polygon";
  key = "p";
  start = "click around its outline";
  hint = "Click the corners. Click on the first or the last again, or press Enter there, to close.";
  points = [];

  down(at) {
    const near = (point, reach) =>
      point && Math.hypot(at.x - point.x, at.y - point.y) < reach / this.stage.view.scale;
    const closes = this.points.length > 2 && near(this.points[0], 10);
    if (closes || near(this.points.at(-1), 4)) this.finish();
    else this.points.push({ ...at });
  }

  async finish() {
    const points = this.points;
    this.points = [];
    if (points.length < 3) return;
    await this.store.loaded;
    if (!this.#changes(points)) {
      this.store.say(NOTHING_CHANGED);
      return;
    }
    await this.ensureObject();
    const before = this.store.labels.slice();
    this.stage.redrawPart(fillPolygon(this.map, points, this.store.selected));
    await this.save("polygon", before);
  }

  /** Whether a polygon would change a pixel: no object is added for one beside the frame. */
  #changes(points) {
    const data = this.store.labels.slice();
    fillPolygon({ ...this.map, data }, points, this.store.selected);
    return !same(data, this.store.labels);
  }

  leave() {
    this.points = [];
  }

  /** Give up what concerns an object. @param {number} id @returns {boolean} whether it was begun */
  drop(id) {
    const begun = this.points.length > 0 && this.store.selected === id;
    if (begun) this.leave();
    return begun;
  }

  draw(context, pixel) {
    if (!this.points.length) return;
    context.beginPath();
    for (const point of [...this.points, this.stage.cursor]) context.lineTo(point.x, point.y);
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

/** @returns {Record<string, Tool>} by name */
export function makeTools(store, stage, ensureObject) {
  const parts = [store, stage, ensureObject], clicks = new Clicks(...parts);
  return {
    clicks,
    off: new ClicksOff(...parts, clicks),
    box: new BoxTool(...parts),
    brush: new Brush(...parts),
    eraser: new Eraser(...parts),
    polygon: new Polygon(...parts),
    hand: new Hand(...parts),
  };
}
