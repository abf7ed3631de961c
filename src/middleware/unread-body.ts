// A body that no handler has read: what is left of it on a connection that is used again would be taken for the next request.
import { createMiddleware } from "hono/factory";
import { MAX_JSON_BYTES } from "../config.ts";
import type { App } from "../services/context.ts";

/** Reads and drops it up to a bound; a longer one is cancelled, which costs its client the connection. */
async function drop(body: AsyncIterable<unknown>): Promise<void> {
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk instanceof Uint8Array ? chunk.byteLength : 0;
    // Leaving the loop cancels it.
    if (bytes > MAX_JSON_BYTES) return;
  }
}

/** Once there is an answer, whatever it is. */
export const dropUnreadBody = createMiddleware<App>(async (c, next) => {
  const { raw } = c.req;
  await next();
  // A client that has gone has nothing more to send.
  if (raw.body !== null && !raw.bodyUsed && !raw.body.locked) await drop(raw.body).catch(() => undefined);
});
