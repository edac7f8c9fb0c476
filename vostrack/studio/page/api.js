/** Requests to the server. Every refusal becomes an Error with the server's words. */

import { pack, unpack } from "./labels.js";

/** The server will not take this, however often it is sent. */
export class RefusedError extends Error {}

/** The label map that it was drawn on is not the server's any more. */
export class ConflictError extends RefusedError {}

/** Another video is open, or none. */
export class OtherVideoError extends Error {}

// Others, such as a full disk or a token that is too old, pass.
const KINDS = { 400: RefusedError, 404: RefusedError, 409: OtherVideoError, 412: ConflictError,
  413: RefusedError, 422: RefusedError };

let project = "";

/** Name the project that requests are about; the server refuses them if another one is open. */
export function useProject(key) {
  project = key;
}

const about = (path, key = project) => `${path}?project=${key}`;

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body] JSON, or a buffer
 * @param {{headers?: Record<string, string>, key?: string}} [more] the key of the project, if it
 *   may be another than that which is shown
 * @returns {Promise<Response>}
 */
async function ask(method, path, body, { headers = {}, key = project } = {}) {
  const binary = body instanceof ArrayBuffer;
  const sent = body === undefined || binary ? body : JSON.stringify(body);
  if (body !== undefined && !binary) headers = { ...headers, "content-type": "application/json" };
  const response = await fetch(about(path, key), { method, headers, body: sent }).catch(() => {
    throw new Error("The server does not answer. Start it again.");
  });
  if (response.ok) return response;
  const words = wordsOf(await response.text());
  throw new (KINDS[response.status] ?? Error)(words);
}

function wordsOf(text) {
  try {
    return JSON.parse(text).error ?? text;
  } catch {
    return text; // The guard answers in plain text.
  }
}

/** @returns {Promise<any>} */
export const loadState = async () => (await ask("GET", "/api/state")).json();

/**
 * @param {number} frame
 * @param {string} [key] the key of the project, if it may be another than that which is shown
 * @returns {Promise<{labels: Uint8Array, tag: string}>}
 */
export async function loadLabels(frame, key = project) {
  const response = await ask("GET", `/api/frames/${frame}/labels`, undefined, { key });
  return { labels: await unpack(response), tag: response.headers.get("x-mask-tag") };
}

/**
 * @param {number} frame
 * @returns {Promise<ImageBitmap>}
 */
export async function loadPicture(frame) {
  return createImageBitmap(await (await ask("GET", `/api/frames/${frame}/picture.jpg`)).blob());
}

/**
 * @param {import("./outbox.js").Edit} edit
 * @returns {Promise<string>} the new tag
 */
export async function saveLabels({ project: key, frame, labels, tag, what }) {
  const headers = { "x-mask-tag": tag, "x-edit": what };
  const packed = await pack(labels);
  const response = await ask("PUT", `/api/frames/${frame}/labels`, packed, { headers, key });
  return (await response.json()).tag;
}

export const dropLabels = (frame) => ask("DELETE", `/api/frames/${frame}/labels`);

/** @returns {Promise<{id: number, name: string, colour: string, last: number | null}>} */
export const addObject = async () => (await ask("POST", "/api/objects")).json();

/** @param {number} id @param {object} change its name, colour or last frame @param {string} what */
export const changeObject = (id, change, what) => ask("PATCH", `/api/objects/${id}`, { ...change, what });
export const deleteObject = (id) => ask("DELETE", `/api/objects/${id}`);

export const prepare = (frame) => ask("POST", `/api/frames/${frame}/prepare`);
export const track = (frame, direction) => ask("POST", "/api/track", { frame, direction });
export const steer = (what) => ask("POST", `/api/track/${what}`);

/** @returns {Promise<{frame: number, words: string}[]>} where objects were not tracked */
export const loadGaps = async () => (await ask("GET", "/api/track/gaps")).json();

export const loadExports = async () => (await ask("GET", "/api/exports")).json();
export const makeExport = async (name) => (await ask("POST", `/api/exports/${name}`)).json();

/** @returns {Promise<number | null>} the frame that changed */
export const undo = async () => (await (await ask("POST", "/api/undo")).json()).frame;

/** @returns {Promise<number | null>} the frame that changed */
export const redo = async () => (await (await ask("POST", "/api/redo")).json()).frame;

/**
 * @param {number} frame
 * @param {{x: number, y: number, inside: boolean}[]} clicks
 * @param {number[] | null} box
 * @param {Uint8Array | null} mask 1 where the object was before the clicks; null for nowhere
 * @returns {Promise<Uint8Array>} 1 where the object is
 */
export async function askClicks(frame, clicks, box, mask) {
  const start = mask && base64(await pack(mask));
  return unpack(await ask("POST", `/api/frames/${frame}/clicks`, { clicks, box, start }));
}

const base64 = (buffer) =>
  btoa(new Uint8Array(buffer).reduce((text, byte) => text + String.fromCharCode(byte), ""));

/**
 * @param {number} frame
 * @param {"matte" | "scores"} kind
 * @returns {Promise<{values: Uint8Array, tag: string}>} 255 where a pixel is certainly an object's
 */
export async function loadLayer(frame, kind) {
  const response = await ask("GET", `/api/frames/${frame}/layers/${kind}`);
  return { values: await unpack(response), tag: response.headers.get("x-mask-tag") };
}

/**
 * @param {number} frame
 * @returns {Promise<{labels: Uint8Array, ids: number[]}>} objects that a person may want
 */
export async function suggest(frame) {
  const response = await ask("POST", `/api/frames/${frame}/suggestions`);
  const ids = JSON.parse(response.headers.get("x-suggestions"));
  return { labels: await unpack(response), ids };
}

export const maskLink = (frame) => about(`/api/frames/${frame}/mask.png`);
export const exportLink = (file) => about(`/api/exports/${file}`);

/** @returns {Promise<{folders: string[], videos: string[]}>} */
export const listVideos = async () => (await ask("GET", "/api/videos")).json();
export const openVideo = (path) => ask("POST", "/api/open", { path });

/**
 * Send a video and open it.
 * @param {string} title the name of the file, or of the folder of images
 * @param {File[]} files
 * @param {(share: number) => void} tell hears how much of it was sent
 * @returns {Promise<boolean>} whether its project is new
 */
export async function sendVideo(title, files, tell) {
  const listed = files.map((file) => [file.name, file.size]);
  const answer = await (await ask("POST", "/api/uploads", { title, files: listed })).json();
  const total = files.reduce((sum, file) => sum + file.size, 0) || 1;
  let sent = 0;
  for (const [number, file] of files.entries()) {
    await put(`/api/uploads/${answer.upload}/${number}`, file, (part) => tell((sent + part) / total));
    sent += file.size;
  }
  return (await (await ask("POST", `/api/uploads/${answer.upload}/open`)).json()).new;
}

/** Like fetch, which does not tell how much was sent. */
function put(path, file, tell) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", path);
    request.upload.addEventListener("progress", (event) => tell(event.loaded));
    request.addEventListener("load", () =>
      (request.status === 200 ? resolve() : reject(new Error(wordsOf(request.responseText)))));
    request.addEventListener("error", () => reject(new Error("The upload was cut off.")));
    request.send(file);
  });
}
