/** Requests to the server. Every refusal becomes an Error with the server's words. */

import { pack, unpack } from "./labels.js";

/** Another tab was faster. */
export class ConflictError extends Error {}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body] JSON, or a buffer
 * @param {Record<string, string>} [headers]
 * @returns {Promise<Response>}
 */
async function ask(method, path, body, headers = {}) {
  const binary = body instanceof ArrayBuffer;
  const sent = body === undefined || binary ? body : JSON.stringify(body);
  if (body !== undefined && !binary) headers = { ...headers, "content-type": "application/json" };
  const response = await fetch(path, { method, headers, body: sent });
  if (response.ok) return response;
  const text = await response.text();
  let words = text;
  try {
    words = JSON.parse(text).error ?? text;
  } catch {
    // The guard answers in plain text.
  }
  throw response.status === 409 ? new ConflictError(words) : new Error(words);
}

/** @returns {Promise<any>} */
export const loadState = async () => (await ask("GET", "/api/state")).json();

/**
 * @param {number} frame
 * @returns {Promise<{labels: Uint8Array, tag: string}>}
 */
export async function loadLabels(frame) {
  const response = await ask("GET", `/api/frames/${frame}/labels`);
  return { labels: await unpack(response), tag: response.headers.get("x-mask-tag") };
}

/**
 * @param {number} frame
 * @returns {Promise<ImageBitmap>}
 */
export async function loadPicture(frame) {
  return createImageBitmap(await (await ask("GET", `/api/frames/${frame}.jpg`)).blob());
}

/**
 * @param {number} frame
 * @param {Uint8Array} labels
 * @param {string} tag
 * @param {string} what
 * @returns {Promise<string>} the new tag
 */
export async function saveLabels(frame, labels, tag, what) {
  const headers = { "x-mask-tag": tag, "x-edit": what };
  const response = await ask("PUT", `/api/frames/${frame}/labels`, await pack(labels), headers);
  return (await response.json()).tag;
}

export const dropLabels = (frame) => ask("DELETE", `/api/frames/${frame}/labels`);
export const saveObjects = (objects, what) => ask("PUT", "/api/objects", { objects, what });
export const prepare = (frame) => ask("POST", `/api/frames/${frame}/prepare`);
export const track = (frame, direction) => ask("POST", "/api/track", { frame, direction });
export const steer = (what) => ask("POST", `/api/track/${what}`);
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
 * @returns {Promise<Uint8Array>} 1 where the object is
 */
export async function askClicks(frame, clicks, box) {
  return unpack(await ask("POST", `/api/frames/${frame}/clicks`, { clicks, box }));
}
