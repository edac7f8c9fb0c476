/** Playing at the video's rate; frames that come too late are skipped. */

const AHEAD = 4;

export class Player {
  playing = false;

  /** @param {import("./store.js").Store} store @param {() => boolean} loops */
  constructor(store, loops) {
    Object.assign(this, { store, loops });
  }

  toggle() {
    if (this.playing) this.playing = false;
    else this.#play();
    this.store.tell("playing");
  }

  async #play() {
    this.playing = true;
    const { count, rate } = this.store.video;
    let first = this.store.frame >= count - 1 ? 0 : this.store.frame;
    let begin = performance.now();
    let shown = -1;
    while (this.playing) {
      let frame = first + Math.floor(((performance.now() - begin) * rate) / 1000);
      const over = frame >= count && !this.loops();
      if (over) {
        frame = count - 1; // a late picture skips frames, but never the last one
      } else if (frame >= count) {
        first = frame = 0;
        begin = performance.now();
      }
      if (frame !== shown) {
        for (let k = 1; k <= AHEAD; k++) this.store.prefetch(frame + k);
        await this.store.show(frame).catch((error) => {
          this.playing = false;
          this.store.complain(error);
        });
        shown = frame;
      }
      if (over) break;
      await new Promise(requestAnimationFrame);
    }
    this.playing = false;
    this.store.tell("playing");
  }
}
