/** Painting into label maps. A label map is row after row; a rectangle is [x0, y0, x1, y1). */

/**
 * @typedef {{data: Uint8Array, width: number, height: number}} LabelMap
 * @typedef {[number, number, number, number]} Rect
 */

/**
 * Paint a line with a round brush; the pixels under it always belong to it.
 * @param {LabelMap} map
 * @param {{x: number, y: number}} from
 * @param {{x: number, y: number}} to
 * @param {number} radius pixels
 * @param {number} id
 * @param {number} [only] paint over this id alone
 * @returns {Rect} what may have changed
 */
export function paintLine(map, from, to, radius, id, only = -1) {
  const rect = clip(map, [
    Math.floor(Math.min(from.x, to.x) - radius), Math.floor(Math.min(from.y, to.y) - radius),
    Math.ceil(Math.max(from.x, to.x) + radius) + 1, Math.ceil(Math.max(from.y, to.y) + radius) + 1,
  ]);
  const paint = (x, y) => {
    const at = y * map.width + x;
    if (only < 0 || map.data[at] === only) map.data[at] = id;
  };
  const dx = to.x - from.x, dy = to.y - from.y, length = dx * dx + dy * dy || 1;
  // So near to the line there need not be the centre of any pixel: those under the line are painted.
  if (radius < Math.SQRT1_2) {
    for (const { x, y } of pointsOf(from, dx, dy)) {
      if (x >= rect[0] && x < rect[2] && y >= rect[1] && y < rect[3]) paint(x, y);
    }
    return rect;
  }
  for (let y = rect[1]; y < rect[3]; y++) {
    for (let x = rect[0]; x < rect[2]; x++) {
      const along = ((x + 0.5 - from.x) * dx + (y + 0.5 - from.y) * dy) / length;
      const near = Math.min(1, Math.max(0, along));
      const ex = x + 0.5 - from.x - near * dx, ey = y + 0.5 - from.y - near * dy;
      if (ex * ex + ey * ey <= radius * radius) paint(x, y);
    }
  }
  return rect;
}

/** The pixels under a line, none farther from the one before than its neighbour. */
function pointsOf(from, dx, dy) {
  const steps = Math.ceil(Math.max(Math.abs(dx), Math.abs(dy)));
  return Array.from({ length: steps + 1 }, (_, k) => {
    const along = steps && k / steps;
    return { x: Math.floor(from.x + along * dx), y: Math.floor(from.y + along * dy) };
  });
}

/**
 * Fill a polygon by the even-odd rule; a pixel belongs to it if its centre does.
 * @param {LabelMap} map
 * @param {{x: number, y: number}[]} points
 * @param {number} id
 * @returns {Rect}
 */
export function fillPolygon(map, points, id) {
  const rows = points.map((point) => point.y);
  const top = Math.max(0, Math.floor(Math.min(...rows)));
  const bottom = Math.min(map.height, Math.ceil(Math.max(...rows)) + 1);
  for (let y = top; y < bottom; y++) {
    const crossings = [];
    points.forEach((a, k) => {
      const b = points[(k + 1) % points.length];
      if (a.y <= y + 0.5 !== b.y <= y + 0.5) {
        crossings.push(a.x + ((y + 0.5 - a.y) * (b.x - a.x)) / (b.y - a.y));
      }
    });
    crossings.sort((a, b) => a - b);
    for (let k = 0; k + 1 < crossings.length; k += 2) {
      const first = Math.max(0, Math.ceil(crossings[k] - 0.5));
      const last = Math.min(map.width, Math.ceil(crossings[k + 1] - 0.5));
      if (last > first) map.data.fill(id, y * map.width + first, y * map.width + last);
    }
  }
  return [0, top, map.width, bottom];
}

/**
 * @param {LabelMap} map
 * @param {Rect} rect
 * @returns {Rect}
 */
export function clip(map, rect) {
  const x0 = Math.min(map.width, Math.max(0, rect[0]));
  const y0 = Math.min(map.height, Math.max(0, rect[1]));
  return [x0, y0, Math.max(x0, Math.min(map.width, rect[2])),
    Math.max(y0, Math.min(map.height, rect[3]))];
}
