/** Packs and unpacks label maps beside the page, so that painting does not wait for it. */

const KINDS = { pack: CompressionStream, unpack: DecompressionStream };

self.addEventListener("message", async ({ data: { number, kind, bytes } }) => {
  try {
    const stream = new Blob([bytes]).stream().pipeThrough(new KINDS[kind]("deflate"));
    const made = await new Response(stream).arrayBuffer();
    self.postMessage({ number, made }, [made]);
  } catch (error) {
    self.postMessage({ number, error: String(error) });
  }
});
