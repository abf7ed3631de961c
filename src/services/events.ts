// A run's events as server-sent events. The Worker pages the pool, so that the pool holds no reader.
import { HEARTBEAT_MS } from "../config.ts";
import { ApiError } from "../errors.ts";
import type { EventPage } from "../pool/api.ts";
import type { RunEvent } from "../wire/runs.ts";
import type { Context } from "./context.ts";
import { paced } from "./paced.ts";

/** One event; `id` is the sequence that a reader sends back as `Last-Event-ID`. */
const frame = (event: RunEvent): string =>
  `id: ${event.sequence}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;

const HEARTBEAT = ": nothing new\n\n";

async function nextPage(ctx: Context, run: string, after: number, ms: number): Promise<EventPage> {
  const found = await ctx.pool.events(ctx.project.id, run, after, ms);
  if (found === null) throw new ApiError("not_found", `The project has no run ${run}; see GET /v1/runs.`);
  return found;
}

/** The sequence after which a reader wants to go on; 0 from the beginning. */
export function lastEventId(header: string | undefined): number {
  if (header === undefined || header === "") return 0;
  if (/^[0-9]{1,15}$/.test(header)) return Number(header);
  throw new ApiError("invalid_request", "Last-Event-ID: send the id of the last event you saw.", {
    param: "Last-Event-ID",
  });
}

/**
 * Events after `after`, until the run has ended; a comment in every silence of `HEARTBEAT_MS`.
 * Null where the run has ended and nothing is left: a reader that reconnects is to stop.
 */
export async function eventStream(
  ctx: Context,
  run: string,
  after: number,
): Promise<ReadableStream<Uint8Array> | null> {
  const first = await nextPage(ctx, run, after, 0);
  if (first.ended && first.events.length === 0 && after > 0) return null;
  const encoder = new TextEncoder();
  let last = after;
  let pending: EventPage | null = first;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = () => nextPage(ctx, run, last, HEARTBEAT_MS);
      const page = pending ?? (await paced(next, ({ events, ended }) => ended || events.length > 0));
      pending = null;
      last = page.events.at(-1)?.sequence ?? last;
      controller.enqueue(encoder.encode(page.events.map(frame).join("") || HEARTBEAT));
      if (page.ended) controller.close();
    },
  });
}
