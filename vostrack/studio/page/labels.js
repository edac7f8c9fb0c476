/** Label maps: one byte per pixel, sent as zlib streams. */

/**
 * @param {Uint8Array} labels
 * @returns {Promise<ArrayBuffer>}
 */
export function pack(labels) {
  const stream = new Blob([labels]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

/**
 * @param {Response} response
 * @returns {Promise<Uint8Array>}
 */
export async function unpack(response) {
  const stream = response.body.pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
