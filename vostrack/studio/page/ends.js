/** Where objects end, and what that changes when the server tells of other objects. */

/** @typedef {{id: number, name: string, last: number | null}} One an object and its last frame */

const ends = (objects) => new Map(objects.map((one) => [one.id, one.last]));

/**
 * Whether masks changed with the objects: one is gone or ends elsewhere, or one of earlier times is
 * back.
 * @param {One[]} before @param {One[]} now @param {number} nextId the id of the next new one, before
 */
export function haveOtherMasks(before, now, nextId) {
  const known = ends(before), found = ends(now);
  return [...known].some(([id, last]) => found.get(id) !== last)
    || [...found.keys()].some((id) => !known.has(id) && id < nextId);
}

/**
 * @param {number} frame @param {One[]} before @param {One[]} now
 * @returns {One[]} the objects that are not in a frame any more: deleted, or ended before it
 */
export function goneFrom(frame, before, now) {
  const found = ends(now), here = (last) => last === null || last >= frame;
  return before.filter(({ id, last }) => here(last) && !here(found.get(id)));
}
