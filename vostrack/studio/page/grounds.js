/** What cut-out objects are shown on: a colour, a checkerboard, or a picture of the user's. */

const COLOURS = { black: "#000000", white: "#ffffff", checker: "#cccccc", picture: "#888888" };
const SQUARES = 48;

export class Ground {
  /** @type {ImageBitmap | null} stays in this page; it is not sent to the server */
  picture = null;
  #cut = document.createElement("canvas");

  /** @param {string} mode */
  static has(mode) {
    return mode in COLOURS;
  }

  /**
   * Draw what the mask leaves of a frame.
   * @param {CanvasRenderingContext2D} context
   * @param {string} mode
   * @param {ImageBitmap} frame
   * @param {HTMLCanvasElement} mask its opacity counts
   */
  draw(context, mode, frame, mask) {
    const { width, height } = mask;
    context.fillStyle = COLOURS[mode];
    context.fillRect(0, 0, width, height);
    if (mode === "checker") checker(context, width, height);
    if (mode === "picture" && this.picture) cover(context, this.picture, width, height);
    this.#cut.width = width;
    this.#cut.height = height;
    const cut = this.#cut.getContext("2d");
    cut.drawImage(frame, 0, 0, width, height);
    cut.globalCompositeOperation = "destination-in";
    cut.drawImage(mask, 0, 0);
    context.drawImage(this.#cut, 0, 0);
  }
}

function checker(context, width, height) {
  const side = Math.max(4, Math.round(width / SQUARES));
  context.fillStyle = "#888888";
  for (let row = 0; row * side < height; row++) {
    for (let column = row % 2; column * side < width; column += 2) {
      const right = Math.min(width, (column + 1) * side), low = Math.min(height, (row + 1) * side);
      context.fillRect(column * side, row * side, right - column * side, low - row * side);
    }
  }
}

/** Fill the frame with the middle of a picture. */
function cover(context, picture, width, height) {
  const scale = Math.max(width / picture.width, height / picture.height);
  const w = width / scale, h = height / scale;
  const x = (picture.width - w) / 2, y = (picture.height - h) / 2;
  context.drawImage(picture, x, y, w, h, 0, 0, width, height);
}
