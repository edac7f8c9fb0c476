/** Puts the page together. */

import { loadGaps, maskLink, redo, undo } from "./api.js";
import { makeKeys } from "./commands.js";
import { ExportPanel } from "./exporting.js";
import { Guide } from "./guide.js";
import { describeKeys, listenToKeys } from "./keys.js";
import { ObjectList } from "./objects.js";
import { OpenDialog } from "./opening.js";
import { Player } from "./player.js";
import { Stage } from "./stage.js";
import { Store } from "./store.js";
import { Suggestions } from "./suggestions.js";
import { Timeline } from "./timeline.js";
import { makeTools } from "./tools.js";
import { isBusy, TrackingPanel } from "./tracking.js";
import { sentence, withoutMask } from "./words.js";

const STAY_MILLISECONDS = 400;
const byId = (id) => document.getElementById(id);
const store = new Store();
const stage = new Stage(byId("stage"), store);
const objects = new ObjectList(store, byId("objects"));
const tools = makeTools(store, stage, () => objects.ensure());
const player = new Player(store, () => byId("loop").checked);
const timeline = new Timeline(byId("timeline"), store, go);
const tracking = new TrackingPanel(store);
const suggestions = new Suggestions(store, stage, objects, byId("suggestions"));
const opening = new OpenDialog(store);
const exporting = new ExportPanel(store);
const guide = new Guide(store, () => stage.tool?.start ?? tools.clicks.start);

function go(frame) {
  player.playing = false;
  store.following = false;
  const found = Math.min(store.video.count - 1, Math.max(0, frame));
  stage.lift();
  stage.tool?.leave?.();
  return store.show(found).catch((error) => store.complain(error));
}

function choose(name) {
  const next = tools[name], group = (tool) => tool?.partner ?? tool;
  stage.lift();
  if (group(stage.tool) !== group(next)) stage.tool?.leave?.();
  stage.tool = next;
  stage.tool.enter?.();
  for (const button of byId("tools").children) {
    button.setAttribute("aria-checked", String(button.dataset.tool === name));
    button.tabIndex = button.dataset.tool === name ? 0 : -1;
  }
  store.say(store.project ? stage.tool.hint : "");
  store.tell("tool");
  stage.redraw();
}

function setBrush(size) {
  const kept = Math.min(200, Math.max(1, Math.round(size)));
  tools.brush.size = tools.eraser.size = kept;
  byId("brush-size").value = String(kept);
  stage.redraw();
}

function step(move) {
  stage.lift();
  stage.tool?.leave?.();
  return store.afterSaving(async () => {
    const frame = await move();
    if (frame !== null && frame !== store.frame) await go(frame);
  });
}

function giveUp() {
  stage.tool?.leave?.();
  suggestions.clear();
}

/** Fetch the mask of the frame shown, with what was drawn a moment ago. */
function saveMask(event) {
  event.preventDefault();
  const link = event.currentTarget.cloneNode(); // a click on the link itself would come here again
  return store.afterSaving(() => link.click());
}

function nextDoubtful() {
  if (!store.tracked.size) {
    store.say("No frame is tracked yet.");
    return;
  }
  store.afterSaving(async () => {
    const gaps = await loadGaps();
    const frame = timeline.nextDoubtful(gaps.map((gap) => gap.frame));
    if (frame === null) {
      store.say("None found. Look through the video yourself, too.");
      return;
    }
    const empty = store.unmasked.filter(([first]) => first === frame);
    const lacks = gaps.filter((gap) => gap.frame === frame).map((gap) => sentence(gap.words));
    store.say(empty.length ? withoutMask(empty) : lacks.join(" ") || `Frame ${frame} looks doubtful.`);
    go(frame);
  });
}

function setView() {
  const mode = byId("view-mode").value;
  byId("ground-row").hidden = mode !== "picture";
  stage.setMode(mode, byId("soft").checked);
}

async function takeGround({ target }) {
  const file = target.files[0];
  if (!file) return;
  try {
    stage.ground.picture = await createImageBitmap(file);
    stage.redraw();
  } catch {
    store.say(`${file.name} is not a picture that this browser shows.`, true);
  }
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
    const turn = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!turn) return;
    const all = [...byId("tools").children], now = all.indexOf(document.activeElement);
    const next = all[(now + turn + all.length) % all.length];
    choose(next.dataset.tool);
    next.focus();
  });
}

const page = {
  store, stage, objects, tools, player, tracking, suggestions, opening, go, choose, setBrush,
  giveUp, nextDoubtful,
  play: () => {
    store.following = false;
    player.toggle();
  },
  undo: () => step(undo),
  redo: () => step(redo),
  showKeys: () => {
    byId("keys").showModal();
    byId("keys").scrollTop = 0;
  },
};

function connectControls() {
  const click = (id, run) => byId(id).addEventListener("click", run);
  click("undo", page.undo);
  click("redo", page.redo);
  click("help", page.showKeys);
  click("add-object", () => objects.add());
  click("suggest", () => suggestions.ask());
  click("zoom-in", () => stage.zoom(1.25));
  click("zoom-out", () => stage.zoom(0.8));
  click("zoom-fit", () => stage.fit());
  click("play", page.play);
  click("previous", () => go(store.wanted - 1));
  click("next", () => go(store.wanted + 1));
  click("doubtful", nextDoubtful);
  click("save-mask", saveMask);
  click("trouble", () => sayTrouble());
  byId("brush-size").addEventListener("input", (event) => setBrush(Number(event.target.value)));
  byId("view-mode").addEventListener("change", setView);
  byId("soft").addEventListener("change", setView);
  byId("ground").addEventListener("change", takeGround);
  window.addEventListener("beforeunload", (event) => { if (store.unsaved) event.preventDefault(); });
}

/** Who stays in a frame may want to click there. */
function prepareTool() {
  if (!isBusy(store.job) && !player.playing) stage.tool?.enter?.();
}

/** Give up what was begun for objects that are gone from this frame, and say so. */
function dropUnfinished(gone) {
  const lost = gone.filter(({ id }) => stage.tool?.drop?.(id)).map(({ name }) => name);
  if (lost.length) {
    store.say(`What you began for ${lost.join(", ")} is dropped: deleted, or ended before this frame.`, true);
  }
  stage.redraw();
}

/**
 * Say what is wrong with the video, and keep a button that says it again.
 * @param {string} [others] what there is to say if nothing is
 */
function sayTrouble(others = "") {
  const { trouble = [] } = store.video;
  const words = trouble.length ? sentence(`the video is not whole: ${trouble.join("; ")}`) : "";
  byId("trouble").hidden = !words;
  byId("trouble").title = words;
  store.say(words || others, Boolean(words));
}

/** Say what there is to say of a video that has just been opened. */
function sayOpened() {
  const { renamed_from: before } = store.video;
  sayTrouble(before ? `This video was named ${before} when you worked on it: that work goes on.` : "");
}

function connectStore() {
  store.addEventListener("words", ({ detail }) => {
    byId("hint").textContent = detail.text;
    byId("hint").title = detail.text;
    byId("hint").classList.toggle("error", detail.error);
  });
  store.addEventListener("project", () => {
    player.playing = false;
    stage.tool?.leave?.();
    suggestions.clear();
    store.say(""); // what was said was of the video before
    byId("video-name").textContent = store.video.name;
    byId("video-name").title = store.video.name;
    sayOpened();
  });
  store.addEventListener("trouble", () => sayTrouble());
  store.addEventListener("gone", ({ detail }) => dropUnfinished(detail.objects));
  let stays = 0;
  store.addEventListener("frame", () => {
    clearTimeout(stays);
    stays = setTimeout(prepareTool, STAY_MILLISECONDS);
    byId("position").textContent = `${store.frame} / ${store.video.count - 1}`;
    byId("save-mask").href = maskLink(store.frame);
  });
  store.addEventListener("view", () => {
    byId("zoom").value = store.project ? `${Math.round(stage.view.scale * 100)}%` : "";
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
  connectControls();
  connectStore();
  const keys = makeKeys(page);
  listenToKeys(keys);
  describeKeys(keys, byId("key-list"));
  await exporting.fill();
  await store.load();
  const heard = store.listen();
  choose("clicks");
  if (store.project) sayOpened(); // the guide says what to do
  guide.render();
  await heard;
  document.body.dataset.ready = "true";
}

begin().catch((error) => store.complain(error));
