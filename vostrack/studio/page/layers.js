/** The soft matte, or the tracker's scores, of the frame that is shown; loaded when looked at. */

import { loadLayer } from "./api.js";

export class Layers {
  #kind = null;
  #found = null;
  #loading = false;

  /**
   * @param {import("./store.js").Store} store
   * @param {() => void} changed is called when a layer has come
   */
  constructor(store, changed) {
    Object.assign(this, { store, changed });
    store.addEventListener("frame", () => this.#load());
    // The layer may have come before the answer that tells which label map it belongs to.
    store.addEventListener("saved", () => (this.values ? this.changed() : this.#load()));
  }

  /** Say what is looked at. @param {"matte" | "scores" | null} kind */
  want(kind) {
    this.#kind = kind;
    this.#load();
  }

  /** @returns {Uint8Array | null} null while it has not come */
  get values() {
    return this.#fits() ? this.#found.values : null;
  }

  #fits() {
    const { frame, tag, project } = this.store, found = this.#found;
    return found !== null && found.kind === this.#kind && found.frame === frame && found.tag === tag
      && found.project === project;
  }

  async #load() {
    if (this.#loading || !this.#kind || !this.store.project || this.#fits()) return;
    this.#loading = true;
    const { frame, project } = this.store, kind = this.#kind;
    try {
      this.#found = { kind, frame, project, ...(await loadLayer(frame, kind)) };
    } catch (error) {
      this.store.complain(error);
    }
    this.#loading = false;
    this.changed();
    // The page went on meanwhile.
    if (this.#found?.frame !== this.store.frame || this.#found?.kind !== this.#kind) this.#load();
  }
}
