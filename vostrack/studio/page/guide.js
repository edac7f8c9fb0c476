/** A line that says what to do next, and the button that does it. */

import { isBusy } from "./tracking.js";
import { withoutMask } from "./words.js";

const byId = (id) => document.getElementById(id);

/** The way that reaches every frame, from the first frame with a mask. */
const wayFrom = (store) => (Math.min(...store.corrected) === 0 ? "Forward" : "Both ways");
const BUTTONS = { Forward: "track-forward", "Both ways": "track-both" };

/** Each step: its words, and the button that takes to the next one. */
const STEPS = {
  open: () => ["Open a video to begin.", "open"],
  outline: (store, start) => [`1 of 4. Find a frame that shows the whole object, and ${start}. Or press Suggest.`],
  outlined: (store) => [`2 of 4. Too little? Click again. Too much? Click −. Another object? Add it. Then press ${wayFrom(store)}.`,
    BUTTONS[wayFrom(store)]],
  elsewhere: (store) => [`2 of 4. You outlined an object in frame ${Math.min(...store.corrected)}. Go there, and press ${wayFrom(store)}.`],
  tracking: () => ["3 of 4. Watch. Pause or stop when something goes wrong: finished frames stay."],
  changed: () => ["You changed this frame. Forward redoes those after it, Fill the gap those up to another drawn one.",
    "track-forward"],
  stopped: () => ["4 of 4. Forward goes on from here. Or press Play, correct the first frame that is wrong, and export.",
    "track-forward"],
  partly: (store) => {
    const [first, last] = store.unmasked[0];
    const way = first ? `frame ${first - 1} and press Forward` : `frame ${last + 1} and press Backward`;
    return [`4 of 4. ${withoutMask(store.unmasked.slice(0, 1)).slice(0, -1)}: go to ${way}. Then export.`, "export"];
  },
  tracked: () => ["4 of 4. Press Play. Correct a wrong frame by Click, Brush or Eraser, press Forward. Then export.",
    "export"],
};

/** @param {import("./store.js").Store} store @returns {keyof STEPS} */
function stepOf(store) {
  if (!store.project) return "open";
  if (isBusy(store.job)) return "tracking";
  if (!store.corrected.size) return "outline";
  const drawn = store.corrected.has(store.frame);
  if (!store.tracked.size) return drawn ? "outlined" : "elsewhere";
  if (drawn && store.changed.has(store.frame)) return "changed";
  const has = (frame) => store.corrected.has(frame) || store.tracked.has(frame);
  const ends = store.frame + 1 < store.video.count && has(store.frame) && !has(store.frame + 1);
  if (ends) return "stopped";
  return store.unmasked.length ? "partly" : "tracked";
}

export class Guide {
  #button = null;

  /**
   * @param {import("./store.js").Store} store
   * @param {() => string} start what the chosen tool does first, in words
   */
  constructor(store, start) {
    Object.assign(this, { store, start });
    for (const kind of ["empty", "open", "frame", "summary", "job", "tool"]) {
      store.addEventListener(kind, () => this.render());
    }
  }

  render() {
    const [words, button] = STEPS[stepOf(this.store)](this.store, this.start());
    if (byId("guide").textContent !== words) byId("guide").textContent = words;
    if (this.#button !== button) {
      if (this.#button) byId(this.#button).classList.remove("primary");
      if (button) byId(button).classList.add("primary");
      this.#button = button;
    }
  }
}
