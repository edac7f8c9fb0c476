/** The list of objects: choosing, naming, colouring, ending and deleting them. */

const COLOURS = ["#e05a47", "#2f8fd8", "#3aa76d", "#d99a1c", "#9b5fd0", "#d45aa0", "#3fb5b5", "#8f8f2a"];

// News of an edit take a few milliseconds; a server that is busy, longer.
const NEWS_MS = 3000;

/**
 * @param {import("./store.js").Store} store
 * @param {HTMLElement} list
 */
export class ObjectList {
  #coming = null;
  #turn = Promise.resolve();

  constructor(store, list) {
    Object.assign(this, { store, list });
    store.addEventListener("summary", () => this.render());
    store.addEventListener("frame", () => this.render());
  }

  /** Make the first object, if there is none. */
  async ensure() {
    if (!this.store.objects.length) await this.add();
  }

  /** Add an object; one after the other, so that two quick keys make two. */
  add() {
    this.#turn = this.#turn.then(() => this.#add());
    return this.#turn;
  }

  async #add() {
    // A deleted object may still be drawn somewhere, so its id is not used again.
    const id = Math.max(this.store.nextId, 1 + Math.max(0, ...this.store.objects.map((one) => one.id)));
    const colour = COLOURS[(id - 1) % COLOURS.length];
    const added = { id, name: `Object ${id}`, colour, last: null };
    this.store.selected = this.#coming = id;
    await this.#save([...this.store.objects, added], `add ${added.name}`);
    // News of an earlier edit may have brought back the list without it; its own will follow.
    const known = () => this.store.objects.some((one) => one.id === id);
    for (const end = Date.now() + NEWS_MS; !known() && this.#coming === id && Date.now() < end;) {
      await new Promise((resolve) => setTimeout(resolve, 20));
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

  render() {
    const active = document.activeElement, held = this.list.contains(active);
    // A name that is being typed is not replaced under the typist's hands.
    if (held && active.type === "text") return;
    const row = held ? [...this.list.children].indexOf(active.closest("li")) : -1;
    const place = held ? [...controls(active.closest("li"))].indexOf(active) : -1;
    const known = this.store.objects.some((one) => one.id === this.store.selected);
    if (known) this.#coming = null;
    // News of an earlier edit do not know the object that is just being added.
    if (!known && this.#coming !== this.store.selected) {
      this.store.selected = this.store.objects[0]?.id ?? 1;
    }
    this.list.replaceChildren(...this.store.objects.map((one) => this.#row(one)));
    this.#reveal(this.list.querySelector("input:checked")?.closest("li"));
    if (row >= 0 && this.list.children[row]) controls(this.list.children[row])[place]?.focus();
  }

  /** Scroll the list, and nothing else, so that a row is seen. */
  #reveal(row) {
    if (!row) return;
    const { list } = this, top = row.offsetTop - list.offsetTop, low = top + row.offsetHeight;
    list.scrollTop = Math.min(top, Math.max(list.scrollTop, low - list.clientHeight));
  }

  #row(one) {
    const row = document.createElement("li");
    const choice = input("radio", `Select ${one.name}`);
    choice.name = "object";
    choice.checked = one.id === this.store.selected;
    choice.addEventListener("change", () => { this.store.selected = one.id; });
    const colour = input("color", `Colour of ${one.name}`);
    colour.value = one.colour;
    colour.addEventListener("change", () => this.#change({ ...one, colour: colour.value }, "colour"));
    const name = input("text", `Name of object ${one.id}`);
    name.value = one.name;
    name.maxLength = 80;
    name.addEventListener("change", () => {
      if (name === document.activeElement) choice.focus();
      this.#change({ ...one, name: name.value || one.name }, "rename");
    });
    const ended = one.last !== null && one.last < this.store.frame;
    const end = button(ended ? "Go on" : "End here", ended ? `Track ${one.name} in this frame again`
      : `${one.name} ends before this frame`);
    end.disabled = !ended && this.store.frame === 0;
    end.addEventListener("click", () =>
      this.#change({ ...one, last: ended ? null : this.store.frame - 1 }, ended ? "go on with" : "end"));
    const drop = button("×", `Delete ${one.name}`);
    drop.addEventListener("click", () =>
      this.#save(this.store.objects.filter((other) => other.id !== one.id), `delete ${one.name}`));
    const target = document.createElement("label");
    target.append(choice);
    row.append(target, colour, name, end, drop);
    return row;
  }

  #change(one, what) {
    const all = this.store.objects.map((other) => (other.id === one.id ? one : other));
    return this.#save(all, `${what} ${one.name}`);
  }

  async #save(objects, what) {
    try {
      await this.store.setObjects(objects, what);
    } catch (error) {
      this.#coming = null;
      this.store.say(error.message, true);
    }
  }
}

const controls = (row) => row.querySelectorAll("input, button");

function input(type, label) {
  const made = document.createElement("input");
  made.type = type;
  made.setAttribute("aria-label", label);
  return made;
}

function button(text, label) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.title = label;
  made.setAttribute("aria-label", label);
  return made;
}
