/** Everything by keyboard. */

const NAMES = { " ": "Space", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };

/**
 * @param {Record<string, {words: string, run: (event: KeyboardEvent) => void}>} keys by key,
 *   with "Ctrl+" and "Shift+" in front
 */
export function listenToKeys(keys) {
  document.addEventListener("keydown", (event) => {
    const at = event.target;
    const typing = at instanceof HTMLInputElement && !["radio", "checkbox", "range"].includes(at.type);
    if (typing || at instanceof HTMLSelectElement || document.querySelector("dialog[open]")) return;
    // Buttons keep their own Space and Enter, and the timeline its arrows.
    if (at instanceof HTMLButtonElement && [" ", "Enter"].includes(event.key)) return;
    const letter = event.key.length === 1 && event.key !== " ";
    const name = (event.ctrlKey || event.metaKey ? "Ctrl+" : "")
      + (event.shiftKey && (!letter || /[a-z]/i.test(event.key)) ? "Shift+" : "")
      + (letter ? event.key.toLowerCase() : event.key);
    const found = keys[name];
    if (!found) return;
    event.preventDefault();
    found.run(event);
  });
}

/** Write the list of keys. */
export function describeKeys(keys, list) {
  for (const [key, { words, name: called }] of Object.entries(keys)) {
    if (!words) continue;
    const name = document.createElement("dt"), text = document.createElement("dd");
    name.textContent = called ?? NAMES[key] ?? key.replace(/(^|\+)[a-z]$/, (end) => end.toUpperCase());
    text.textContent = words;
    list.append(name, text);
  }
}
