/** The list of objects: choosing, naming, colouring, ending and deleting them. */

import { addObject, changeObject, deleteObject } from "./api.js";

// News of an edit take a few milliseconds; a server that is busy, longer.
const NEWS_MS = 3000;

/**
 * @param {import("./store.js").Store} store
 * @param {HTMLElement} list
 */
export class ObjectList {
  #coming = null;
  #turn = Promise.resolve();
  /** @type {Map<number, ObjectRow>} by id */
  #rows = new Map();

  constructor(store, list) {
    Object.assign(this, { store, list });
    store.addEventListener("summary", () => this.render());
    store.addEventListener("frame", () => this.render());
  }

  /** Make the first object, if there is none. @returns {Promise<unknown>} fails where it cannot */
  ensure() {
    return this.#queue(() => (this.store.objects.length ? null : this.#add()));
  }

  /** Add an object. @returns {Promise<number | null>} its id; null if that failed, which is said */
  async add() {
    const before = this.store.selected;
    try {
      return await this.#queue(() => this.#add());
    } catch (error) {
      this.store.selected = before;
      this.render();
      this.store.complain(error);
      return null;
    }
  }

  /** One after the other, so that two quick keys make two. */
  #queue(task) {
    const work = this.#turn.then(task);
    this.#turn = work.catch(() => {});
    return work;
  }

  async #add() {
    // Most likely its id: whoever paints at once paints with it.
    this.store.selected = this.#coming = this.store.nextId;
    try {
      const { id } = await addObject();
      this.store.selected = this.#coming = id;
      // News of an earlier edit may still come, with a list without it; its own will follow.
      const known = () => this.store.objects.some((one) => one.id === id);
      for (const end = Date.now() + NEWS_MS; !known() && this.#coming === id && Date.now() < end;) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      if (known()) this.#coming = null; // its news may have come before the answer
      return id;
    } catch (error) {
      this.#coming = null;
      throw error;
    }
  }

  /** @param {number} place from 0 */
  choose(place) {
    const one = this.store.objects[place];
    if (!one) return;
    this.store.selected = one.id;
    this.render();
    this.store.say(`${one.name} selected`);
  }

  /** Bring the list up to date; rows that stay keep the focus and what is being typed. */
  render() {
    const { objects, selected, nextId } = this.store;
    const known = objects.some((one) => one.id === selected);
    if (known) this.#coming = null;
    // News of an earlier edit do not know the object that is just being added.
    if (!known && this.#coming !== selected) this.store.selected = objects[0]?.id ?? nextId;
    const focused = this.#focused();
    for (const [id, row] of this.#rows) {
      if (objects.some((one) => one.id === id)) continue;
      row.item.remove();
      this.#rows.delete(id);
    }
    for (const [place, one] of objects.entries()) {
      if (!this.#rows.has(one.id)) this.#rows.set(one.id, new ObjectRow(this.store, one.id));
      const row = this.#rows.get(one.id);
      row.show(one);
      if (this.list.children[place] !== row.item) this.list.insertBefore(row.item, this.list.children[place]);
    }
    if (focused && !focused.item.isConnected) {
      const item = this.list.children[focused.row];
      if (item) controls(item)[focused.place]?.focus();
    }
    this.#reveal(this.#rows.get(this.store.selected)?.item);
  }

  #focused() {
    const active = document.activeElement, item = active.closest("li");
    if (!this.list.contains(active) || !item) return null;
    return { item, row: [...this.list.children].indexOf(item), place: [...controls(item)].indexOf(active) };
  }

  /** Scroll the list, and nothing else, so that a row is seen. */
  #reveal(row) {
    if (!row) return;
    const { list } = this, top = row.offsetTop - list.offsetTop, low = top + row.offsetHeight;
    list.scrollTop = Math.min(top, Math.max(list.scrollTop, low - list.clientHeight));
  }
}

/** An object in the list. Each control changes one thing, and leaves what other tabs change. */
class ObjectRow {
  item = document.createElement("li");
  #choice = input("radio");
  #colour = input("color");
  #name = input("text");
  #end = button("End here");
  #drop = button("×");

  constructor(store, id) {
    Object.assign(this, { store, id });
    this.#choice.name = "object";
    this.#choice.addEventListener("change", () => { store.selected = id; });
    this.#colour.addEventListener("change", () => this.#change({ colour: this.#colour.value }, "colour"));
    this.#name.maxLength = 80;
    this.#name.addEventListener("change", () => this.#rename());
    this.#end.addEventListener("click", () => {
      const ended = this.#ended(), last = ended ? null : store.frame - 1;
      store.afterSaving(() => this.#send({ last }, ended ? "go on with" : "end"));
    });
    this.#drop.addEventListener("click", () => store.afterSaving(() => this.#delete()));
    const target = document.createElement("label");
    target.append(this.#choice);
    this.item.append(target, this.#colour, this.#name, this.#end, this.#drop);
  }

  /** @param {{name: string, colour: string, last: number | null}} one */
  show(one) {
    this.one = one;
    const { name } = one, ended = this.#ended();
    this.#choice.checked = this.id === this.store.selected;
    this.#colour.value = one.colour;
    // A name that is being typed is not replaced under the typist's hands.
    if (this.#name !== document.activeElement) this.#name.value = name;
    this.#end.textContent = ended ? "Go on" : "End here";
    this.#end.disabled = !ended && this.store.frame === 0;
    label(this.#choice, `Select ${name}`);
    label(this.#colour, `Colour of ${name}`);
    label(this.#name, `Name of object ${this.id}`);
    label(this.#end, ended ? `Track ${name} in this frame again` : `${name} ends before this frame`);
    label(this.#drop, `Delete ${name}`);
    this.#end.title = this.#end.ariaLabel;
    this.#drop.title = this.#drop.ariaLabel;
  }

  #ended() {
    return this.one.last !== null && this.one.last < this.store.frame;
  }

  #rename() {
    const name = this.#name.value;
    if (this.#name === document.activeElement) this.#choice.focus();
    if (name && name !== this.one.name) this.#change({ name }, "rename");
    else this.#name.value = this.one.name;
  }

  async #delete() {
    await deleteObject(this.id);
    this.store.say(`${this.one.name} is deleted. Undo brings it back.`);
  }

  #send(change, what) {
    return changeObject(this.id, change, `${what} ${change.name ?? this.one.name}`);
  }

  /** Change what no mask depends on. */
  async #change(change, what) {
    try {
      await this.#send(change, what);
    } catch (error) {
      this.store.complain(error);
      this.show(this.one);
    }
  }
}

const controls = (row) => row.querySelectorAll("input, button");
const label = (control, words) => control.setAttribute("aria-label", words);

function input(type) {
  const made = document.createElement("input");
  made.type = type;
  return made;
}

function button(text) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  return made;
}
