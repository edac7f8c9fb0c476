/** What the page knows, and who wants to hear of changes. */

import * as api from "./api.js";
import { goneFrom, haveOtherMasks } from "./ends.js";
import { listen } from "./news.js";
import { Outbox } from "./outbox.js";
import { Recent } from "./recent.js";

export class Store extends EventTarget {
  /** The key of the open project; empty while no video is open. */
  project = "";
  video = { width: 1, height: 1, count: 1, rate: 25 };
  objects = [];
  corrected = new Set();
  /** The objects in each frame that was drawn by hand. @type {Map<number, number[]>} */
  drawn = new Map();
  /** The objects that were taken out of each frame by hand. @type {Map<number, number[]>} */
  erased = new Map();
  /** @type {Map<number, {presence: [number, number][], doubtful: boolean}>} */
  tracked = new Map();
  job = { state: "idle" };
  /** Frames that were drawn since the last tracking. @type {Set<number>} */
  changed = new Set();
  /** Whether frames are shown as they are tracked. */
  following = false;
  undo = null;
  redo = null;
  frame = 0;
  selected = 1;
  /** @type {Uint8Array} */
  labels = new Uint8Array(1);
  tag = "empty";
  /** @type {ImageBitmap | null} */
  picture = null;
  #pictures = new Recent();
  #labels = new Recent();
  #outbox = new Outbox(this);
  /** The last loading of all masks. @type {Promise<void>} */
  loaded = Promise.resolve();
  #loading = Promise.resolve();
  #loads = 0;
  /** News that wait for a loading. @type {(() => void)[]} */
  #later = [];
  nextId = 1;
  /** Rises with every change of masks or objects that is heard of. */
  version = 0;
  wanted = 0;
  #said = "";

  /** @param {string} kind @param {object} [detail] */
  tell(kind, detail = {}) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }

  /** @param {string} text @param {boolean} [error] */
  say(text, error = false) {
    this.#said = text;
    this.tell("words", { text, error });
  }

  /** Say what went wrong. That another video is open is no fault: then it is shown. */
  complain(error) {
    if (!(error instanceof api.OtherVideoError)) this.say(error.message, true);
    else if (!this.#loads) this.#attempt(this.load());
  }

  /** Load everything anew; one loading after the other. @returns {Promise<void>} */
  load() {
    this.#loads += 1;
    const work = this.#loading.then(() => this.#load());
    this.#loading = work.catch(() => {});
    return work;
  }

  async #load() {
    try {
      this.#take(await api.loadState());
    } finally {
      this.#loads -= 1;
      this.#hearLater();
    }
    this.#outbox.send();
    if (this.project) await this.show(Math.min(this.wanted, this.video.count - 1));
  }

  #take(state) {
    const other = state.project !== this.project;
    api.useProject(state.project);
    if (other) this.#change(state.project);
    if (!state.project) {
      this.tell("empty");
      this.#outbox.sayElsewhere();
      return;
    }
    this.video = state.video;
    this.tracked = new Map(state.tracked);
    this.job = state.job;
    this.#labels.clear();
    this.tell("open");
    if (other) {
      this.tell("project");
      this.#outbox.sayElsewhere();
    }
    this.#takeSummary(state);
    this.tell("job");
  }

  #change(project) {
    this.project = project;
    this.#pictures.clear();
    this.frame = this.wanted = 0;
    this.following = false;
    this.changed.clear();
    this.selected = 1;
  }

  /** Hear news. @returns {Promise<void>} when whatever came before the connection is known */
  async listen() {
    let trouble = "", begun;
    const load = async () => {
      try {
        await this.load();
        // Whatever else was said since, such as what was lost, stays.
        if (trouble && this.#said === trouble) this.say("Ready");
        trouble = "";
      } catch (error) {
        trouble = error.message;
        this.complain(error);
      }
      begun();
    };
    const take = {
      hello: load,
      reload: load,
      project: load,
      job: (job) => this.#takeJob(job),
      frame: (news) => this.#takeFrame(news),
      edit: (news) => this.#takeEdit(news),
      trouble: (news) => this.#takeTrouble(news),
    };
    listen((kind, news) => {
      if (kind === "error") load(); // says what is wrong
      else if (kind !== "open") this.#later.push(() => take[kind](news));
      // What is loaded may be older than news that come meanwhile: they are taken up after it.
      this.#hearLater();
    });
    await new Promise((resolve) => { begun = resolve; });
  }

  #takeTrouble({ trouble }) {
    this.video.trouble = trouble;
    this.tell("trouble");
  }

  #takeJob(job) {
    this.job = job;
    if (job.state === "starting") this.changed.clear();
    if (job.state === "failed") this.say(job.message, true);
    this.tell("job");
  }

  #takeFrame(news) {
    this.tracked.set(news.frame, news);
    this.version = news.version;
    this.#labels.delete(news.frame);
    this.tell("tracked", news);
    if (news.frame === this.frame) this.#attempt(this.#refresh());
  }

  #takeEdit(news) {
    if (news.frame !== null) this.changed.add(news.frame);
    const others = haveOtherMasks(this.objects, news.objects, this.nextId);
    this.#takeSummary(news);
    // A deleted or ended object takes its masks with it, and brings them back.
    if (others) this.loaded = this.#attempt(this.load());
    if (news.frame === null) return;
    const held = this.#outbox.latest(news.frame);
    if (held) held.heard = news.tag;
    // What this page drew itself is known.
    if (this.#labels.get(news.frame)?.tag !== news.tag) this.#labels.delete(news.frame);
    if (news.frame === this.frame && news.tag !== this.tag) this.#attempt(this.#refresh());
  }

  #hearLater() {
    while (!this.#loads && this.#later.length) this.#later.shift()();
  }

  /** Show a frame. @param {number} frame @returns {Promise<void>} */
  async show(frame) {
    this.wanted = frame;
    await this.#outbox.sending;
    const [picture, loaded] = await Promise.all([this.#picture(frame), this.#found(frame)]);
    if (this.wanted !== frame) return;
    // What was drawn may have been saved while the picture came.
    const found = this.#outbox.latest(frame) ?? this.#labels.get(frame) ?? loaded;
    this.frame = frame;
    this.picture = picture;
    this.labels = found.labels.slice();
    this.tag = found.tag;
    this.tell("frame");
  }

  /** Load frames that will be shown soon. @param {number} frame */
  prefetch(frame) {
    if (frame >= this.video.count) return;
    this.#picture(frame).catch(() => {});
    this.#found(frame).catch(() => {});
  }

  /**
   * Save what is shown in this frame.
   * @param {string} what
   * @param {Uint8Array} before the labels as they were before it was drawn
   * @param {() => Promise<unknown>} [ready] what must be done first
   * @returns {Promise<boolean>} whether it is saved; if not, it is said why
   */
  save(what, before, ready) {
    const { project, frame, tag } = this, labels = this.labels.slice();
    return this.#outbox.add({ project, video: this.video.name, frame, labels, before, what, tag, ready });
  }

  /**
   * Do what needs all that is drawn to be saved, or would change its frame under it. What cannot be
   * saved is said, and nothing is done; an error of the task is said, too.
   * @param {() => unknown} task
   */
  async afterSaving(task) {
    try {
      if (await this.#outbox.send()) await task();
    } catch (error) {
      this.complain(error);
    }
  }

  /** Whether work would be lost if the page were closed. */
  get unsaved() {
    return !this.#outbox.empty;
  }

  /** Take note that an edit is saved. @param {import("./outbox.js").Edit} edit @param {string | null} tag null: refused */
  took(edit, tag) {
    const { project, frame, labels } = edit;
    if (project !== this.project) return;
    if (this.frame === frame) this.tag = (!edit.redrawn && tag) || ""; // none: the server's is shown
    // News that came before the answer may have told of a later edit: then the server is asked.
    if (tag !== null && [undefined, tag].includes(edit.heard)) this.#labels.set(frame, { labels, tag });
    else this.#labels.delete(frame);
    if (tag !== null) this.tell("saved");
    this.#attempt(this.#refresh());
  }

  /** @returns {[number, number][]} first and last of each run of frames without a mask */
  get unmasked() {
    const runs = [];
    for (let frame = 0; frame < this.video.count; frame++) {
      if (this.corrected.has(frame) || this.tracked.has(frame)) continue;
      if (runs.at(-1)?.[1] === frame - 1) runs.at(-1)[1] = frame;
      else runs.push([frame, frame]);
    }
    return runs;
  }

  colour(id) {
    return this.objects.find((one) => one.id === id)?.colour ?? "#808080";
  }

  /** Say what went wrong, in work that nobody waits for. @param {Promise<void>} work */
  async #attempt(work) {
    try {
      await work;
    } catch (error) {
      this.complain(error);
    }
  }

  async #picture(frame) {
    if (!this.#pictures.get(frame)) this.#pictures.set(frame, api.loadPicture(frame));
    try {
      return await this.#pictures.get(frame);
    } catch (error) {
      this.#pictures.delete(frame);
      throw error;
    }
  }

  async #found(frame) {
    const held = this.#outbox.latest(frame);
    if (held) return held;
    const known = this.#labels.get(frame);
    if (known) return known;
    const found = await api.loadLabels(frame);
    this.#labels.set(frame, found);
    return found;
  }

  /** Show the server's label map of this frame, if it is another than ours. */
  async #refresh() {
    const frame = this.frame, drawn = () => this.#outbox.latest(frame);
    if (drawn()) return;
    const found = await this.#found(frame);
    if (frame !== this.frame || drawn() || found.tag === this.tag) return;
    this.labels = found.labels.slice();
    this.tag = found.tag;
    this.tell("frame");
  }

  #takeSummary(news) {
    const gone = goneFrom(this.frame, this.objects, news.objects);
    if (gone.length) this.tell("gone", { objects: gone }); // before the list chooses another object
    this.nextId = news.next_id;
    this.version = news.version;
    this.objects = news.objects;
    this.drawn = new Map(news.drawn);
    this.erased = new Map(news.erased);
    this.corrected = new Set(this.drawn.keys());
    this.undo = news.undo;
    this.redo = news.redo;
    this.tell("summary");
  }
}
