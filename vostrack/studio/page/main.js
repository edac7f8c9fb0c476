/** Puts the page together. */

import { loadExports, makeExport, redo, undo } from "./api.js";
import { describeKeys, listenToKeys } from "./keys.js";
import { ObjectList } from "./objects.js";
import { Player } from "./player.js";
import { Stage } from "./stage.js";
import { Store } from "./store.js";
import { Timeline } from "./timeline.js";
import { makeTools } from "./tools.js";
import { TrackingPanel } from "./tracking.js";

const byId = (id) => document.getElementById(id);
const store = new Store();
const stage = new Stage(byId("stage"), store);
const objects = new ObjectList(store, byId("objects"));
const tools = makeTools(store, stage, () => objects.ensure());
const player = new Player(store, () => byId("loop").checked);
const timeline = new Timeline(byId("timeline"), store, go);
const tracking = new TrackingPanel(store);

function go(frame) {
  player.playing = false;
  const found = Math.min(store.video.count - 1, Math.max(0, frame));
  stage.tool?.leave?.();
  return store.show(found).catch((error) => store.say(error.message, true));
}

function choose(name) {
  stage.tool?.leave?.();
  stage.tool = tools[name];
  stage.tool.enter?.();
  for (const button of byId("tools").children) {
    button.setAttribute("aria-checked", String(button.dataset.tool === name));
    button.tabIndex = button.dataset.tool === name ? 0 : -1;
  }
  store.say(stage.tool.hint);
  stage.redraw();
}

function setBrush(size) {
  const kept = Math.min(200, Math.max(1, Math.round(size)));
  tools.brush.size = tools.eraser.size = kept;
  byId("brush-size").value = String(kept);
  stage.redraw();
}

async function step(move) {
  stage.tool?.leave?.();
  try {
    const frame = await move();
    if (frame !== null && frame !== store.frame) await go(frame);
  } catch (error) {
    store.say(error.message, true);
  }
}

async function exportNow() {
  const link = byId("export-link"), select = byId("export-format");
  link.hidden = true;
  store.say(`Writing ${select.selectedOptions[0].textContent}`);
  try {
    const { file } = await makeExport(select.value);
    link.href = `/api/exports/${file}`;
    link.textContent = file;
    link.hidden = false;
    store.say(`${file} is ready`);
  } catch (error) {
    store.say(error.message, true);
  }
}

function nextDoubtful() {
  const frame = timeline.nextDoubtful();
  if (frame === null) store.say("No frame looks doubtful.");
  else go(frame);
}

function makeToolButtons() {
  for (const [name, tool] of Object.entries(tools)) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.tool = name;
    button.textContent = tool.name;
    button.title = `${tool.name} (${tool.key.toUpperCase()})`;
    button.setAttribute("role", "radio");
    button.addEventListener("click", () => choose(name));
    byId("tools").append(button);
  }
  byId("tools").addEventListener("keydown", (event) => {
    const turn = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!turn) return;
    const all = [...byId("tools").children], now = all.indexOf(document.activeElement);
    const next = all[(now + turn + all.length) % all.length];
    choose(next.dataset.tool);
    next.focus();
  });
}

const onStage = (dx, dy) => (event) => {
  const far = event.shiftKey ? 1 : 8;
  if (document.activeElement === byId("stage")) stage.nudge(dx * far, dy * far);
  else if (document.activeElement !== byId("timeline") && dx && !byId("tools").contains(document.activeElement)) go(store.wanted + dx);
};

const keys = {
  ...Object.fromEntries(Object.entries(tools).map(([name, tool]) =>
    [tool.key, { words: `Tool: ${tool.name}`, run: () => choose(name) }])),
  "[": { words: "Smaller brush", run: () => setBrush(tools.brush.size / 1.2 - 1) },
  "]": { words: "Larger brush", run: () => setBrush(tools.brush.size * 1.2 + 1) },
  ArrowLeft: { words: "On the frame: move the crosshair (with Shift by one pixel). Else: one frame back", run: onStage(-1, 0) },
  ArrowRight: { words: "The same to the right", run: onStage(1, 0) },
  ArrowUp: { words: "Crosshair up", run: onStage(0, -1) },
  ArrowDown: { words: "Crosshair down", run: onStage(0, 1) },
  "Shift+ArrowLeft": { words: "", run: onStage(-1, 0) },
  "Shift+ArrowRight": { words: "", run: onStage(1, 0) },
  "Shift+ArrowUp": { words: "", run: onStage(0, -1) },
  "Shift+ArrowDown": { words: "", run: onStage(0, 1) },
  Enter: { words: "Use the tool at the crosshair", run: () => stage.press(false) },
  "Shift+Enter": { words: "Click beside the object", run: () => stage.press(true) },
  Escape: { words: "Give up the polygon, box or clicks", run: () => { stage.tool?.leave?.(); stage.redraw(); } },
  n: { words: "New object", run: () => objects.add() },
  ...Object.fromEntries([...Array(9).keys()].map((k) =>
    [String(k + 1), { words: k ? "" : "1 to 9: select an object", run: () => objects.choose(k) }])),
  "Ctrl+z": { words: "Undo", run: () => step(undo) },
  "Ctrl+Shift+z": { words: "Redo", run: () => step(redo) },
  "Ctrl+y": { words: "", run: () => step(redo) },
  "+": { words: "Zoom in", run: () => stage.zoom(1.25) },
  "-": { words: "Zoom out", run: () => stage.zoom(0.8) },
  0: { words: "Fit the frame", run: () => stage.fit() },
  ",": { words: "One frame back", run: () => go(store.wanted - 1) },
  ".": { words: "One frame on", run: () => go(store.wanted + 1) },
  Home: { words: "First frame", run: () => go(0) },
  End: { words: "Last frame", run: () => go(store.video.count - 1) },
  " ": { words: "Play or pause", run: () => player.toggle() },
  d: { words: "Next doubtful frame", run: nextDoubtful },
  t: { words: "Track forward from here", run: () => tracking.track("forward") },
  "Shift+t": { words: "Track backward from here", run: () => tracking.track("backward") },
  "?": { words: "This list", run: () => byId("keys").showModal() },
};

function connect() {
  const click = (id, run) => byId(id).addEventListener("click", run);
  click("undo", () => step(undo));
  click("redo", () => step(redo));
  click("help", () => byId("keys").showModal());
  click("add-object", () => objects.add());
  click("zoom-in", () => stage.zoom(1.25));
  click("zoom-out", () => stage.zoom(0.8));
  click("zoom-fit", () => stage.fit());
  click("play", () => player.toggle());
  click("previous", () => go(store.wanted - 1));
  click("next", () => go(store.wanted + 1));
  click("doubtful", nextDoubtful);
  click("export", exportNow);
  byId("brush-size").addEventListener("input", (event) => setBrush(Number(event.target.value)));
  byId("view-mode").addEventListener("change", (event) => stage.setMode(event.target.value));
  store.addEventListener("words", ({ detail }) => {
    byId("hint").textContent = detail.text;
    byId("hint").title = detail.text;
    byId("hint").classList.toggle("error", detail.error);
  });
  store.addEventListener("frame", () => {
    byId("position").textContent = `${store.frame} / ${store.video.count - 1}`;
    byId("save-mask").href = `/api/frames/${store.frame}/mask.png`;
  });
  store.addEventListener("playing", () => {
    byId("play").textContent = player.playing ? "Pause" : "Play";
  });
  store.addEventListener("summary", () => {
    byId("undo").disabled = store.undo === null;
    byId("redo").disabled = store.redo === null;
    byId("undo").title = `Undo: ${store.undo ?? "nothing"} (Ctrl+Z)`;
    byId("redo").title = `Redo: ${store.redo ?? "nothing"} (Ctrl+Shift+Z)`;
  });
}

async function begin() {
  // The token is in a cookie now; it need not stay in the address and the history.
  history.replaceState(null, "", "/");
  makeToolButtons();
  connect();
  listenToKeys(keys);
  describeKeys(keys, byId("key-list"));
  for (const { name, title } of await loadExports()) byId("export-format").add(new Option(title, name));
  await store.load();
  byId("video-name").textContent = store.video.name;
  store.listen();
  choose("clicks");
  document.body.dataset.ready = "true";
}

begin().catch((error) => store.say(error.message, true));
