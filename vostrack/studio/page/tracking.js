/** The panel that starts, pauses and stops tracking, and shows how far it is. */

import { dropLabels, steer, track } from "./api.js";

const WAYS = ["forward", "backward", "both", "between"];
const byId = (id) => document.getElementById(id);

/** @param {import("./store.js").Store} store */
export class TrackingPanel {
  constructor(store) {
    this.store = store;
    for (const way of WAYS) byId(`track-${way}`).addEventListener("click", () => this.track(way));
    byId("track-pause").addEventListener("click", () => this.#try(steer(this.#paused ? "resume" : "pause")));
    byId("track-stop").addEventListener("click", () => this.#try(steer("stop")));
    byId("drop-correction").addEventListener("click", () => this.#try(dropLabels(store.frame)));
    for (const kind of ["job", "summary", "frame"]) store.addEventListener(kind, () => this.render());
  }

  get #paused() {
    return this.store.job.state === "paused";
  }

  /** @param {string} way */
  track(way) {
    this.#try(track(this.store.frame, way));
  }

  render() {
    const { state, done, total, seconds_left: left } = this.store.job;
    const busy = ["starting", "running", "paused"].includes(state);
    for (const way of WAYS) byId(`track-${way}`).disabled = busy;
    byId("track-pause").disabled = byId("track-stop").disabled = !busy;
    byId("track-pause").textContent = this.#paused ? "Resume" : "Pause";
    byId("progress").value = busy && total ? done / total : 0;
    byId("progress-text").textContent = words(state, done, total, left);
    byId("drop-correction").disabled = !this.store.corrected.has(this.store.frame);
  }

  #try(promise) {
    promise.catch((error) => this.store.say(error.message, true));
  }
}

function words(state, done, total, left) {
  if (state === "starting") return "Learning the objects";
  if (state === "paused") return `Paused after ${done} of ${total} frames`;
  if (state === "running") {
    const rest = left === null ? "" : `, ${Math.ceil(left)} s left`;
    return `${done} of ${total} frames${rest}`;
  }
  return state === "failed" ? "Tracking failed" : "Not tracking";
}
