/** The server's news. */

const KINDS = ["hello", "reload", "project", "job", "frame", "edit", "trouble"];
const RETRY_MILLISECONDS = 2000;

/** @typedef {(kind: string, data: any) => void} Hear "open" and "error" are of the connection */

/**
 * Hear the news together with the other tabs: a browser allows all of them only six connections.
 * @param {Hear} hear
 */
export function listen(hear) {
  const alone = () => stream(hear);
  if (!window.SharedWorker) {
    alone();
    return;
  }
  const worker = new SharedWorker("/page/news_worker.js", { type: "module" });
  worker.addEventListener("error", alone);
  worker.port.addEventListener("message", ({ data: [kind, data] }) => hear(kind, data));
  worker.port.start();
}

/**
 * Hear the news in a connection that is opened again whenever it is lost.
 * @param {Hear} hear
 */
export function stream(hear) {
  const events = new EventSource("/api/events");
  for (const kind of KINDS) events.addEventListener(kind, ({ data }) => hear(kind, JSON.parse(data)));
  events.addEventListener("open", () => hear("open"));
  events.addEventListener("error", () => {
    hear("error");
    // Refused, as with the token of an old server; otherwise the browser tries again by itself.
    if (events.readyState === EventSource.CLOSED) setTimeout(() => stream(hear), RETRY_MILLISECONDS);
  });
}
