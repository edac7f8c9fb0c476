/** Words that several parts of the page say. */

/** @param {[number, number][]} runs at least one, first and last frame of each */
export function withoutMask(runs) {
  const names = runs.map(([first, last]) => (first === last ? `${first}` : `${first}–${last}`));
  const shown = names.slice(0, 3).join(", ") + (names.length > 3 ? " and more" : "");
  const one = runs.length === 1 && runs[0][0] === runs[0][1];
  return one ? `Frame ${shown} has no mask.` : `Frames ${shown} have no mask.`;
}

/** @param {string} text @returns {string} with a capital letter and a full stop */
export const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;
