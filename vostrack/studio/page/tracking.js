/** The panel that starts, pauses and stops tracking, and shows how far it is. */

import { dropLabels, steer, track } from "./api.js";

const WAYS = ["forward", "backward", "both", "between"];
const byId = (id) => document.getElementById(id);

/** Whether the tracker is at work, or paused. */
export const isBusy = ({ state }) => ["starting", "running", "paused"].includes(state);

/** @param {import("./store.js").Store} store */
export class TrackingPanel {
  #latest = 0;
  #showing = false;
  #busy = false;

  constructor(store) {
    this.store = store;
    for (const way of WAYS) byId(`track-${way}`).addEventListener("click", () => this.track(way));
    byId("track-pause").addEventListener("click", () => this.#try(steer(this.#paused ? "resume" : "pause")));
    byId("track-stop").addEventListener("click", () => this.#try(steer("stop")));
    byId("drop-correction").addEventListener("click", () => this.#reset(store.frame));
    byId("follow").addEventListener("change", ({ target }) => { store.following = target.checked; });
    store.addEventListener("tracked", ({ detail }) => this.#follow(detail.frame));
    store.addEventListener("job", () => this.#tellEnd());
    for (const kind of ["job", "summary", "frame"]) store.addEventListener(kind, () => this.render());
  }

  get #paused() {
    return this.store.job.state === "paused";
  }

  /** @param {string} way */
  track(way) {
    this.store.following = byId("follow").checked;
    const { frame } = this.store;
    this.store.afterSaving(() => track(frame, way));
  }

  /** Show a frame that was just tracked; those that come meanwhile are left out. */
  async #follow(frame) {
    this.#latest = frame;
    if (!this.store.following || this.#showing) return;
    this.#showing = true;
    while (this.store.following && this.store.frame !== this.#latest) {
      const wanted = this.#latest;
      await this.store.show(wanted).catch((error) => this.store.complain(error));
      if (this.#latest === wanted) break;
    }
    this.#showing = false;
  }

  #tellEnd() {
    const { state } = this.store.job;
    if (state === "starting") this.store.say("Learning the objects");
    if (state === "running" && !this.#busy) this.store.say("Tracking");
    if (this.#busy && state === "idle") this.store.say("Tracking has ended.");
    this.#busy = state === "running" || state === "paused";
  }

  render() {
    const { state, done, total, seconds_left: left, learned = null } = this.store.job;
    const busy = isBusy(this.store.job);
    for (const way of WAYS) byId(`track-${way}`).disabled = busy;
    if (this.store.corrected.size < 2) byId("track-between").disabled = true;
    byId("track-pause").disabled = byId("track-stop").disabled = !busy;
    byId("track-pause").textContent = this.#paused ? "Resume" : "Pause";
    byId("progress").value = learned ?? (busy && total ? done / total : 0);
    byId("progress-text").textContent = words(state, done, total, left, learned);
    byId("drop-correction").disabled = !this.store.corrected.has(this.store.frame);
  }

  /** Bring the tracker's mask back. @param {number} frame */
  #reset(frame) {
    this.store.afterSaving(() => dropLabels(frame));
  }

  #try(promise) {
    promise.catch((error) => this.store.complain(error));
  }
}

function words(state, done, total, left, learned) {
  if (learned !== null) {
    return `${state === "paused" ? "Paused while learning" : "Learning the objects"}, ${Math.round(100 * learned)}%`;
  }
  if (state === "starting") return "Learning the objects";
  if (state === "paused") return `Paused after ${done} of ${total} frames`;
  if (state === "running") {
    const rest = left === null ? "" : `, ${Math.ceil(left)} s left`;
    return `${done} of ${total} frames${rest}`;
  }
  return state === "failed" ? "Tracking failed" : "Not tracking";
}
