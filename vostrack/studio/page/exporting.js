/** The panel that writes exports, and offers the last one for as long as it is of today's masks. */

import { exportLink, loadExports, makeExport } from "./api.js";
import { sentence, withoutMask } from "./words.js";

const OLDER = "The masks changed while it was written: export again for what is shown now.";
const byId = (id) => document.getElementById(id);

export class ExportPanel {
  /** The newest version of the project when the export was offered. */
  #version = 0;

  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.store = store;
    byId("export").addEventListener("click", () => this.write());
    store.addEventListener("project", () => this.#hide());
    for (const kind of ["summary", "tracked"]) {
      // News of what was drawn before it may come after it.
      store.addEventListener(kind, () => { if (store.version > this.#version) this.#hide(); });
    }
  }

  /** List the formats. */
  async fill() {
    const choices = await loadExports();
    for (const group of new Set(choices.map((one) => one.group))) {
      const part = document.createElement("optgroup");
      part.label = group;
      part.append(...choices.filter((one) => one.group === group)
        .map(({ title, name }) => new Option(title, name)));
      byId("export-format").append(part);
    }
  }

  /** Write the chosen format, and offer what was written. */
  write() {
    const select = byId("export-format"), { store } = this, { project } = store;
    this.#hide();
    store.say(`Writing ${select.selectedOptions[0].textContent}`);
    return store.afterSaving(async () => {
      const { file, notes, version, ...answer } = await makeExport(select.value);
      if (store.project !== project) return; // its link would lead to an export of another video
      const older = answer.older || store.version > version;
      this.#version = Math.max(version, store.version);
      this.#offer(file, older);
      const missing = store.unmasked;
      store.say([`${file} is ready.`, ...(older ? [OLDER] : []),
        ...(missing.length ? [withoutMask(missing)] : []), ...notes.map(sentence)].join(" "));
    });
  }

  #offer(file, older) {
    const link = byId("export-link");
    link.href = exportLink(file);
    link.textContent = `Download ${file}`;
    link.title = link.textContent;
    link.hidden = false;
    byId("export-note").hidden = !older;
  }

  #hide() {
    byId("export-link").hidden = byId("export-note").hidden = true;
  }
}
