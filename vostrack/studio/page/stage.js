/** The frame with its masks: drawing, zooming, and handing pointers to the tool. */

import { Ground } from "./grounds.js";
import { Layers } from "./layers.js";
import { Overlay } from "./overlay.js";
import { View } from "./view.js";

const WHEEL = 1.0015;
// A finger that has moved by so many pixels draws; until then, another one may come and both zoom.
const SLOP = 4;
const ERASER_END = 5; // the button that the other end of a pen is
const SCORES = [255, 214, 0];

export class Stage {
  view = new View();
  cursor = { x: 0, y: 0 };
  ground = new Ground();
  #overlay = new Overlay();
  #soft = new Overlay();
  #pointers = new Map();
  #painting = false;
  /** The touch that has not drawn yet. @type {{at: object, outside: boolean, x: number, y: number} | null} */
  #held = null;
  #queued = false;
  #mode = "overlay";
  #isSoft = false;
  #drawn = null;
  #showCursor = false;
  #colours = new Map();

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {import("./store.js").Store} store
   */
  constructor(canvas, store) {
    this.canvas = canvas;
    this.store = store;
    this.tool = null;
    /** Drawn over the frame, under the tool. @type {{draw: Function}[]} */
    this.extras = [];
    this.layers = new Layers(store, () => this.redrawAll());
    new ResizeObserver(() => this.fit()).observe(canvas.parentElement);
    store.addEventListener("open", () => this.open(store.video));
    store.addEventListener("frame", () => this.redrawAll());
    store.addEventListener("summary", () => this.#takeColours());
    for (const kind of ["pointerdown", "pointermove", "pointerup", "pointercancel"]) {
      canvas.addEventListener(kind, (event) => this[`_${kind}`](event));
    }
    canvas.addEventListener("pointerleave", () => { this.#showCursor = false; this.redraw(); });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("dblclick", () => this.tool?.finish?.());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(WHEEL ** -event.deltaY, event.offsetX, event.offsetY);
    }, { passive: false });
  }

  open(video) {
    const { width, height } = this.#overlay.canvas;
    const same = width === video.width && height === video.height;
    if (same && this.view.aspect === video.pixel_aspect) return;
    this.#overlay.resize(video.width, video.height);
    this.cursor = { x: Math.floor(video.width / 2), y: Math.floor(video.height / 2) };
    this.fit();
  }

  fit() {
    const box = this.canvas.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(box.width * ratio));
    this.canvas.height = Math.max(1, Math.round(box.height * ratio));
    this.view.fit(this.store.video, box.width, box.height);
    this.store.tell("view");
    this.redraw();
  }

  zoom(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    this.view.zoom(factor, x, y);
    this.store.tell("view");
    this.redraw();
  }

  /** @param {string} mode @param {boolean} soft cut-outs with soft edges */
  setMode(mode, soft) {
    this.#mode = mode;
    this.#isSoft = soft && Ground.has(mode);
    this.layers.want(mode === "scores" ? "scores" : this.#isSoft ? "matte" : null);
    this.redrawAll();
  }

  /** Drawing everything takes a moment, and most news of objects do not change their colours. */
  #takeColours() {
    const { objects } = this.store;
    if (objects.length === this.#colours.size
      && objects.every((one) => this.#colours.get(one.id) === one.colour)) return;
    this.#colours = new Map(objects.map((one) => [one.id, one.colour]));
    this.redrawAll();
  }

  redrawAll() {
    const { width, height } = this.store.video;
    this.redrawPart([0, 0, width, height]);
  }

  /** Draw a part of the label map again. @param {[number, number, number, number]} rect */
  redrawPart(rect) {
    if (this.store.labels.length !== this.store.video.width * this.store.video.height) return;
    this.#overlay.draw(this.store.labels, this.#colours, rect, Ground.has(this.#mode));
    this.#drawSoft();
    this.redraw();
  }

  #drawSoft() {
    const values = this.layers.values;
    if (!values || this.#drawn === values) return;
    this.#drawn = values;
    const { width, height } = this.store.video;
    this.#soft.resize(width, height);
    this.#soft.drawValues(values, SCORES);
  }

  redraw() {
    if (this.#queued) return;
    this.#queued = true;
    requestAnimationFrame(() => {
      this.#queued = false;
      this.#draw();
    });
  }

  #draw() {
    const context = this.canvas.getContext("2d");
    const ratio = window.devicePixelRatio || 1;
    const { width, height } = this.store.video;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const { scale, aspect, x, y } = this.view;
    context.setTransform(ratio * scale * aspect, 0, 0, ratio * scale, ratio * x, ratio * y);
    context.imageSmoothingEnabled = scale < 3;
    if (!this.store.picture) return;
    const soft = this.layers.values ? this.#soft.canvas : null;
    if (Ground.has(this.#mode)) {
      this.ground.draw(context, this.#mode, this.store.picture, soft ?? this.#overlay.canvas);
    } else {
      context.drawImage(this.store.picture, 0, 0, width, height);
      if (this.#mode === "overlay") context.drawImage(this.#overlay.canvas, 0, 0);
      if (this.#mode === "scores" && soft) context.drawImage(soft, 0, 0);
    }
    for (const extra of this.extras) extra.draw(context, 1 / scale);
    this.tool?.draw?.(context, 1 / scale);
    this.#drawCursor(context, 1 / scale);
  }

  #drawCursor(context, pixel) {
    const focused = document.activeElement === this.canvas;
    if (!this.#showCursor && !focused) return;
    const { x, y } = this.cursor;
    const radius = Math.max(this.tool?.radius?.() ?? 0, 6 * pixel);
    for (const [colour, width] of [["#000000", 3], ["#ffffff", 1.2]]) {
      context.strokeStyle = colour;
      context.lineWidth = width * pixel;
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      if (!this.tool?.radius) this.#drawSign(context, x, y, 4 * pixel);
      context.stroke();
    }
  }

  /** Plus, or minus for the tool that takes away. */
  #drawSign(context, x, y, reach) {
    context.moveTo(x - reach, y);
    context.lineTo(x + reach, y);
    if (this.tool?.takesAway) return;
    context.moveTo(x, y - reach);
    context.lineTo(x, y + reach);
  }

  #at(event) {
    const box = this.canvas.getBoundingClientRect();
    return this.view.toFrame(event.clientX - box.left, event.clientY - box.top);
  }

  _pointerdown(event) {
    const { pointerType: type, clientX: x, clientY: y } = event;
    if (type === "touch" && this.#isPen()) return; // the hand that holds it
    this.store.following = false;
    this.canvas.focus({ focusVisible: false });
    this.canvas.setPointerCapture(event.pointerId);
    if (this.#pointers.size) this.#giveUp();
    if (type === "pen") this.#pointers.clear();
    this.#pointers.set(event.pointerId, { x, y, type });
    const hand = event.button === 1 || this.tool?.pans || this.#pointers.size > 1;
    this.#painting = !hand;
    this.cursor = this.#at(event);
    const outside = [2, ERASER_END].includes(event.button) || event.altKey;
    if (this.#painting) this.#held = { at: this.cursor, outside, x, y };
    if (type !== "touch") this.#begin();
    this.redraw();
  }

  #isPen() {
    return [...this.#pointers.values()].some(({ type }) => type === "pen");
  }

  /** Let the tool begin where the pointer came down. */
  #begin() {
    const held = this.#held;
    this.#held = null;
    if (held) this.tool?.down(held.at, held.outside);
  }

  /** Forget what is being drawn. */
  #giveUp() {
    if (this.#painting && !this.#held) this.tool?.cancel?.();
    this.#held = null;
    this.#painting = false;
  }

  _pointermove(event) {
    const known = this.#pointers.get(event.pointerId);
    if (!known && event.pointerType === "touch") return;
    this.#showCursor = event.pointerType !== "touch";
    if (known && !this.#painting) this.#move(event, known);
    if (known) this.#pointers.set(event.pointerId, { ...known, x: event.clientX, y: event.clientY });
    if (this.#held) {
      const far = Math.hypot(event.clientX - this.#held.x, event.clientY - this.#held.y) > SLOP;
      if (!far || !known || !this.tool?.drags) return;
      this.#begin();
    }
    const all = this.#painting ? event.getCoalescedEvents?.() ?? [] : [];
    for (const one of all.length ? all : [event]) {
      this.cursor = this.#at(one);
      if (this.#painting || !known) this.tool?.move?.(this.cursor, this.#painting);
    }
    this.redraw();
  }

  _pointerup(event) {
    if (!this.#pointers.delete(event.pointerId)) return;
    this.#begin();
    if (this.#painting) this.tool?.up?.(this.#at(event));
    this.#painting = false;
    this.redraw();
  }

  /** End what is being drawn as if the pointer were lifted. */
  lift() {
    this.#begin();
    if (this.#painting) this.tool?.up?.(this.cursor);
    this.#painting = false;
  }

  _pointercancel(event) {
    if (this.#pointers.delete(event.pointerId)) this.#giveUp();
  }

  /** Pan with one pointer, zoom with two. */
  #move(event, before) {
    const other = [...this.#pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.view.pan((event.clientX - before.x) / (other ? 2 : 1), (event.clientY - before.y) / (other ? 2 : 1));
    if (!other) return;
    const box = this.canvas.getBoundingClientRect();
    const span = (at) => Math.hypot(at.x - other.x, at.y - other.y) || 1;
    const factor = span({ x: event.clientX, y: event.clientY }) / span(before);
    this.zoom(factor, (event.clientX + other.x) / 2 - box.left, (event.clientY + other.y) / 2 - box.top);
  }

  /** Move the crosshair by keys. */
  nudge(dx, dy) {
    const { width, height } = this.store.video;
    this.cursor = {
      x: Math.min(width - 1, Math.max(0, this.cursor.x + dx)),
      y: Math.min(height - 1, Math.max(0, this.cursor.y + dy)),
    };
    this.tool?.move?.(this.cursor, false);
    this.redraw();
  }

  /** Use the tool at the crosshair. */
  press(outside) {
    this.tool?.down(this.cursor, outside);
    this.tool?.up?.(this.cursor);
    this.redraw();
  }
}
