/** What keys do. An entry without words is a second key for the same thing. */

const FAR = 8;

/**
 * @param {object} page its parts
 * @returns {Record<string, {words: string, name?: string, run: (event: KeyboardEvent) => void}>} by key;
 *   the name is what the list calls it
 */
export function makeKeys(page) {
  const { stage, objects, tools, store } = page;
  const crosshair = (dx, dy) => (event) => {
    const far = event.shiftKey ? 1 : FAR, active = document.activeElement;
    if (active === stage.canvas) stage.nudge(dx * far, dy * far);
    else if (dx && !active.closest("#timeline, #tools")) page.go(store.wanted + dx);
  };
  const digits = [...Array(9).keys()].map((k) =>
    [String(k + 1), { words: k ? "" : "Select an object", name: "1–9", run: () => objects.choose(k) }]);
  const forTools = Object.entries(tools).map(([name, tool]) =>
    [tool.key, { words: `Tool: ${tool.name}`, run: () => page.choose(name) }]);
  return {
    ...Object.fromEntries(forTools),
    "[": { words: "Smaller brush", run: () => page.setBrush(tools.brush.size / 1.2 - 1) },
    "]": { words: "Larger brush", run: () => page.setBrush(tools.brush.size * 1.2 + 1) },
    ArrowLeft: { words: "On the frame: move the crosshair (with Shift by one pixel). Else: one frame back", run: crosshair(-1, 0) },
    ArrowRight: { words: "The same to the right", run: crosshair(1, 0) },
    ArrowUp: { words: "Crosshair up", run: crosshair(0, -1) },
    ArrowDown: { words: "Crosshair down", run: crosshair(0, 1) },
    "Shift+ArrowLeft": { words: "", run: crosshair(-1, 0) },
    "Shift+ArrowRight": { words: "", run: crosshair(1, 0) },
    "Shift+ArrowUp": { words: "", run: crosshair(0, -1) },
    "Shift+ArrowDown": { words: "", run: crosshair(0, 1) },
    Enter: { words: "Use the tool at the crosshair", run: () => stage.press(false) },
    "Shift+Enter": { words: "Like Click − at the crosshair", run: () => stage.press(true) },
    Escape: { words: "Give up the polygon, box, clicks or suggestions", run: page.giveUp },
    n: { words: "New object", run: () => objects.add() },
    s: { words: "Suggest objects", run: () => page.suggestions.ask() },
    a: { words: "Accept the first suggestion", run: () => page.suggestions.accept() },
    Delete: { words: "Refuse the first suggestion (Escape refuses all)", run: () => page.suggestions.refuse() },
    Backspace: { words: "", run: () => page.suggestions.refuse() },
    ...Object.fromEntries(digits),
    "Ctrl+z": { words: "Undo", run: page.undo },
    "Ctrl+Shift+z": { words: "Redo", run: page.redo },
    "Ctrl+y": { words: "", run: page.redo },
    "+": { words: "Zoom in", run: () => stage.zoom(1.25) },
    "-": { words: "Zoom out", run: () => stage.zoom(0.8) },
    0: { words: "Fit the frame", run: () => stage.fit() },
    ",": { words: "One frame back", run: () => page.go(store.wanted - 1) },
    ".": { words: "One frame on", run: () => page.go(store.wanted + 1) },
    Home: { words: "First frame", run: () => page.go(0) },
    End: { words: "Last frame", run: () => page.go(store.video.count - 1) },
    " ": { words: "Play or pause", run: page.play },
    d: { words: "Next frame to look at: doubtful, without a mask, or without one of its objects", run: page.nextDoubtful },
    t: { words: "Track forward from here", run: () => page.tracking.track("forward") },
    "Shift+t": { words: "Track backward from here", run: () => page.tracking.track("backward") },
    g: { words: "Fill the gap between two drawn frames", run: () => page.tracking.track("between") },
    o: { words: "Open another video", run: () => page.opening.show() },
    "?": { words: "This list", run: page.showKeys },
  };
}
