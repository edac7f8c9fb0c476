/** Label maps as colours that lie over the frame, with outlines, as in the overlays of exports. */

const OPACITY = 130;

export class Overlay {
  canvas = document.createElement("canvas");
  #context = null;

  resize(width, height) {
    this.canvas.width = width;
    this.canvas.height = height;
    this.#context = this.canvas.getContext("2d");
  }

  /**
   * Draw a part of a label map, and the outlines beside it.
   * @param {Uint8Array} labels
   * @param {Map<number, string>} colours by id
   * @param {[number, number, number, number]} rect
   * @param {boolean} opaque for cutting out
   */
  draw(labels, colours, [left, top, right, low], opaque) {
    if (right <= left || low <= top) return;
    const { width, height } = this.canvas;
    const x0 = Math.max(0, left - 1), x1 = Math.min(width, right + 1);
    const y0 = Math.max(0, top - 1), y1 = Math.min(height, low + 1);
    const table = new Uint32Array(256);
    for (const [id, colour] of colours) {
      const [r, g, b] = [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16));
      table[id] = (((opaque ? 255 : OPACITY) << 24) | (b << 16) | (g << 8) | r) >>> 0;
    }
    const image = new ImageData(x1 - x0, y1 - y0);
    const pixels = new Uint32Array(image.data.buffer);
    for (let y = y0, at = 0; y < y1; y++) {
      for (let x = x0; x < x1; x++, at++) {
        const k = y * width + x, label = labels[k];
        if (!label) continue;
        const edge = (x > 0 && labels[k - 1] !== label) || (x + 1 < width && labels[k + 1] !== label)
          || (y > 0 && labels[k - width] !== label) || (y + 1 < height && labels[k + width] !== label);
        pixels[at] = table[label] && edge ? table[label] | 0xff000000 : table[label];
      }
    }
    this.#context.putImageData(image, x0, y0);
  }

  /**
   * Draw one colour that is as opaque as some values say.
   * @param {Uint8Array} values 255 for opaque
   * @param {[number, number, number]} colour
   */
  drawValues(values, [r, g, b]) {
    const { width, height } = this.canvas;
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer), solid = (b << 16) | (g << 8) | r;
    for (let at = 0; at < values.length; at++) pixels[at] = ((values[at] << 24) | solid) >>> 0;
    this.#context.putImageData(image, 0, 0);
  }
}
