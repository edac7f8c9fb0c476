/** Which part of the frame is seen: zoom and pan. */

const LARGEST = 32;

export class View {
  /** Width of a pixel of the video divided by its height; the scale is that of its height. */
  aspect = 1;
  scale = 1;
  x = 0;
  y = 0;

  /** Show the whole frame. */
  fit(video, width, height) {
    this.aspect = video.pixel_aspect ?? 1;
    this.scale = Math.min(width / (video.width * this.aspect), height / video.height) * 0.98;
    this.x = (width - video.width * this.aspect * this.scale) / 2;
    this.y = (height - video.height * this.scale) / 2;
    this.smallest = this.scale / 2;
  }

  /** Zoom so that the point under (x, y) stays there. */
  zoom(factor, x, y) {
    const scale = Math.min(LARGEST, Math.max(this.smallest ?? 0.01, this.scale * factor));
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
  }

  /** @returns {{x: number, y: number}} in pixels of the frame */
  toFrame(x, y) {
    return { x: (x - this.x) / (this.scale * this.aspect), y: (y - this.y) / this.scale };
  }
}
