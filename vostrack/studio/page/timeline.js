/** The timeline: where objects are, which frames look doubtful, and which were drawn by hand. */

import { Presence } from "./presence.js";

export class Timeline {
  #queued = false;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {import("./store.js").Store} store
   * @param {(frame: number) => void} go
   */
  constructor(canvas, store, go) {
    Object.assign(this, { canvas, store, go });
    this.presence = new Presence(store);
    store.addEventListener("open", () => this.presence.forget());
    store.addEventListener("tracked", ({ detail }) => this.presence.add(detail.frame));
    for (const kind of ["frame", "summary", "tracked"]) {
      store.addEventListener(kind, () => this.redraw());
    }
    new ResizeObserver(() => this.redraw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.#seek(event);
    });
    canvas.addEventListener("pointermove", (event) => event.buttons && this.#seek(event));
    canvas.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
      if (steps) this.go(this.store.wanted + steps);
    });
  }

  /**
   * @param {number[]} others frames to look at for other reasons
   * @returns {number | null} the next frame that a person should look at
   */
  nextDoubtful(others) {
    const { tracked, corrected, unmasked } = this.store;
    const doubtful = [...tracked]
      .filter(([frame, one]) => one.doubtful && !corrected.has(frame))
      .map(([frame]) => frame)
      .concat(unmasked.map(([first]) => first), others)
      .sort((a, b) => a - b);
    return doubtful.find((frame) => frame > this.store.frame) ?? doubtful[0] ?? null;
  }

  redraw() {
    if (this.#queued) return;
    this.#queued = true;
    requestAnimationFrame(() => {
      this.#queued = false;
      this.#draw();
    });
  }

  #seek(event) {
    const share = event.offsetX / Math.max(1, this.canvas.clientWidth);
    this.go(Math.floor(share * this.store.video.count));
  }

  #draw() {
    const { canvas, store } = this, ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight, count = store.video.count;
    if (!width || !height) return;
    const context = canvas.getContext("2d"), style = getComputedStyle(canvas);
    const slot = width / count;
    const [doubt, line] = ["--doubt", "--line"].map((name) => style.getPropertyValue(name));
    this.presence.update(width, height, ratio, { doubt, line });
    canvas.width = this.presence.canvas.width;
    canvas.height = this.presence.canvas.height;
    context.drawImage(this.presence.canvas, 0, 0);
    context.scale(ratio, ratio);
    context.fillStyle = style.getPropertyValue("--accent");
    for (const frame of store.corrected) {
      const x = (frame + 0.5) * slot;
      context.beginPath();
      context.moveTo(x - 5, 0);
      context.lineTo(x + 5, 0);
      context.lineTo(x, 10);
      context.fill();
    }
    context.strokeStyle = style.getPropertyValue("--text");
    context.lineWidth = 2;
    context.strokeRect(store.frame * slot + 0.5, 1, Math.max(2, slot - 1), height - 2);
    canvas.setAttribute("aria-valuemax", String(count - 1));
    canvas.setAttribute("aria-valuenow", String(store.frame));
    canvas.setAttribute("aria-valuetext", `Frame ${store.frame}${this.#words(store.frame)}`);
  }

  #words(frame) {
    if (this.store.corrected.has(frame)) return ", drawn by hand";
    const one = this.store.tracked.get(frame);
    if (!one) return ", not tracked";
    return one.doubtful ? ", tracked, doubtful" : ", tracked";
  }
}
