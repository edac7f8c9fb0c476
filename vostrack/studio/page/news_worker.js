/** Hears the server's news for all tabs. */

import { stream } from "./news.js";

const tabs = [];
let open = false;

stream((kind, data) => {
  if (kind === "open") open = true;
  if (kind === "error") open = false;
  for (const tab of tabs) tab.postMessage([kind, data]);
});

self.addEventListener("connect", ({ ports: [tab] }) => {
  tabs.push(tab);
  if (open) tab.postMessage(["hello", {}]);
});
