/** Opening a video: from the list, by its path, or by dropping it on the page. */

import { listVideos, openVideo, sendVideo } from "./api.js";
import { isBusy } from "./tracking.js";

const IMAGE = /\.(apng|avifs?|bmp|jpe?g|p[gnp]m|png|tiff?|webp)$/i;
const VIDEO = /\.(3gp|avi|gif|m2ts|m4v|mjpeg|mkv|mov|mp4|mpe?g|mts|mxf|ogv|ts|webm|wmv|y4m)$/i;
const byId = (id) => document.getElementById(id);

export class OpenDialog {
  #busy = false;

  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.store = store;
    this.dialog = byId("open-dialog");
    byId("open").addEventListener("click", () => this.show());
    byId("open-close").addEventListener("click", () => this.dialog.close());
    byId("open-path-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#open(byId("open-path").value.trim());
    });
    byId("open-file").addEventListener("change", ({ target }) => this.#sendList([...target.files], ""));
    byId("open-folder").addEventListener("change", ({ target }) => {
      const files = [...target.files], parts = files[0]?.webkitRelativePath.split("/") ?? [];
      const direct = files.filter((one) => one.webkitRelativePath.split("/").length === 2);
      this.#sendList(direct, parts[0] ?? "");
    });
    store.addEventListener("empty", () => this.show());
    store.addEventListener("project", () => this.dialog.close());
    this.#listenToDrops();
  }

  async show() {
    if (this.dialog.open) return;
    this.#say("");
    this.dialog.showModal();
    try {
      const { folders, videos } = await listVideos();
      byId("open-where").textContent = folders.join(", ");
      byId("open-list").replaceChildren(...videos.map((path) => this.#row(path, folders)));
      if (!videos.length) this.#say("There is no video in this folder. Drop one here.");
    } catch (error) {
      this.#say(error.message, true);
    }
  }

  #row(path, folders) {
    const row = document.createElement("li"), button = document.createElement("button");
    const home = folders.find((folder) => path.startsWith(`${folder}/`));
    button.type = "button";
    button.textContent = home ? path.slice(home.length + 1) : path;
    button.addEventListener("click", () => this.#open(path));
    row.append(button);
    return row;
  }

  #open(path) {
    return this.#work("Opening", async () => { await openVideo(path); });
  }

  /** @param {File[]} files @param {string} title of a folder */
  #sendList(files, title) {
    const single = files.length === 1 && !IMAGE.test(files[0].name);
    const kept = single ? files : files.filter((one) => IMAGE.test(one.name) && !one.name.startsWith("."));
    if (!kept.length) {
      this.#say(files.length > 1 && files.some((one) => VIDEO.test(one.name))
        ? "One video can be opened at a time: choose or drop one file, or images that are its frames."
        : "There is no video and no image among these files.", true);
      return undefined;
    }
    const name = single ? files[0].name : title || "frames";
    return this.#work("Copying", async (tell) => {
      const isNew = await sendVideo(name, kept, tell);
      return () => {
        const known = this.store.video.name;
        if (!isNew && known !== name) this.store.say(`${name} is known here as ${known}: its project is open.`);
      };
    });
  }

  async #work(word, task) {
    if (this.#busy || !this.#mayStopTracking()) return;
    this.#busy = true;
    const before = this.store.project;
    this.#say(word);
    try {
      const tellEnd = await task((share) => this.#say(`${word}: ${Math.floor(share * 100)} %`));
      this.#busy = false; // it is open on the server; another may be asked for while it loads
      await this.store.load();
      // It was open already; if not, the dialog has closed with the change, and may be open again.
      if (this.store.project === before) this.dialog.close();
      tellEnd?.();
    } catch (error) {
      await this.show();
      this.#say(error.message, true);
    }
    this.#busy = false;
  }

  #mayStopTracking() {
    return !isBusy(this.store.job) || window.confirm("Opening another video stops the tracking of"
      + ` ${this.store.video.name}. Finished frames stay. Stop it?`);
  }

  #listenToDrops() {
    const target = document.documentElement;
    target.addEventListener("dragover", (event) => {
      event.preventDefault();
      document.body.classList.add("dropping");
    });
    target.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) document.body.classList.remove("dropping");
    });
    target.addEventListener("drop", async (event) => {
      event.preventDefault();
      document.body.classList.remove("dropping");
      const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
      const plain = [...event.dataTransfer.files];
      const folder = entries.find((entry) => entry.isDirectory);
      await this.show();
      if (folder) this.#sendList(await filesOf(folder), folder.name);
      else this.#sendList(plain, "");
    });
  }

  #say(text, error = false) {
    byId("open-words").textContent = text;
    byId("open-words").classList.toggle("error", error);
  }
}

/** @param {FileSystemDirectoryEntry} folder @returns {Promise<File[]>} the files right in it */
async function filesOf(folder) {
  const reader = folder.createReader(), entries = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    entries.push(...some);
  }
  const files = entries.filter((entry) => entry.isFile);
  return Promise.all(files.map((entry) => new Promise((resolve, reject) => entry.file(resolve, reject))));
}
