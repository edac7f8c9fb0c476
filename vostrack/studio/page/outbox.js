/** What was drawn and is not saved yet: sent in order, and again until it is saved. */

import { ConflictError, loadLabels, OtherVideoError, RefusedError, saveLabels } from "./api.js";
import { redraw, same } from "./labels.js";

const RETRY_MILLISECONDS = 2000;

/**
 * @typedef {object} Edit
 * @property {string} project the key of what it was drawn in
 * @property {string} video the name of its video
 * @property {number} frame
 * @property {Uint8Array} labels the whole label map
 * @property {Uint8Array} before what it was drawn on
 * @property {string} what in words, for undo
 * @property {string | null} tag of the label map that it was drawn on; null while that is not saved
 * @property {() => Promise<unknown>} [ready] what must be done first, such as adding its object
 * @property {boolean} [late] whether it had to wait: then it is said that it is saved
 * @property {string} [heard] the tag that the last news of this frame named since it was drawn
 * @property {boolean} [redrawn] whether it was drawn again, on what another tab had drawn meanwhile
 * @property {boolean} [saved]
 */

export class Outbox {
  /** @type {Edit[]} oldest first */
  #edits = [];
  #sending = Promise.resolve();
  #retry = 0;
  /** What can never be saved, in words. @type {string[]} */
  #lost = [];
  #losses = 0;

  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.store = store;
  }

  /** Whether something is not saved. */
  get empty() {
    return !this.#edits.length;
  }

  /** Ends when what is being sent has been saved, or could not be. @returns {Promise<void>} */
  get sending() {
    return this.#sending;
  }

  /** Return what was drawn last in a frame, if it is not saved. @returns {Edit | undefined} */
  latest(frame) {
    return this.#here().findLast((edit) => edit.frame === frame);
  }

  /** @param {Edit} edit @returns {Promise<boolean>} whether it is saved */
  async add(edit) {
    const before = this.latest(edit.frame);
    const added = { ...edit, tag: before ? null : edit.tag };
    this.#edits.push(added);
    await this.send();
    return Boolean(added.saved);
  }

  /** Send all that belongs to the open video. @returns {Promise<boolean>} whether it is saved */
  send() {
    const before = this.#losses;
    this.#sending = this.#sending.then(() => this.#sendAll());
    return this.#sending.then(() => !this.#here().length && this.#losses === before);
  }

  /** Say what is kept for videos that are not open. */
  sayElsewhere() {
    const names = new Set(this.#edits.filter((one) => one.project !== this.store.project)
      .map((one) => one.video));
    if (!names.size) return false;
    this.store.say(`What you drew in ${[...names].join(", ")} is kept here, and saved when that is open again.`, true);
    return true;
  }

  #here() {
    return this.#edits.filter((edit) => edit.project === this.store.project);
  }

  async #sendAll() {
    clearTimeout(this.#retry);
    let late = false;
    for (let [edit] = this.#here(); edit; [edit] = this.#here()) {
      try {
        await edit.ready?.();
        const tag = await this.#save(edit);
        edit.saved = true;
        late ||= Boolean(edit.late);
        this.#remove(edit, tag);
        this.store.took(edit, tag);
      } catch (error) {
        if (!(error instanceof RefusedError)) return this.#keep(error);
        this.#losses += 1;
        this.#lost.push(`frame ${edit.frame}: ${error.message}`);
        this.#remove(edit, edit.tag);
        this.store.took(edit, null);
      }
    }
    this.#sayEnd(late);
    return undefined;
  }

  /**
   * Save an edit. If another tab, or the tracker, was faster, it is drawn on what they made of the
   * frame. It may be there already: a server that stops at once has saved, but not answered.
   */
  async #save(edit) {
    for (;;) {
      try {
        return await saveLabels(edit);
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
      }
      const { labels, tag } = await loadLabels(edit.frame, edit.project);
      this.#redraw(edit, labels, tag);
      if (same(labels, edit.labels)) return tag;
    }
  }

  /** Draw an edit, and those on top of it, on another label map. */
  #redraw(edit, labels, tag) {
    edit.tag = tag;
    const { project, frame } = edit;
    for (const one of this.#edits.filter((one) => one.project === project && one.frame === frame)) {
      const drawn = redraw(labels, one.before, one.labels);
      Object.assign(one, { before: labels, labels: drawn, redrawn: true });
      labels = drawn;
    }
  }

  /** What was drawn on top of it comes next. */
  #remove(edit, tag) {
    const next = this.#edits.find((one) => one !== edit && one.project === edit.project
      && one.frame === edit.frame);
    if (next) next.tag = tag;
    this.#edits.splice(this.#edits.indexOf(edit), 1);
  }

  #keep(error) {
    for (const edit of this.#edits) edit.late = true;
    if (error instanceof OtherVideoError) {
      this.store.complain(error);
      return;
    }
    this.#retry = setTimeout(() => this.send(), RETRY_MILLISECONDS);
    this.store.say(`${error.message} What you drew is kept here and sent again.`, true);
  }

  #sayEnd(late) {
    if (this.#lost.length) this.store.say(`Not saved: what you drew in ${this.#lost.join("; ")}`, true);
    else if (late && !this.sayElsewhere()) this.store.say("Saved.");
    this.#lost = [];
  }
}
